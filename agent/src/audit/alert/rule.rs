//! One rule: which records it is about, and when that is worth an alert. Pure: time is that of the records.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::config::{AlertBy, AlertConfig, FirstSeen};

/// Keys of a rule that are told apart; the oldest gives way.
const KEYS: usize = 1024;
/// What is remembered for `first_seen`; what is beyond that is not told any more.
const SEEN: usize = 10_000;

/// What a rule found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Firing {
    /// What it is about: the values of the rule's `by`, and what was seen first.
    pub(super) key: String,
    /// How many records it stands for.
    pub(super) count: usize,
    /// The record that it follows; none where it only says how many more there were.
    pub(super) seq: Option<u64>,
}

/// A rule and what it remembers.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) config: AlertConfig,
    /// What was seen of servers.
    pub(super) seen: BTreeSet<String>,
    /// When records came that count for the rate, by key.
    recent: BTreeMap<String, VecDeque<Timestamp>>,
    /// Keys that are told already: until when, and how many came since.
    told: BTreeMap<String, (Timestamp, usize)>,
}

impl Rule {
    pub(super) fn new(config: AlertConfig, seen: BTreeSet<String>) -> Self {
        Self { config, seen, recent: BTreeMap::new(), told: BTreeMap::new() }
    }

    /// Remembers what a record shows, and tells nobody.
    pub(super) fn learn(&mut self, record: &Value) {
        if self.is_about(record) {
            for thing in self.things(record) {
                self.is_new(thing);
            }
        }
    }

    /// What is to be told of a record.
    pub(super) fn take(&mut self, record: &Value, at: Timestamp) -> Vec<Firing> {
        if !self.is_about(record) {
            return Vec::new();
        }
        let seq = record.get("seq").and_then(Value::as_u64);
        let key = self.key(record);
        if self.config.first_seen.is_some() {
            let things = self.things(record);
            let new = things.into_iter().filter(|thing| self.is_new(thing.clone()));
            return new
                .collect::<Vec<_>>()
                .into_iter()
                .map(|key| Firing { key, count: 1, seq })
                .collect();
        }
        let Some(count) = self.rate(&key, at) else { return Vec::new() };
        if let Some((until, more)) = self.told.get_mut(&key)
            && at < *until
        {
            *more += 1;
            return Vec::new();
        }
        let more = self.told.get(&key).map_or(0, |(_, more)| *more);
        self.tell(&key, at);
        vec![Firing { key, count: count + more, seq }]
    }

    /// What was only counted and whose time is over.
    pub(super) fn flush(&mut self, now: Timestamp) -> Vec<Firing> {
        let mut firings = Vec::new();
        self.told.retain(|key, (until, more)| {
            if *until <= now && *more > 0 {
                firings.push(Firing { key: key.clone(), count: *more, seq: None });
            }
            *until > now
        });
        firings
    }

    /// Begins the time in which more of the same is only counted.
    fn tell(&mut self, key: &str, at: Timestamp) {
        if self.told.len() >= KEYS && !self.told.contains_key(key) {
            let oldest = self.told.iter().min_by_key(|(_, (until, _))| *until);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                self.told.remove(&oldest);
            }
        }
        let until = at.checked_add(self.config.quiet.0).unwrap_or(Timestamp::MAX);
        self.told.insert(key.to_owned(), (until, 0));
    }

    /// How many records have come, if that is as many as it takes.
    fn rate(&mut self, key: &str, at: Timestamp) -> Option<usize> {
        let Some(rate) = self.config.rate else { return Some(1) };
        if self.recent.len() >= KEYS && !self.recent.contains_key(key) {
            let oldest = self.recent.iter().min_by_key(|(_, times)| times.back().copied());
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                self.recent.remove(&oldest);
            }
        }
        let times = self.recent.entry(key.to_owned()).or_default();
        times.push_back(at);
        let within = SignedDuration::try_from(rate.within.0).unwrap_or(SignedDuration::MAX);
        while times.front().is_some_and(|first| at.duration_since(*first) > within) {
            times.pop_front();
        }
        if times.len() < rate.count {
            return None;
        }
        let count = times.len();
        times.clear();
        Some(count)
    }

    /// Whether something was not seen before; it is from now on.
    fn is_new(&mut self, thing: String) -> bool {
        self.seen.len() < SEEN && self.seen.insert(thing)
    }

    fn is_about(&self, record: &Value) -> bool {
        let when = &self.config.when;
        let fits = |list: &[String], path: &str| {
            let found = || record.pointer(path).and_then(Value::as_str).unwrap_or_default();
            list.is_empty() || list.iter().any(|value| value == found())
        };
        fits(&when.event, "/event")
            && fits(&when.decision, "/policy_decision")
            && fits(&when.verdict, "/effects/verdict")
            && fits(&when.status, "/status")
            && fits(&when.actor, "/actor")
            && fits(&when.tool, "/tool_name")
            && fits(&when.server, "/server_id")
    }

    fn key(&self, record: &Value) -> String {
        let fields = self.config.by.iter().map(|by| match by {
            AlertBy::Server => "server_id",
            AlertBy::Actor => "actor",
            AlertBy::Tool => "tool_name",
            AlertBy::Session => "session_id",
        });
        let values = fields.map(|field| text(record, field));
        values.collect::<Vec<_>>().join(" ")
    }

    /// What a record shows that may be new: `server tool`, `server peer`.
    fn things(&self, record: &Value) -> Vec<String> {
        let server = text(record, "server_id");
        match self.config.first_seen {
            None => Vec::new(),
            Some(FirstSeen::Tool) => {
                let tool = record.get("tool_name").and_then(Value::as_str);
                let called = record.get("event").and_then(Value::as_str) == Some("call");
                tool.filter(|_| called).map(|tool| format!("{server} {tool}")).into_iter().collect()
            }
            Some(FirstSeen::Peer) => {
                let lists = ["/effects/exceeded", "/effects/warranted"];
                let effects = lists.iter().filter_map(|list| record.pointer(list)?.as_array());
                let peers = effects.flatten().filter_map(|effect| {
                    let kind = effect.get("kind").and_then(Value::as_str)?;
                    let peer = effect.get("peer").and_then(Value::as_str)?;
                    let name = effect.pointer("/names/0").and_then(Value::as_str);
                    matches!(kind, "connect" | "send").then(|| match name {
                        // Its addresses may change.
                        Some(name) => format!("{server} {name}"),
                        None => format!("{server} {peer}"),
                    })
                });
                peers.collect()
            }
        }
    }
}

