//! What happened beside calls: starts, stops, reloads, gaps, failures of the log, frozen sessions, tools that
//! changed, alerts.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::entry::Entry;
use super::foreign::Foreign;
use super::ranking::Ranking;
use super::row::Spot;

/// Happenings that are listed; of more, the latest.
const LISTED: usize = 200;
/// Sessions that are remembered as frozen, and rules for alerts.
const APART: usize = 1_000;

/// What happened beside calls.
#[derive(Debug, Clone)]
pub(super) struct Happenings {
    listed: VecDeque<Entry>,
    left_out: u64,
    counts: BTreeMap<&'static str, u64>,
    /// Logs whose daemon runs, as far as was read.
    running: BTreeSet<usize>,
    /// Starts after a start that no stop came between.
    unstopped: u64,
    frozen: BTreeSet<String>,
    alerts: Ranking<Foreign, Rule>,
    /// Records that could not be written, by what the log says of its failures.
    failed_reloads: u64,
}

/// What is known of a rule for alerts.
#[derive(Debug, Clone, Default)]
pub(super) struct Rule {
    pub(super) count: u64,
    pub(super) about: Foreign,
    pub(super) last: Spot,
    pub(super) last_at: Foreign,
}

impl Default for Happenings {
    fn default() -> Self {
        Self {
            listed: VecDeque::new(),
            left_out: 0,
            counts: BTreeMap::new(),
            running: BTreeSet::new(),
            unstopped: 0,
            frozen: BTreeSet::new(),
            alerts: Ranking::new(APART),
            failed_reloads: 0,
        }
    }
}

/// The events that are happenings.
const EVENTS: [&str; 14] = [
    "start",
    "stop",
    "reload",
    "gap",
    "repair",
    "log_failure",
    "retention",
    "frozen",
    "thawed",
    "killed",
    "tool_changed",
    "tool_new",
    "tool_vanished",
    "alert",
];

impl Happenings {
    /// Takes a record, if it is of one.
    pub(super) fn take(&mut self, entry: &Entry) {
        let broken = (entry.is("session_end") && entry.error.is_some()).then_some("session_end");
        let event = EVENTS.into_iter().find(|event| entry.is(event)).or(broken);
        let Some(event) = event else { return };
        *self.counts.entry(event).or_default() += 1;
        match event {
            "start" if !self.running.insert(entry.log) => self.unstopped += 1,
            "stop" => drop(self.running.remove(&entry.log)),
            "reload" if !entry.succeeded() => self.failed_reloads += 1,
            _ => {}
        }
        if let Some(session) = &entry.session_id {
            match event {
                "frozen" if self.frozen.len() < APART => {
                    self.frozen.insert(session.as_str().to_owned());
                }
                "thawed" | "killed" => drop(self.frozen.remove(session.as_str())),
                _ => {}
            }
        }
        if let Some(alert) = entry.alert.as_ref().filter(|_| event == "alert")
            && let Some(rule) = self.alerts.of(alert.rule.name())
        {
            rule.count += 1;
            rule.about = alert.about.name();
            rule.last = Spot::of(entry);
            rule.last_at = entry.timestamp.clone();
        }
        if self.listed.len() == LISTED {
            self.listed.pop_front();
            self.left_out += 1;
        }
        // Neither is shown here, and a gap may have a thousand.
        self.listed.push_back(Entry { effects: None, warrant: None, ..entry.clone() });
    }

    /// How many there were of an event.
    pub(super) fn count(&self, event: &str) -> u64 {
        self.counts.get(event).copied().unwrap_or_default()
    }

    /// Starts of a daemon that had not stopped before.
    pub(super) fn unstopped(&self) -> u64 {
        self.unstopped
    }

    /// Reloads that left everything as it was.
    pub(super) fn failed_reloads(&self) -> u64 {
        self.failed_reloads
    }

    /// Sessions that were frozen, and neither thawed nor killed.
    pub(super) fn still_frozen(&self) -> usize {
        self.frozen.len()
    }

    /// Rules for alerts that held.
    pub(super) fn alerts(&self, most: usize) -> Vec<(&Foreign, &Rule)> {
        self.alerts.top(most, |rule| rule.count).0
    }

    /// Those that are listed, in the order of time, and how many earlier ones are not.
    pub(super) fn by_time(&self) -> (Vec<&Entry>, u64) {
        let mut listed: Vec<&Entry> = self.listed.iter().collect();
        listed.sort_by_cached_key(|entry| (entry.timestamp.as_str(), Spot::of(entry)));
        (listed, self.left_out)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn take(happenings: &mut Happenings, value: &Value) {
        happenings.take(&Entry::read(value.to_string().as_bytes()).expect("a record"));
    }

    #[test]
    fn a_start_without_a_stop_before_it_is_seen() {
        let mut happenings = Happenings::default();
        for event in ["start", "stop", "start", "call", "start", "reload"] {
            take(&mut happenings, &json!({"event": event}));
        }
        assert_eq!((happenings.count("start"), happenings.unstopped()), (3, 1));
        assert_eq!((happenings.count("call"), happenings.failed_reloads()), (0, 1));
        assert_eq!(happenings.by_time().0.len(), 5);
    }

    #[test]
    fn a_session_is_frozen_until_somebody_decides() {
        let mut happenings = Happenings::default();
        for (event, session) in [("frozen", "a"), ("frozen", "b"), ("thawed", "a"), ("frozen", "c")]
        {
            take(&mut happenings, &json!({"event": event, "session_id": session}));
        }
        assert_eq!(happenings.still_frozen(), 2);
    }

    #[test]
    fn of_many_the_latest_are_listed() {
        let mut happenings = Happenings::default();
        (0..205).for_each(|seq| take(&mut happenings, &json!({"event": "stop", "seq": seq})));
        let (listed, left_out) = happenings.by_time();
        assert_eq!((listed.len(), listed[0].seq, left_out), (200, 5, 5));
    }
}
