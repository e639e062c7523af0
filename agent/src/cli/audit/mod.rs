//! `warrantd audit`: the audit log, looked at.

mod described;
mod export;
mod filter;
mod sanitize;
mod show;
mod tail;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::Failure;

/// Work with the audit log
#[derive(Debug, Args)]
pub(super) struct Audit {
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    Show(show::Show),
    Tail(tail::Tail),
    Export(export::Export),
    Sanitize(sanitize::Sanitize),
}

impl Audit {
    pub(super) fn execute(self) -> Result<ExitCode, Failure> {
        match self.command {
            AuditCommand::Show(command) => command.execute(),
            AuditCommand::Tail(command) => command.execute(),
            AuditCommand::Export(command) => command.execute(),
            AuditCommand::Sanitize(command) => command.execute(),
        }
    }
}

/// Which log.
#[derive(Debug, Args)]
struct Where {
    /// Directory of the audit log
    #[arg(value_name = "DIR", default_value = "/var/log/warrantd")]
    dir: PathBuf,
}

impl Where {
    /// The names of the logs in the directory: that of the daemon, `audit`, or those of every `warrantd run`.
    fn names(&self) -> Result<Vec<String>, Failure> {
        let unreadable =
            |error| Failure::Other(format!("cannot read {}: {error}", self.dir.display()));
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.dir).map_err(unreadable)? {
            let file = entry.map_err(unreadable)?.file_name();
            let Some(stem) = file.to_str().and_then(|name| name.strip_suffix(".jsonl")) else {
                continue;
            };
            // `audit.<number>` is an older file of the log `audit`.
            let name = match stem.rsplit_once('.') {
                Some((name, number)) if number.bytes().all(|b| b.is_ascii_digit()) => name,
                _ => stem,
            };
            if !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
        if names.is_empty() {
            let text = format!("there is no audit log in {}", self.dir.display());
            return Err(Failure::Other(format!(
                "{text}; name the directory that `audit.dir` says"
            )));
        }
        names.sort();
        Ok(names)
    }
}
