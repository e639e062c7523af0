//! What the records of a report come to. It is read once, record by record, and keeps a bounded amount.

use std::collections::{BTreeMap, BTreeSet};

use super::denials::{Denials, Few, Refusals};
use super::entry::Entry;
use super::finding::Findings;
use super::foreign::Foreign;
use super::happenings::Happenings;
use super::outcome::{Outcome, Outcomes, Weight};
use super::peers::Peers;
use super::ranking::Ranking;
use super::row::{Row, Rows, Spot};
use super::scope::Relation;
use super::timeline::{Mark, Timeline};

/// Tools, actors and events that are told apart; and sessions.
const APART: usize = 1_000;
const SESSIONS: usize = 20_000;
/// Places of lines that are no record.
const UNREADABLE: usize = 20;

/// What is called, at which server.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tool {
    pub(super) server: Option<Foreign>,
    pub(super) name: Foreign,
}

/// What is known of a caller.
#[derive(Debug, Clone, Default)]
pub(super) struct Actor {
    pub(super) calls: Outcomes,
    /// People behind it, by its own word.
    pub(super) users: Few,
    pub(super) sources: Few,
}

/// What the kernel saw in all.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Seen {
    pub(super) ambient: u64,
    pub(super) warranted: u64,
    pub(super) exceeded: u64,
    pub(super) lost: u64,
    /// Records that lost events, or were cut.
    pub(super) lossy: u64,
}

/// What the records of a report come to.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    /// Records that belong.
    pub(super) records: u64,
    /// First and last record of each log.
    pub(super) ranges: BTreeMap<usize, (u64, u64)>,
    /// From the first to the last, by their time.
    pub(super) span: Option<(Foreign, Foreign)>,
    pub(super) calls: Outcomes,
    /// Effects beside calls, by event: `task`, `startup`, `unsolicited`, `gap`.
    pub(super) beside: BTreeMap<&'static str, Outcomes>,
    /// Calls that exceeded and whose answer was released.
    pub(super) released: u64,
    /// Calls that exceeded only by what the kernel refused.
    pub(super) only_tried: u64,
    /// Calls under a policy that is only tried, and those of them that it denies.
    pub(super) observed: u64,
    pub(super) not_enforced: u64,
    pub(super) timeouts: u64,
    pub(super) seen: Seen,
    pub(super) tools: Ranking<Tool, Outcomes>,
    pub(super) actors: Ranking<Foreign, Actor>,
    pub(super) servers: Ranking<Foreign, u64>,
    pub(super) sessions: Ranking<Foreign, u64>,
    pub(super) events: Ranking<Foreign, u64>,
    pub(super) backends: BTreeSet<Foreign>,
    pub(super) generations: BTreeSet<u64>,
    pub(super) findings: Findings,
    pub(super) denials: Denials,
    pub(super) refusals: Refusals,
    pub(super) peers: Peers,
    pub(super) happenings: Happenings,
    pub(super) timeline: Timeline,
    pub(super) rows: Rows,
    /// Lines that are no record of this or another version, with the first of their places.
    pub(super) unreadable: u64,
    pub(super) unreadable_at: Vec<String>,
}

/// Kinds of kernel view, and numbers of configurations, that are told apart.
const FEW: usize = 50;

impl Facts {
    /// Nothing yet, with room for so many records that are listed.
    pub(super) fn new(rows: usize) -> Self {
        Self {
            records: 0,
            ranges: BTreeMap::new(),
            span: None,
            calls: Outcomes::default(),
            beside: BTreeMap::new(),
            released: 0,
            only_tried: 0,
            observed: 0,
            not_enforced: 0,
            timeouts: 0,
            seen: Seen::default(),
            tools: Ranking::new(APART),
            actors: Ranking::new(APART),
            servers: Ranking::new(APART),
            sessions: Ranking::new(SESSIONS),
            events: Ranking::new(APART),
            backends: BTreeSet::new(),
            generations: BTreeSet::new(),
            findings: Findings::default(),
            denials: Denials::default(),
            refusals: Refusals::default(),
            peers: Peers::default(),
            happenings: Happenings::default(),
            timeline: Timeline::default(),
            rows: Rows::new(rows),
            unreadable: 0,
            unreadable_at: Vec::new(),
        }
    }

    /// Takes a record that belongs; its line has so many bytes.
    pub(super) fn take(&mut self, entry: Entry, relation: Relation, sound: bool, bytes: usize) {
        self.records += 1;
        self.place(&entry);
        count(&mut self.events, Some(&entry.event));
        count(&mut self.servers, entry.server_id.as_ref());
        count(&mut self.sessions, entry.session_id.as_ref());
        if entry.is("call") {
            self.call(&entry);
        }
        self.effects(&entry);
        self.mark(&entry);
        self.findings.take(&entry, relation == Relation::Itself);
        self.denials.take(&entry);
        self.refusals.take(&entry);
        self.peers.take(&entry);
        self.happenings.take(&entry);
        if let Some(generation) = entry.policy_generation.filter(|_| self.generations.len() < FEW) {
            self.generations.insert(generation);
        }
        let weight = Weight::of(&entry);
        self.rows.take(Row { entry, relation, weight, sound, bytes });
    }

