//! What a log needs from time to time.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::checkpoint::Reason;
use super::error::AuditError;
use super::log::Log;
use crate::aside::aside;
use crate::config::KeepConfig;

/// The shortest time between checkpoints.
const SHORTEST: Duration = Duration::from_secs(1);

/// The last record that everybody has who waits for records; `None` when nobody does.
pub type Delivered = Arc<dyn Fn() -> Option<u64> + Send + Sync>;

/// How a log is looked after.
#[derive(Clone)]
pub struct Keeping {
    /// How often a checkpoint is written, if there is something new to sign.
    pub interval: Duration,
    /// How much is kept; `None` for all.
    pub keep: Option<KeepConfig>,
    /// Asked before anything is deleted.
    pub delivered: Delivered,
}

/// Looks after a log until it is aborted: checkpoints, recovery, what is beyond what is to be kept, and what the disk
/// should have before a file is put away.
pub async fn keep(log: Arc<Log>, keeping: Keeping) {
    let mut ticks = interval(keeping.interval.max(SHORTEST));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let done = tokio::select! {
            _ = ticks.tick() => aside(|| look_after(&log, &keeping)),
            () = log.nears_end() => aside(|| log.sync()).map(drop).map_err(AuditError::from),
        };
        if let Err(error) = done {
            tracing::warn!("the audit log: {error}");
        }
    }
}

fn look_after(log: &Log, keeping: &Keeping) -> Result<(), AuditError> {
    // It may make the room that the checkpoint lacks.
    let kept = keeping.keep.as_ref().map(|keep| log.retain(keep, (keeping.delivered)()));
    log.checkpoint(Reason::Interval)?;
    kept.unwrap_or(Ok(()))
}
