//! `warrantd schema`: what editors need to check and complete the files.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use schemars::schema_for;

use super::{Failure, output};
use crate::config::{CasesFile, DaemonConfig, PolicyFile};

/// Print the JSON Schema of a file, for editors
///
/// Editors with a YAML language server find it by the file's first line, such as
/// `# yaml-language-server: $schema=policy.schema.json`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  warrantd schema policy > policy.schema.json")]
pub(super) struct Schema {
    /// Which file
    file: FileKind,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum FileKind {
    /// A policy
    Policy,
    /// The daemon's configuration
    Config,
    /// Policy test cases
    Cases,
}

impl Schema {
    pub(super) fn execute(self) -> Result<ExitCode, Failure> {
        let schema = match self.file {
            FileKind::Policy => schema_for!(PolicyFile),
            FileKind::Config => schema_for!(DaemonConfig),
            FileKind::Cases => schema_for!(CasesFile),
        };
        output::line(&serde_json::to_string_pretty(&schema).map_err(Failure::other)?)?;
        Ok(ExitCode::SUCCESS)
    }
}