fn text<'a>(record: &'a Value, field: &str) -> &'a str {
    record.get(field).and_then(Value::as_str).unwrap_or("-")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rule(text: &str) -> Rule {
        Rule::new(serde_yaml::from_str(text).expect("a rule"), BTreeSet::new())
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + second).expect("a time")
    }

    fn denied(seq: u64, actor: &str) -> Value {
        json!({"seq": seq, "event": "call", "policy_decision": "DENY", "actor": actor, "server_id": "s"})
    }

    #[test]
    fn more_of_the_same_is_counted_and_told_once() {
        let mut rule = rule("{name: a, when: {decision: [DENY]}, by: [actor], quiet: 60s}");
        let firing = |key: &str, count, seq| vec![Firing { key: key.into(), count, seq }];
        assert_eq!(rule.take(&denied(1, "x"), at(0)), firing("x", 1, Some(1)));
        assert_eq!(rule.take(&denied(2, "y"), at(1)), firing("y", 1, Some(2)));
        for second in 2..40 {
            assert!(rule.take(&denied(3, "x"), at(second)).is_empty());
        }
        assert!(rule.flush(at(59)).is_empty());
        assert_eq!(rule.flush(at(60)), firing("x", 38, None));
        assert!(rule.flush(at(200)).is_empty(), "y came once");
        assert_eq!(rule.take(&denied(4, "x"), at(300)), firing("x", 1, Some(4)));
        assert!(
            rule.take(&json!({"event": "call", "policy_decision": "ALLOW"}), at(301)).is_empty()
        );
    }

    #[test]
    fn a_rate_takes_as_many_as_it_says_within_its_time() {
        let text =
            "{name: a, when: {decision: [DENY]}, by: [actor], rate: {count: 3, within: 10s}}";
        let mut rule = rule(text);
        for (second, fires) in [(0, false), (6, false), (11, false), (12, true), (13, false)] {
            assert_eq!(!rule.take(&denied(1, "x"), at(second)).is_empty(), fires, "{second}");
        }
        for second in 0..100 {
            assert!(rule.take(&denied(1, "slow"), at(second * 6)).is_empty());
        }
    }

    #[test]
    fn what_is_new_is_told_once_and_what_was_learned_never() {
        let mut tools = rule("{name: a, first_seen: tool}");
        let call = |tool: &str| json!({"event": "call", "server_id": "s", "tool_name": tool});
        tools.learn(&call("known"));
        assert!(tools.take(&call("known"), at(0)).is_empty());
        assert_eq!(tools.take(&call("new"), at(0)).len(), 1);
        assert!(tools.take(&call("new"), at(9999)).is_empty());
        let mut peers = rule("{name: a, first_seen: peer}");
        let effect = |peer: &str, kind: &str| json!({"kind": kind, "peer": peer});
        let record = json!({"server_id": "s", "effects": {
            "warranted": [effect("192.0.2.1:443", "connect"), effect("192.0.2.2:443", "bind")],
            "exceeded": [effect("192.0.2.3:53", "send"), {"kind": "file_read", "path": "/a"}],
        }});
        let keys: Vec<_> =
            peers.take(&record, at(0)).into_iter().map(|firing| firing.key).collect();
        assert_eq!(keys, ["s 192.0.2.3:53", "s 192.0.2.1:443"]);
        assert!(peers.take(&record, at(1)).is_empty());
    }

    #[test]
    fn many_keys_take_bounded_memory() {
        let mut rule =
            rule("{name: a, when: {decision: [DENY]}, by: [actor], rate: {count: 2, within: 1d}}");
        for actor in 0..3000 {
            rule.take(&denied(1, &format!("a{actor}")), at(actor));
            rule.take(&denied(1, &format!("a{actor}")), at(actor));
        }
        assert!(rule.recent.len() <= KEYS && rule.told.len() <= KEYS);
    }
}
