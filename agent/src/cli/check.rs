//! `warrantd check`: are these files right?

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::failure::warn;
use super::{Failure, output};
use crate::audit::ContextRules;
use crate::config::{ConfigError, Source};
use crate::policy::{Policy, method_remarks};
use crate::serve::{load, load_policy};
use crate::warrant::{Ambient, Rules};

/// Validate configuration and policy files
///
/// A file with `servers` is a daemon's configuration, and the policies it names are checked with
/// it; any other is a policy. Exits 0 when all are right, else 78 with the place of each error.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  warrantd check /etc/warrantd/policies/*.yaml")]
pub(super) struct Check {
    /// Files
    #[arg(value_name = "FILE", default_value = "/etc/warrantd/warrantd.yaml")]
    files: Vec<PathBuf>,
}

impl Check {
    pub(super) fn execute(self) -> Result<ExitCode, Failure> {
        let mut wrong = 0_usize;
        for file in &self.files {
            match check(file) {
                Ok(what) => output::line(&format!("{}: {what}", file.display()))?,
                Err(error) => {
                    wrong += 1;
                    Failure::Config(error).report();
                }
            }
        }
        Ok(if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::from(78) })
    }
}

/// What a right file is.
fn check(file: &Path) -> Result<&'static str, ConfigError> {
    if Source::read(file)?.has("servers") {
        load(file)?;
        return Ok("a valid configuration");
    }
    let (source, policy) = load_policy(file)?;
    let root = "/";
    Policy::compile(&policy, root)
        .and_then(|_| Rules::of(&policy, root))
        .and_then(|_| Ambient::new(&[], &policy.effects.ambient.read, root))
        .and_then(|ambient| ambient.with_connect(&policy.effects.ambient.connect))
        .and_then(|_| ContextRules::compile(&policy.context))
        .map_err(|problem| source.error(problem))?;
    for remark in policy.remarks().into_iter().chain(method_remarks(&policy)) {
        warn(&source.error(remark));
    }
    Ok("a valid policy")
}
