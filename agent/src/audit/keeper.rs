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
            () = log.nears_end() => aside(|| make_way(&log, &keeping)),
        };
        if let Err(error) = done {
            tracing::warn!("the audit log: {error}");
        }
    }
}

fn look_after(log: &Log, keeping: &Keeping) -> Result<(), AuditError> {
    // It may make the room that the checkpoint lacks.
    let kept = retain(log, keeping);
    log.checkpoint(Reason::Interval)?;
    kept
}

/// Before a file is full. Deleting one for each that is added is less for the disk than many at once.
fn make_way(log: &Log, keeping: &Keeping) -> Result<(), AuditError> {
    let synced = log.sync();
    retain(log, keeping)?;
    synced?;
    Ok(())
}

fn retain(log: &Log, keeping: &Keeping) -> Result<(), AuditError> {
    keeping.keep.as_ref().map_or(Ok(()), |keep| log.retain(keep, (keeping.delivered)()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{Event, Options, Record, logs_in};
    use crate::config::{RotateConfig, Size, Span};

    /// With each file that is added, not all together when its time has come.
    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_too_much_goes_before_a_file_is_full() {
        let dir = tempfile::tempdir().expect("dir");
        let day = Span::seconds(86400);
        let rotate = RotateConfig { size: Size(256 << 10), age: day };
        let options = Options { rotate, ..Options::default() };
        let log = Arc::new(Log::open_with(dir.path(), "audit", options).expect("opens"));
        let keep = KeepConfig { size: Size(1 << 20), age: day };
        let delivered: Delivered = Arc::new(|| None);
        let keeping = Keeping { interval: day.0, keep: Some(keep), delivered };
        let keeper = tokio::spawn(super::keep(log.clone(), keeping));
        let error = Some("long".repeat(1000));
        let files = || logs_in(dir.path()).expect("logs")[0].files.len();
        for _ in 0..1000 {
            let record = Record { error: error.clone(), ..Record::new(Event::Start) };
            log.append(&record).expect("written");
            // It has been told by then, and is given its time.
            for _ in 0..1000 {
                if files() <= 5 {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            assert!(files() <= 5, "{} files, of which four are to be kept", files());
        }
        keeper.abort();
        assert!(files() >= 4, "{} files: more went than had to", files());
    }
}
