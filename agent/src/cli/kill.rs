//! `warrantd kill`: a session ends at once.

use std::process::ExitCode;

use clap::Args;

use super::Failure;
use super::instances::Instances;
use crate::serve::Request;

/// Kill every process of a session, frozen or not
///
/// Calls in flight are answered with an error. Who ordered it is in the audit log.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  warrantd status\n  warrantd kill 019ab3c4-5d6e-7f80-91a2-b3c4d5e6f708"
)]
pub(super) struct Kill {
    /// The session's id, as `warrantd status` shows it
    session: String,
    #[command(flatten)]
    instances: Instances,
}

impl Kill {
    pub(super) fn execute(self) -> Result<ExitCode, Failure> {
        let done = format!("session {} was killed", self.session);
        self.instances.order(&Request::Kill { session: self.session }, &done)
    }
}
