//! What a log needs from time to time.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::checkpoint::Reason;
use super::log::Log;

/// The shortest time between checkpoints.
const SHORTEST: Duration = Duration::from_secs(1);

/// Writes a checkpoint every `every`, if something was written meanwhile, until it is aborted.
pub async fn keep(log: Arc<Log>, every: Duration) {
    let mut ticks = interval(every.max(SHORTEST));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = log.checkpoint(Reason::Interval) {
            tracing::warn!("no checkpoint: {error}");
        }
    }
}
