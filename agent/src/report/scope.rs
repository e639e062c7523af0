//! Which records a report is about.

use jiff::Timestamp;

use super::entry::Entry;
use super::incident::Incident;

/// Records between two times, or of an incident; of one actor or server, if it names one.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// Not before.
    pub since: Option<Timestamp>,
    /// Not after.
    pub until: Option<Timestamp>,
    /// Of this caller, and of the daemon itself.
    pub actor: Option<String>,
    /// Of this server, and of the daemon itself.
    pub server: Option<String>,
}

/// Why a record is in a report, the nearest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Relation {
    /// It is what was asked for.
    Itself,
    /// It is of the same session.
    Session,
    /// It happened at the time, at the same server, by the same caller or in the daemon.
    Around,
    /// It is in the range.
    Range,
}

impl Relation {
    /// In words.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Itself => "the incident",
            Self::Session => "same session",
            Self::Around => "at the time",
            Self::Range => "",
        }
    }
}

impl Scope {
    /// Why a record belongs, if it does. `incident` must be complete.
    pub(super) fn relation(&self, entry: &Entry, incident: Option<&Incident>) -> Option<Relation> {
        match incident {
            Some(incident) => incident.relation(entry),
            None => (self.holds(entry) && self.is_in_time(entry)).then_some(Relation::Range),
        }
    }

    /// Whether a line can be passed over without a look at it: its time, which a line begins with, is outside.
    pub(super) fn passes_over(&self, line: &[u8]) -> bool {
        const BEFORE: &[u8] = b"{\"timestamp\":\"";
        let time = || {
            let digits = line.strip_prefix(BEFORE)?.get(..24)?;
            std::str::from_utf8(digits).ok()?.parse::<Timestamp>().ok()
        };
        (self.since.is_some() || self.until.is_some()) && time().is_some_and(|at| !self.spans(at))
    }

    fn spans(&self, at: Timestamp) -> bool {
        self.since.is_none_or(|since| at >= since) && self.until.is_none_or(|until| at <= until)
    }

    fn is_in_time(&self, entry: &Entry) -> bool {
        let unlimited = self.since.is_none() && self.until.is_none();
        // A record whose time nobody can read may be of any time.
        unlimited || entry.at().is_none_or(|at| self.spans(at))
    }

    fn holds(&self, entry: &Entry) -> bool {
        let is = |wanted: &Option<String>, found: &Option<super::foreign::Foreign>| {
            wanted.as_ref().is_none_or(|wanted| found.as_ref().is_some_and(|f| f.is(wanted)))
        };
        entry.is_of_daemon() || is(&self.actor, &entry.actor) && is(&self.server, &entry.server_id)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn entry(value: &Value) -> Entry {
        Entry::read(value.to_string().as_bytes()).expect("a record")
    }

    #[test]
    fn a_range_has_what_is_asked_for_and_what_the_daemon_itself_did() {
        let time = |text: &str| Some(text.parse().expect("a time"));
        let scope = Scope {
            since: time("2026-01-31T12:00:00Z"),
            until: time("2026-01-31T13:00:00Z"),
            actor: Some("a".to_owned()),
            server: None,
        };
        let has = |at: &str, actor: Option<&str>| {
            let value = json!({"timestamp": at, "event": "call", "actor": actor});
            let entry = entry(&value);
            assert!(!scope.passes_over(value.to_string().as_bytes()) || !scope.is_in_time(&entry));
            scope.relation(&entry, None).is_some()
        };
        assert!(has("2026-01-31T12:00:00.000Z", Some("a")));
        assert!(has("2026-01-31T13:00:00.000Z", None));
        assert!(!has("2026-01-31T12:30:00.000Z", Some("b")));
        assert!(!has("2026-01-31T11:59:59.999Z", Some("a")));
        assert!(!has("2026-01-31T13:00:00.001Z", Some("a")));
        assert!(has("some day", Some("a")), "its time says nothing against it");
    }
}
