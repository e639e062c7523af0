//! What is counted, and how it is called (Prometheus naming: base units, `_total` for counters).

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use serde::Serialize;

use super::watched::{State, Watched};
use crate::audit::{Event, Observer, Record};

/// The durations, in seconds, below which calls are counted.
const BUCKETS: [f64; 12] =
    [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0, 60.0];

/// A label's value where the record names no server, or none that is configured.
const NO_SERVER: &str = "";

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfServer {
    server: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfEvent {
    server: String,
    event: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfCall {
    server: String,
    decision: String,
    status: String,
    verdict: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfEffect {
    server: String,
    kind: String,
}

/// The counts of a daemon.
pub(crate) struct Metrics {
    registry: Registry,
    /// Whether there is a server of this id.
    is_server: Box<dyn Fn(&str) -> bool + Send + Sync>,
    records: Family<OfEvent, Counter>,
    calls: Family<OfCall, Counter>,
    durations: Family<OfServer, Histogram, fn() -> Histogram>,
    exceeded: Family<OfEffect, Counter>,
    lost: Family<OfServer, Counter>,
    failures: Counter,
    state: State,
    watched: Watched,
    /// Whether the last record could not be written.
    failing: AtomicBool,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

fn durations() -> Histogram {
    Histogram::new(BUCKETS)
}

impl Metrics {
    /// Counts from zero. Ids that are no server's become no labels.
    pub(crate) fn new(
        is_server: impl Fn(&str) -> bool + Send + Sync + 'static,
        watched: Watched,
    ) -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("warrantd"),
            is_server: Box::new(is_server),
            records: Family::default(),
            calls: Family::default(),
            durations: Family::new_with_constructor(durations),
            exceeded: Family::default(),
            lost: Family::default(),
            failures: Counter::default(),
            state: State::default(),
            watched,
            failing: AtomicBool::new(false),
        };
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "This warrantd", version);
        registry.register("records", "Audit records written", self.records.clone());
        let help = "Calls recorded, by decision, status and verdict";
        registry.register("calls", help, self.calls.clone());
        let (help, unit) = ("Time from a call to its answer", Unit::Seconds);
        registry.register_with_unit("call_duration", help, unit, self.durations.clone());
        let help = "Effects that no warrant and no ambient rule covers";
        registry.register("effects_exceeded", help, self.exceeded.clone());
        let help = "Kernel events that were lost before they could be judged";
        registry.register("kernel_events_lost", help, self.lost.clone());
        let help =
            "Audit records that could not be written; what they would have released was denied";
        registry.register("audit_failures", help, self.failures.clone());
        self.state.register(registry);
    }

    /// All of it, in the text format of `OpenMetrics` 1.0.
    pub(crate) fn render(&self) -> Result<String, fmt::Error> {
        self.state.update(&self.watched);
        let mut out = String::new();
        text::encode(&mut out, &self.registry)?;
        Ok(out)
    }

    /// Why the daemon cannot serve calls at the moment.
    pub(crate) fn trouble(&self) -> Option<&'static str> {
        self.failing
            .load(Ordering::Relaxed)
            .then_some("the audit log cannot be written, so every call is denied")
    }

    /// A server's label. What somebody asked for that is not configured is nobody's.
    fn server(&self, record: &Record) -> String {
        let known = record.server_id.as_ref().filter(|id| (self.is_server)(id.as_str()));
        known.map_or_else(|| NO_SERVER.to_owned(), Clone::clone)
    }

    fn count_call(&self, server: &str, record: &Record) {
        let labels = OfCall {
            server: server.to_owned(),
            decision: word(record.policy_decision),
            status: word(record.status),
            verdict: word(record.effects.as_ref().map(|effects| effects.verdict)),
        };
        self.calls.get_or_create(&labels).inc();
        if let Some(milliseconds) = record.duration_ms {
            let seconds = std::time::Duration::from_millis(milliseconds).as_secs_f64();
            let labels = OfServer { server: server.to_owned() };
            self.durations.get_or_create(&labels).observe(seconds);
        }
    }
}

impl Observer for Metrics {
    fn written(&self, record: &Record) {
        self.watched.tally.written(record);
        self.failing.store(false, Ordering::Relaxed);
        let server = self.server(record);
        let event = OfEvent { server: server.clone(), event: word(Some(record.event)) };
        self.records.get_or_create(&event).inc();
        if record.event == Event::Call {
            self.count_call(&server, record);
        }
        let Some(effects) = &record.effects else { return };
        for effect in &effects.exceeded {
            let labels = OfEffect { server: server.clone(), kind: word(Some(effect.kind)) };
            self.exceeded.get_or_create(&labels).inc();
        }
        if effects.counts.lost > 0 {
            self.lost.get_or_create(&OfServer { server }).inc_by(effects.counts.lost);
        }
    }

    fn failed(&self) {
        self.failing.store(true, Ordering::Relaxed);
        self.failures.inc();
    }
}

/// A word as records have it; empty when there is none.
fn word(value: Option<impl Serialize>) -> String {
    match value.map(serde_json::to_value) {
        Some(Ok(serde_json::Value::String(word))) => word,
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Status;
    use crate::config::Action;

    fn call(server: &str) -> Record {
        Record {
            server_id: Some(server.to_owned()),
            tool_name: Some("tool-of-a-caller".to_owned()),
            policy_decision: Some(Action::Allow),
            status: Some(Status::Success),
            duration_ms: Some(30),
            ..Record::new(Event::Call)
        }
    }

    #[test]
    fn records_are_counted_under_bounded_labels() {
        let metrics = Metrics::new(|id| id == "files", Watched::nothing());
        metrics.written(&call("files"));
        metrics.written(&call("files"));
        for stranger in 0..100 {
            metrics.written(&call(&format!("asked-for-{stranger}")));
        }
        let text = metrics.render().expect("it renders");
        let counted = r#"warrantd_calls_total{server="files",decision="ALLOW",status="SUCCESS",verdict=""} 2"#;
        assert!(text.contains(counted), "{text}");
        let nobody =
            r#"warrantd_calls_total{server="",decision="ALLOW",status="SUCCESS",verdict=""} 100"#;
        assert!(text.contains(nobody), "{text}");
        assert!(
            text.contains(r#"warrantd_call_duration_seconds_bucket{le="0.05",server="files"} 2"#)
        );
        assert!(!text.contains("asked-for") && !text.contains("tool-of"), "{text}");
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn a_log_that_cannot_be_written_is_trouble_until_it_can() {
        let metrics = Metrics::new(|_| false, Watched::nothing());
        assert_eq!(metrics.trouble(), None);
        metrics.failed();
        assert!(metrics.trouble().is_some());
        assert!(metrics.render().expect("it renders").contains("warrantd_audit_failures_total 1"));
        metrics.written(&Record::new(Event::Start));
        assert_eq!(metrics.trouble(), None);
    }
}
