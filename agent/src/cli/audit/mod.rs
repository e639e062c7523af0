//! `warrantd audit`: the audit log, looked at.

mod described;
mod export;
mod filter;
mod sanitize;
mod show;
mod tail;
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::Failure;
use crate::audit::logs_in;

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
    Verify(verify::Verify),
    Sanitize(sanitize::Sanitize),
}

impl Audit {
    pub(super) fn execute(self) -> Result<ExitCode, Failure> {
        match self.command {
            AuditCommand::Show(command) => command.execute(),
            AuditCommand::Tail(command) => command.execute(),
            AuditCommand::Export(command) => command.execute(),
            AuditCommand::Verify(command) => command.execute(),
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
        let dir = self.dir.display();
        let logs = logs_in(&self.dir)
            .map_err(|error| Failure::Other(format!("cannot read {dir}: {error}")))?;
        if logs.is_empty() {
            let text = format!("there is no audit log in {dir}; name the directory of `audit.dir`");
            return Err(Failure::Other(text));
        }
        Ok(logs.into_iter().map(|log| log.name).collect())
    }
}