    /// Takes a line that is no record.
    pub(super) fn take_unreadable(&mut self, place: impl FnOnce() -> String) {
        self.unreadable += 1;
        if self.unreadable_at.len() < UNREADABLE {
            self.unreadable_at.push(place());
        }
    }

    fn place(&mut self, entry: &Entry) {
        let Spot { log, seq } = Spot::of(entry);
        let (first, last) = self.ranges.entry(log).or_insert((seq, seq));
        (*first, *last) = (seq.min(*first), seq.max(*last));
        if entry.at().is_none() {
            return;
        }
        let at = &entry.timestamp;
        match &mut self.span {
            None => self.span = Some((at.clone(), at.clone())),
            Some((from, _)) if at < from => *from = at.clone(),
            Some((_, to)) if at > to => *to = at.clone(),
            Some(_) => {}
        }
    }

    fn call(&mut self, entry: &Entry) {
        let outcome = Outcome::of(entry);
        self.calls.add(outcome);
        self.released += u64::from(outcome == Outcome::Exceeded && entry.succeeded());
        let refused = entry
            .effects
            .as_ref()
            .is_some_and(|effects| effects.exceeded.iter().all(super::entry::Deed::is_refused));
        self.only_tried += u64::from(outcome == Outcome::Exceeded && refused);
        self.observed += u64::from(entry.is_observed());
        self.not_enforced += u64::from(entry.is_observed() && entry.is_denied());
        self.timeouts += u64::from(entry.status.as_ref().is_some_and(|s| s.is("TIMEOUT")));
        let server = entry.server_id.as_ref().map(Foreign::name);
        let tool = Tool { server, name: entry.what().map(Foreign::name).unwrap_or_default() };
        let denied = outcome == Outcome::Denied;
        // What is denied may have any name.
        let tool = if denied { self.tools.of_stranger(tool) } else { self.tools.of(tool) };
        if let Some(calls) = tool {
            calls.add(outcome);
        }
        let actor = entry.actor.as_ref().map(Foreign::name).unwrap_or_default();
        if let Some(actor) = self.actors.of(actor) {
            actor.calls.add(outcome);
            if let Some(user) = &entry.end_user_id {
                actor.users.add(Some(user));
            }
            if let Some(source) = &entry.source_ip {
                actor.sources.add(Some(source));
            }
        }
    }

    fn effects(&mut self, entry: &Entry) {
        let Some(effects) = &entry.effects else { return };
        let counts = &effects.counts;
        self.seen.ambient += counts.ambient;
        self.seen.warranted += counts.warranted;
        self.seen.exceeded += counts.exceeded;
        self.seen.lost += counts.lost;
        self.seen.lossy += u64::from(counts.lost > 0 || counts.cut);
        if self.backends.len() < FEW {
            self.backends.insert(effects.backend.name());
        }
        let event = ["task", "startup", "unsolicited", "gap"].into_iter().find(|e| entry.is(e));
        if let Some(event) = event {
            self.beside.entry(event).or_default().add(Outcome::of_effects(entry));
        }
    }

    fn mark(&mut self, entry: &Entry) {
        let Some(at) = entry.at().map(jiff::Timestamp::as_millisecond) else { return };
        let exceeded = entry.verdict() == "EXCEEDED";
        match entry.event.as_str() {
            "call" => self.timeline.call(at, Outcome::of(entry)),
            "alert" => self.timeline.mark(at, Mark::Alert),
            "gap" | "repair" | "log_failure" | "frozen" | "killed" | "tool_changed" => {
                self.timeline.mark(at, Mark::Trouble);
            }
            "start" | "stop" | "reload" => self.timeline.mark(at, Mark::Service),
            _ if exceeded => self.timeline.mark(at, Mark::Outside),
            _ => {}
        }
    }

    /// Effects outside of calls that exceeded: how many records.
    pub(super) fn exceeded_beside(&self) -> u64 {
        self.beside.values().map(|outcomes| outcomes.of(Outcome::Exceeded)).sum()
    }

    /// Records beside calls of which events were lost.
    pub(super) fn incomplete_beside(&self) -> u64 {
        self.beside.values().map(|outcomes| outcomes.of(Outcome::Incomplete)).sum()
    }
}

