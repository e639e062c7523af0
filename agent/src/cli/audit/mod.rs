//! `warrantd audit`: the audit log.

mod sanitize;
mod verify;

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
    Verify(verify::Verify),
    Sanitize(sanitize::Sanitize),
}

impl Audit {
    pub(super) fn execute(self) -> Result<ExitCode, Failure> {
        match self.command {
            AuditCommand::Verify(command) => command.execute(),
            AuditCommand::Sanitize(command) => command.execute(),
        }
    }
}
