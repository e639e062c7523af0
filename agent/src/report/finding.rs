//! Calls that matter, alike ones together: what was allowed, what happened, what exceeded.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

use super::entry::Entry;
use super::foreign::Foreign;
use super::ranking::Ranking;
use super::row::Spot;

/// Kinds of finding that are told apart.
const APART: usize = 200;

/// What makes findings alike: who did what, and what it did too much.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Alike {
    event: Foreign,
    server: Option<Foreign>,
    what: Option<Foreign>,
    actor: Option<Foreign>,
    verdict: String,
    /// Hash of kinds, outcomes and targets of what exceeded.
    exceeded: [u8; 8],
}

/// Findings that are alike.
#[derive(Debug, Clone, Default)]
pub(super) struct Finding {
    pub(super) count: u64,
    /// How many had their answer released.
    pub(super) released: u64,
    /// It is of what was asked for.
    pub(super) asked_for: bool,
    /// The first of them, whole.
    pub(super) first: Entry,
    /// The last one.
    pub(super) last: Spot,
    pub(super) last_at: Foreign,
}

/// All findings.
#[derive(Debug, Clone)]
pub(super) struct Findings(Ranking<Alike, Finding>);

impl Default for Findings {
    fn default() -> Self {
        Self(Ranking::new(APART))
    }
}

impl Findings {
    /// Takes a record that did more than it might or of which events were lost, and any with effects that was
    /// asked for.
    pub(super) fn take(&mut self, entry: &Entry, asked_for: bool) {
        let Some(effects) = &entry.effects else { return };
        let grave = matches!(entry.verdict(), "EXCEEDED" | "INCOMPLETE");
        if !(grave || asked_for && entry.warrant.is_some()) {
            return;
        }
        let deeds: BTreeSet<_> = effects
            .exceeded
            .iter()
            .map(|deed| (deed.kind.as_str(), deed.is_refused(), deed.target()))
            .collect();
        let mut hash = Sha256::new();
        for (kind, refused, target) in deeds {
            hash.update(format!("{kind} {refused} {} {target}\n", target.len()));
        }
        let hash = hash.finalize();
        let alike = Alike {
            event: entry.event.name(),
            server: entry.server_id.as_ref().map(Foreign::name),
            what: entry.what().map(Foreign::name),
            actor: entry.actor.as_ref().map(Foreign::name),
            verdict: entry.verdict().to_owned(),
            exceeded: std::array::from_fn(|n| hash[n]),
        };
        let Some(finding) = self.0.of(alike) else { return };
        if finding.count == 0 {
            finding.first = entry.clone().shortened();
        }
        finding.count += 1;
        finding.released += u64::from(entry.succeeded());
        finding.asked_for |= asked_for;
        finding.last = Spot::of(entry);
        finding.last_at = entry.timestamp.clone();
    }

    /// The gravest, and how many more kinds there are.
    pub(super) fn gravest(&self, most: usize) -> (Vec<&Finding>, usize) {
        let rank = |finding: &Finding| {
            let verdict = match finding.first.verdict() {
                "EXCEEDED" => 2,
                "INCOMPLETE" => 1,
                _ => 0,
            };
            (finding.asked_for, verdict, finding.released > 0, finding.count)
        };
        let (top, more) = self.0.top(most, rank);
        (top.into_iter().map(|(_, finding)| finding).collect(), more)
    }

    /// How many there were that are not even told apart.
    pub(super) fn beyond(&self) -> u64 {
        self.0.beyond()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn exceeded(seq: u64, path: &str, pid: u64, status: &str) -> Entry {
        let deed = json!({"kind": "file_read", "outcome": "allowed", "path": path, "pid": pid});
        let value = json!({
            "seq": seq, "event": "call", "tool_name": "read", "actor": "ada", "status": status,
            "effects": {"verdict": "EXCEEDED", "exceeded": [deed.clone(), deed]},
        });
        Entry::read(value.to_string().as_bytes()).expect("a record")
    }

    #[test]
    fn alike_ones_are_one_and_others_are_not() {
        let mut findings = Findings::default();
        findings.take(&exceeded(1, "/etc/shadow", 7, "FAILURE"), false);
        findings.take(&exceeded(2, "/etc/shadow", 8, "SUCCESS"), false);
        findings.take(&exceeded(3, "/etc/passwd", 7, "FAILURE"), false);
        let (all, more) = findings.gravest(10);
        let counts: Vec<_> = all.iter().map(|f| (f.first.seq, f.count, f.released)).collect();
        assert_eq!((counts, more), (vec![(1, 2, 1), (3, 1, 0)], 0), "what got out comes first");
        assert_eq!(findings.gravest(1).1, 1);
    }

    #[test]
    fn a_call_that_kept_to_its_warrant_is_one_only_where_it_was_asked_for() {
        let value = json!({"event": "call", "warrant": {}, "effects": {"verdict": "WITHIN"}});
        let within = Entry::read(value.to_string().as_bytes()).expect("a record");
        let mut findings = Findings::default();
        findings.take(&within, false);
        assert!(findings.gravest(1).0.is_empty());
        findings.take(&within, true);
        assert_eq!(findings.gravest(1).0.len(), 1);
    }
}
