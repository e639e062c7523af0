//! `warrantd schema`: what editors need to check and complete the files.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use schemars::schema_for;

use super::{Failure, output};
use crate::audit::record_schema;
use crate::config::{CasesFile, DaemonConfig, PolicyFile};

/// Print the JSON Schema of a file, for editors and readers of the log
///
/// Editors with a YAML language server find it by the file's first line, such as
/// `# yaml-language-server: $schema=policy.schema.json`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  warrantd schema policy > policy.schema.json")]
pub(super) struct Schema {
    /// Which file
    file: FileKind,
}

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
enum FileKind {
    /// A policy
    Policy,
    /// The daemon's configuration
    Config,
    /// Policy test cases
    Cases,
    /// A line of the audit log
    Record,
}

impl Schema {
    pub(super) fn execute(self) -> Result<ExitCode, Failure> {
        output::line(&text(self.file).map_err(Failure::other)?)?;
        Ok(ExitCode::SUCCESS)
    }
}

fn text(file: FileKind) -> serde_json::Result<String> {
    serde_json::to_string_pretty(&match file {
        FileKind::Policy => schema_for!(PolicyFile),
        FileKind::Config => schema_for!(DaemonConfig),
        FileKind::Cases => schema_for!(CasesFile),
        FileKind::Record => record_schema(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_schemas_are_those_of_the_types() {
        for file in [FileKind::Policy, FileKind::Config, FileKind::Cases, FileKind::Record] {
            let name = file.to_possible_value().expect("named").get_name().to_owned();
            let shipped = format!("../policies/schema/{name}.schema.json");
            let shipped = std::fs::read_to_string(shipped).unwrap_or_default();
            let fresh = text(file).expect("a schema");
            assert_eq!(shipped.trim_end(), fresh, "write it anew: warrantd schema {name}");
        }
    }
}
