//! What policy denied, by rule.

use std::collections::BTreeSet;

use super::entry::Entry;
use super::foreign::Foreign;
use super::ranking::Ranking;
use super::row::Spot;

/// Rules that are told apart, and what else is.
const APART: usize = 1_000;
/// Names that are listed of many.
const FEW: usize = 6;

/// A few of many names.
#[derive(Debug, Clone, Default)]
pub(super) struct Few {
    pub(super) names: BTreeSet<Foreign>,
    /// There are others.
    pub(super) more: bool,
}

impl Few {
    pub(super) fn add(&mut self, name: Option<&Foreign>) {
        let Some(name) = name.map(Foreign::name) else { return };
        if self.names.len() < FEW {
            self.names.insert(name);
        } else {
            self.more |= !self.names.contains(&name);
        }
    }
}

/// What a rule denied.
#[derive(Debug, Clone, Default)]
pub(super) struct Denial {
    /// Calls, and other messages.
    pub(super) calls: u64,
    pub(super) others: u64,
    /// How many of all were carried all the same, because policy was only tried.
    pub(super) observed: u64,
    pub(super) actors: Few,
    pub(super) what: Few,
    /// What the first of them was told.
    pub(super) reason: Option<Foreign>,
    pub(super) last: Spot,
    pub(super) last_at: Foreign,
}

/// What policy denied, by rule.
#[derive(Debug, Clone)]
pub(super) struct Denials(Ranking<Foreign, Denial>);

impl Default for Denials {
    fn default() -> Self {
        Self(Ranking::new(APART))
    }
}

impl Denials {
    /// Takes a record, if policy denied what it is about.
    pub(super) fn take(&mut self, entry: &Entry) {
        if !entry.is_denied() {
            return;
        }
        let rule = entry.policy_rule_matched.as_ref().map(Foreign::name).unwrap_or_default();
        let Some(denial) = self.0.of(rule) else { return };
        if entry.is("call") {
            denial.calls += 1;
        } else {
            denial.others += 1;
        }
        denial.observed += u64::from(entry.is_observed());
        denial.actors.add(entry.actor.as_ref());
        denial.what.add(entry.what());
        if denial.reason.is_none() {
            denial.reason.clone_from(&entry.error);
        }
        denial.last = Spot::of(entry);
        denial.last_at = entry.timestamp.clone();
    }

    /// Those with the most denials; how many more rules there are, and denials by rules that are not told
    /// apart.
    pub(super) fn most(&self, most: usize) -> (Vec<(&Foreign, &Denial)>, usize, u64) {
        let (top, more) = self.0.top(most, |denial| denial.calls + denial.others);
        (top, more, self.0.beyond())
    }
}

/// Callers that could not be authenticated, and messages that were refused before policy: by server, where
/// they came from, and why.
#[derive(Debug, Clone)]
pub(super) struct Refusals(Ranking<Refused, Refusal>);

/// What makes refusals alike.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Refused {
    pub(super) event: Foreign,
    pub(super) server: Option<Foreign>,
    pub(super) source: Option<Foreign>,
    pub(super) error: Option<Foreign>,
}

/// How often.
#[derive(Debug, Clone, Default)]
pub(super) struct Refusal {
    pub(super) count: u64,
    pub(super) last: Spot,
    pub(super) last_at: Foreign,
}

impl Default for Refusals {
    fn default() -> Self {
        Self(Ranking::new(APART))
    }
}

impl Refusals {
    /// Takes a record, if it is of one.
    pub(super) fn take(&mut self, entry: &Entry) {
        if !entry.is("authentication") && (!entry.is("protocol_error") || entry.is_denied()) {
            return;
        }
        let refused = Refused {
            event: entry.event.name(),
            server: entry.server_id.as_ref().map(Foreign::name),
            source: entry.source_ip.as_ref().map(Foreign::name),
            error: entry.error.as_ref().map(Foreign::name),
        };
        let Some(refusal) = self.0.of(refused) else { return };
        refusal.count += 1;
        refusal.last = Spot::of(entry);
        refusal.last_at = entry.timestamp.clone();
    }

    /// The most frequent; how many more kinds there are, and refusals that are not told apart.
    pub(super) fn most(&self, most: usize) -> (Vec<(&Refused, &Refusal)>, usize, u64) {
        let (top, more) = self.0.top(most, |refusal| refusal.count);
        (top, more, self.0.beyond())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry(rule: &str, actor: &str, mode: &str) -> Entry {
        let value = json!({
            "event": "call", "policy_decision": "DENY", "policy_rule_matched": rule, "actor": actor,
            "mode": mode, "error": format!("denied: {rule}"),
        });
        Entry::read(value.to_string().as_bytes()).expect("a record")
    }

    #[test]
    fn denials_are_counted_by_rule() {
        let mut denials = Denials::default();
        for actor in ["a", "b", "c", "d", "e", "f", "g", "a"] {
            denials.take(&entry("global_deny_list[0]", actor, "enforce"));
        }
        denials.take(&entry("default_action", "a", "observe"));
        let (most, more, beyond) = denials.most(1);
        let (rule, denial) = most[0];
        assert!(rule.is("global_deny_list[0]"));
        assert_eq!((denial.calls, denial.observed, more, beyond), (8, 0, 1, 0));
        assert_eq!((denial.actors.names.len(), denial.actors.more), (6, true));
        assert_eq!(denials.most(2).0[1].1.observed, 1);
    }

    #[test]
    fn an_allowed_call_is_no_denial_and_a_denied_message_is_no_refusal() {
        let (mut denials, mut refusals) = (Denials::default(), Refusals::default());
        let read =
            |value: serde_json::Value| Entry::read(value.to_string().as_bytes()).expect("read");
        let allowed = read(json!({"event": "call", "policy_decision": "ALLOW"}));
        denials.take(&allowed);
        refusals.take(&allowed);
        refusals.take(&read(json!({"event": "protocol_error", "policy_decision": "DENY"})));
        assert!(denials.most(9).0.is_empty() && refusals.most(9).0.is_empty());
        refusals.take(&read(json!({"event": "authentication", "error": "wrong key"})));
        assert_eq!(refusals.most(9).0[0].1.count, 1);
    }
}
