//! `warrantd thaw`: a frozen session goes on.

use std::process::ExitCode;

use clap::Args;

use super::Failure;
use super::instances::Instances;
use crate::serve::Request;

/// Let a frozen session go on
///
/// What its calls had answered before is not released. A session whose client has left ends. Who
/// ordered it is in the audit log.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  warrantd status\n  warrantd thaw 019ab3c4-5d6e-7f80-91a2-b3c4d5e6f708"
)]
pub(super) struct Thaw {
    /// The session's id, as `warrantd status` shows it
    session: String,
    #[command(flatten)]
    instances: Instances,
}

impl Thaw {
    pub(super) fn execute(self) -> Result<ExitCode, Failure> {
        let done = format!("session {} goes on", self.session);
        self.instances.order(&Request::Thaw { session: self.session }, &done)
    }
}
