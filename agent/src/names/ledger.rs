//! What was refused, for the audit log: bounded, whatever a server asks.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Different refusals that are told apart.
const MAX_DISTINCT: usize = 256;

/// A name that a session's processes asked for in vain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The name, with what is not printable escaped; empty when the session was refused so many
    /// that the rest is only counted.
    pub name: String,
    /// What was asked for, such as `A`.
    pub record_type: String,
    /// Why, in one line.
    pub reason: String,
    /// How often, since the session began.
    pub count: u64,
}

type Key = (String, String, String);

#[derive(Debug, Default)]
struct Counts {
    now: u64,
    reported: u64,
}

/// Counts refusals until they are taken.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    entries: Mutex<HashMap<Key, Counts>>,
}

impl Ledger {
    pub(super) fn enter(&self, name: String, record_type: String, reason: String) {
        let mut entries = self.entries();
        let mut key = (name, record_type, reason);
        if entries.len() >= MAX_DISTINCT && !entries.contains_key(&key) {
            key = (String::new(), String::new(), "more names than are listed".to_owned());
        }
        entries.entry(key).or_default().now += 1;
    }

    /// Refusals that are new, or twice as many as when they were last taken; with `all`, every one
    /// that was not taken with its present count. So a name asked for again and again is reported a
    /// few times and not each time.
    pub(super) fn take(&self, all: bool) -> Vec<Refusal> {
        let mut entries = self.entries();
        let due = |counts: &Counts| {
            counts.now > counts.reported && (all || counts.now >= counts.reported * 2)
        };
        let mut taken: Vec<_> = entries
            .iter_mut()
            .filter(|(_, counts)| due(counts))
            .map(|((name, record_type, reason), counts)| {
                counts.reported = counts.now;
                Refusal {
                    name: name.clone(),
                    record_type: record_type.clone(),
                    reason: reason.clone(),
                    count: counts.now,
                }
            })
            .collect();
        taken.sort_by(|a, b| (&a.name, &a.record_type).cmp(&(&b.name, &b.record_type)));
        taken
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<Key, Counts>> {
        // A panic between two counts leaves counts that are still true.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enter(ledger: &Ledger, name: &str, times: usize) {
        for _ in 0..times {
            ledger.enter(name.to_owned(), "A".to_owned(), "not listed".to_owned());
        }
    }

    #[test]
    fn repeated_refusals_are_reported_as_they_double() {
        let ledger = Ledger::default();
        let mut reports = Vec::new();
        for _ in 0..100 {
            enter(&ledger, "evil.example", 1);
            reports.extend(ledger.take(false).into_iter().map(|refusal| refusal.count));
        }
        assert_eq!(reports, [1, 2, 4, 8, 16, 32, 64]);
        assert_eq!(ledger.take(true).first().map(|refusal| refusal.count), Some(100));
        assert!(ledger.take(true).is_empty());
    }

    #[test]
    fn a_flood_of_names_is_counted_and_not_kept() {
        let ledger = Ledger::default();
        for n in 0..10_000 {
            enter(&ledger, &format!("n{n:05}.example"), 1);
        }
        let taken = ledger.take(true);
        assert_eq!(taken.len(), MAX_DISTINCT + 1);
        assert_eq!(taken.iter().map(|refusal| refusal.count).sum::<u64>(), 10_000);
        assert_eq!(taken[0].name, "");
    }
}
