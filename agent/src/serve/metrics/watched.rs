//! What is looked at when metrics are read, instead of being counted.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::audit::Log;
use crate::serve::{Receivers, Tally};
use crate::session::Sessions;

/// What is looked at.
pub(crate) struct Watched {
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) log: Arc<Log>,
    /// Receivers of the audit log.
    pub(crate) receivers: Receivers,
    /// Looks on as the log is written, too.
    pub(crate) tally: Arc<Tally>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfReceiver {
    receiver: String,
}

/// What it was when it was last looked at.
#[derive(Debug, Default)]
pub(super) struct State {
    sessions: Gauge,
    frozen: Gauge,
    written: Gauge,
    behind: Family<OfReceiver, Gauge>,
    up: Family<OfReceiver, Gauge>,
    events: Family<OfReceiver, Counter>,
    rejected: Family<OfReceiver, Counter>,
    failures: Family<OfReceiver, Counter>,
    missed: Family<OfReceiver, Counter>,
}

impl State {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("sessions", "Open sessions", self.sessions.clone());
        let help = "Sessions whose processes are frozen for investigation";
        registry.register("sessions_frozen", help, self.frozen.clone());
        let help = "Number of the last record in the audit log";
        registry.register("audit_last_record", help, self.written.clone());
        let help = "Records that the receiver does not have yet";
        registry.register("ship_backlog_records", help, self.behind.clone());
        let help = "1 if the last attempt to send succeeded, else 0";
        registry.register("ship_up", help, self.up.clone());
        registry.register("ship_events", "Events sent", self.events.clone());
        let help = "Events that the receiver refused for good";
        registry.register("ship_rejected_events", help, self.rejected.clone());
        registry.register("ship_failures", "Attempts to send that failed", self.failures.clone());
        let help = "Records that were gone from the log before they were delivered";
        registry.register("ship_missed_records", help, self.missed.clone());
    }

    pub(super) fn update(&self, watched: &Watched) {
        let (open, frozen) = watched.sessions.count();
        self.sessions.set(signed(open as u64));
        self.frozen.set(signed(frozen as u64));
        let written = watched.log.written();
        self.written.set(signed(written));
        for (name, progress) in &watched.receivers {
            let labels = OfReceiver { receiver: name.clone() };
            self.behind.get_or_create(&labels).set(signed(progress.behind(written)));
            self.up.get_or_create(&labels).set(progress.is_up().into());
            for (counter, count) in [
                (&self.events, progress.events()),
                (&self.rejected, progress.rejected()),
                (&self.failures, progress.failures()),
                (&self.missed, progress.missed()),
            ] {
                counter.get_or_create(&labels).inner().store(count, Ordering::Relaxed);
            }
        }
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
impl Watched {
    /// An empty log, and nobody.
    pub(super) fn nothing() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let log = Arc::new(Log::open(dir.path(), "audit").expect("a log"));
        let tally = Arc::new(Tally::new(|_| false));
        Self { sessions: Arc::default(), log, receivers: Receivers::new(), tally }
    }
}