fn count(ranking: &mut Ranking<Foreign, u64>, name: Option<&Foreign>) {
    if let Some(count) = name.and_then(|name| ranking.of(name.name())) {
        *count += 1;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[allow(clippy::needless_pass_by_value)] // Made for it.
    fn take(facts: &mut Facts, seq: u64, more: Value) {
        let mut value = json!({
            "seq": seq, "timestamp": format!("2026-01-31T12:00:{seq:02}.000Z"), "session_id": "s",
            "server_id": "files", "actor": "ada", "mode": "enforce",
        });
        value.as_object_mut().expect("an object").extend(more.as_object().expect("one").clone());
        let entry = Entry::read(value.to_string().as_bytes()).expect("a record");
        facts.take(entry, Relation::Range, true, 1);
    }

    fn call(tool: &str, decision: &str, verdict: Option<&str>, status: &str) -> Value {
        let effects = verdict.map(|verdict| {
            json!({"verdict": verdict, "backend": "lsm", "counts": {"ambient": 3, "lost": 0}})
        });
        json!({
            "event": "call", "tool_name": tool, "policy_decision": decision, "status": status,
            "effects": effects, "policy_rule_matched": "r",
        })
    }

    #[test]
    fn every_call_is_counted_in_each_view_of_it() {
        let mut facts = Facts::new(10);
        take(&mut facts, 1, json!({"event": "session_start", "actor": null}));
        take(&mut facts, 2, call("read", "ALLOW", Some("WITHIN"), "SUCCESS"));
        take(&mut facts, 3, call("read", "DENY", None, "FAILURE"));
        take(&mut facts, 4, call("write", "ALLOW", Some("EXCEEDED"), "SUCCESS"));
        take(&mut facts, 5, call("write", "ALLOW", Some("EXCEEDED"), "FAILURE"));
        take(&mut facts, 6, call("write", "ALLOW", Some("INCOMPLETE"), "TIMEOUT"));
        assert_eq!((facts.records, facts.calls.total(), facts.released), (6, 5, 1));
        let by_tool: u64 = facts.tools.iter().map(|(_, calls)| calls.total()).sum();
        let by_actor: u64 = facts.actors.iter().map(|(_, actor)| actor.calls.total()).sum();
        let by_time: u64 = facts.timeline.steps().map(|(_, step)| step.calls.total()).sum();
        assert_eq!((by_tool, by_actor, by_time), (5, 5, 5));
        assert_eq!((facts.timeouts, facts.seen.ambient, facts.sessions.len()), (1, 12, 1));
        assert_eq!(facts.ranges.get(&0), Some(&(1, 6)));
        let (from, to) = facts.span.expect("a span");
        assert!(from.as_str() < to.as_str());
    }

    #[test]
    fn what_was_only_tried_is_told_from_what_was_done() {
        let mut facts = Facts::new(10);
        let observed = |mut value: Value| {
            value["mode"] = "observe".into();
            value
        };
        take(&mut facts, 1, observed(call("read", "DENY", Some("WITHIN"), "SUCCESS")));
        take(&mut facts, 2, observed(call("read", "ALLOW", Some("WITHIN"), "SUCCESS")));
        assert_eq!((facts.observed, facts.not_enforced), (2, 1));
        assert_eq!(facts.calls.of(Outcome::Denied), 0);
        assert_eq!(facts.calls.of(Outcome::Within), 2);
    }

    #[test]
    fn effects_that_belong_to_no_call_are_not_forgotten() {
        let mut facts = Facts::new(10);
        let effects = json!({"verdict": "EXCEEDED", "counts": {"exceeded": 2, "lost": 1}});
        take(&mut facts, 1, json!({"event": "unsolicited", "effects": effects}));
        take(&mut facts, 2, json!({"event": "startup", "effects": {"verdict": "WITHIN"}}));
        assert_eq!((facts.exceeded_beside(), facts.seen.lost, facts.seen.lossy), (1, 1, 1));
        assert_eq!(facts.calls.total(), 0);
    }

    /// Names that strangers choose cannot hide what allowed tools do.
    #[test]
    fn a_flood_of_names_leaves_room_for_tools_that_there_are() {
        let mut facts = Facts::new(0);
        for n in 0..2_000 {
            take(&mut facts, 1, call(&format!("no such tool {n}"), "DENY", None, "FAILURE"));
        }
        take(&mut facts, 2, call("read", "ALLOW", Some("EXCEEDED"), "FAILURE"));
        let read = facts.tools.iter().find(|(tool, _)| tool.name.is("read"));
        assert_eq!(read.map(|(_, calls)| calls.of(Outcome::Exceeded)), Some(1));
        let kept: u64 = facts.tools.iter().map(|(_, calls)| calls.total()).sum();
        assert_eq!(kept + facts.tools.beyond(), 2_001);
    }
}
