//! `warrantd audit`: the audit log.

mod filter;
mod render;
mod sanitize;
mod show;
mod verify;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::Failure;

pub(super) use filter::time;
pub(super) use show::logs;
pub(super) use verify::With;

/// Work with the audit log
#[derive(Debug, Args)]
pub(super) struct Audit {
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    Verify(verify::Verify),
    Show(show::Show),
    Tail(show::Tail),
    Export(show::Export),
    Sanitize(sanitize::Sanitize),
}

impl Audit {
    pub(super) fn execute(self) -> Result<ExitCode, Failure> {
        match self.command {
            AuditCommand::Verify(command) => command.execute(),
            AuditCommand::Show(command) => command.execute(),
            AuditCommand::Tail(command) => command.execute(),
            AuditCommand::Export(command) => command.execute(),
            AuditCommand::Sanitize(command) => command.execute(),
        }
    }
}
