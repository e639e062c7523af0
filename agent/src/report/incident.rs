//! An incident: a call, a session, a record or an alert, and what belongs to it.
//!
//! What is asked for leads to other records by the ids in it: calls that go on with it or that it goes on with
//! (`continues`), what a server asked meanwhile (`during`), alerts that follow it, the session. All of
//! that may stand before and after it, so the log is read until nothing new is found.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};

use super::entry::Entry;
use super::foreign::Foreign;
use super::scope::Relation;

/// Ids that are followed. An incident of more is a range.
const IDS: usize = 10_000;
/// Calls that go on with others, whose links are remembered: what asks again and again would be followed one
/// step with each reading otherwise.
const LINKS: usize = 100_000;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A correlation id, or a session's.
    Id(String),
    /// A record, by its number.
    Record(u64),
    /// The last alert, of this rule if there is one.
    Alert(Option<String>),
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = text.strip_prefix('#').unwrap_or(text);
        match text.split_once(':') {
            Some(("alert", rule)) => Ok(Self::Alert(Some(rule.to_owned()))),
            _ if text == "alert" => Ok(Self::Alert(None)),
            _ if text.is_empty() => Err("name a correlation id, a session or `alert`".to_owned()),
            _ => Ok(number.parse().map_or_else(|_| Self::Id(text.to_owned()), Self::Record)),
        }
    }
}

/// What is known of an incident.
#[derive(Debug, Clone)]
pub(super) struct Incident {
    target: Target,
    /// How much time before and after it is looked at.
    around: SignedDuration,
    /// Correlation ids, sessions and numbers of records that it is made of.
    calls: BTreeSet<String>,
    sessions: BTreeSet<String>,
    records: BTreeSet<(usize, u64)>,
    /// Calls and those that they go on with, whether they are of it or not.
    links: BTreeMap<String, String>,
    /// Sessions, callers and servers that it involves.
    involved: BTreeSet<String>,
    actors: BTreeSet<String>,
    servers: BTreeSet<String>,
    /// From its first to its last record.
    span: Option<(Timestamp, Timestamp)>,
}

impl Incident {
    pub(super) fn new(target: Target, around: SignedDuration) -> Self {
        Self {
            target,
            around,
            calls: BTreeSet::new(),
            sessions: BTreeSet::new(),
            records: BTreeSet::new(),
            links: BTreeMap::new(),
            involved: BTreeSet::new(),
            actors: BTreeSet::new(),
            servers: BTreeSet::new(),
            span: None,
        }
    }

    /// Whether anything was found.
    pub(super) fn is_found(&self) -> bool {
        self.span.is_some() || !self.records.is_empty()
    }

    /// The time that is looked at.
    pub(super) fn window(&self) -> Option<(Timestamp, Timestamp)> {
        let (from, to) = self.span?;
        let from = from.checked_sub(self.around).unwrap_or(Timestamp::MIN);
        Some((from, to.checked_add(self.around).unwrap_or(Timestamp::MAX)))
    }

    /// What a line must contain to be worth a look by [`Self::find`].
    pub(super) fn sought(&self) -> String {
        match &self.target {
            Target::Id(id) => quoted(id),
            Target::Record(seq) => format!("\"seq\":{seq},"),
            Target::Alert(_) => "\"event\":\"alert\"".to_owned(),
        }
    }

    /// What one of must be in a line to be worth a look by [`Self::follow`].
    pub(super) fn clues(&self) -> Vec<String> {
        let ids = self.calls.iter().chain(&self.sessions).map(|id| quoted(id));
        let records = self.records.iter().map(|(_, seq)| seq);
        let records =
            records.flat_map(|seq| [format!("\"seq\":{seq},"), format!("\"follows\":{seq},")]);
        ids.chain(records).collect()
    }

    /// Remembers which call another one goes on with.
    pub(super) fn link(&mut self, entry: &Entry) {
        if let (Some(call), Some(before)) = (&entry.correlation_id, &entry.continues)
            && self.links.len() < LINKS
        {
            self.links.insert(call.as_str().to_owned(), before.as_str().to_owned());
        }
    }

    /// Adds what is known to be linked with what is known to be of it.
    pub(super) fn join(&mut self) {
        let mut grows = true;
        while grows && self.calls.len() < IDS {
            let of_it = |(call, before): &(&String, &String)| {
                self.calls.contains(*call) != self.calls.contains(*before)
            };
            let new: Vec<String> = self
                .links
                .iter()
                .filter(of_it)
                .flat_map(|(call, before)| [call.clone(), before.clone()])
                .collect();
            grows = !new.is_empty();
            self.calls.extend(new);
        }
    }

    /// Looks for what is asked for. Once before anything else, over the whole log.
    pub(super) fn find(&mut self, entry: &Entry) {
        let is = |id: &Option<Foreign>, wanted: &str| id.as_ref().is_some_and(|id| id.is(wanted));
        let found = match &self.target {
            Target::Id(id) if is(&entry.session_id, id) => {
                insert(&mut self.sessions, entry.session_id.as_ref());
                true
            }
            Target::Id(id) => is(&entry.correlation_id, id),
            Target::Record(seq) => entry.seq == *seq,
            Target::Alert(rule) => {
                let found = entry.alert.as_ref().filter(|_| entry.is("alert"));
                let found =
                    found.is_some_and(|alert| rule.as_ref().is_none_or(|rule| alert.rule.is(rule)));
                let later = self.span.is_none_or(|(_, to)| entry.at().is_some_and(|at| at >= to));
                if found && later {
                    // The last one it is.
                    let links = std::mem::take(&mut self.links);
                    *self = Self { links, ..Self::new(self.target.clone(), self.around) };
                }
                found && later
            }
        };
        if found {
            self.add(entry);
        }
    }

    /// Looks for what belongs to what is known. Whether something new was found, so that all must be looked at
    /// once more.
    pub(super) fn follow(&mut self, entry: &Entry) -> bool {
        self.is_part(entry) && self.add(entry)
    }

    /// Adds a record and what it leads to. Whether that is new.
    fn add(&mut self, entry: &Entry) -> bool {
        let before = self.calls.len();
        if self.records.len() < IDS {
            self.records.insert((entry.log, entry.seq));
        }
        // What an alert follows stands before it.
        let follows = entry.alert.as_ref().and_then(|alert| alert.follows);
        let back = follows.is_some_and(|follows| self.records.insert((entry.log, follows)));
        let during = entry.during.iter().flat_map(|during| during.iter());
        let ids = entry.correlation_id.iter().chain(&entry.continues).chain(during);
        ids.for_each(|id| insert(&mut self.calls, Some(id)));
        insert(&mut self.involved, entry.session_id.as_ref());
        insert(&mut self.actors, entry.actor.as_ref());
        insert(&mut self.servers, entry.server_id.as_ref());
        if let Some(end) = entry.at() {
            let millis = i64::try_from(entry.duration_ms.unwrap_or(0)).unwrap_or(0);
            let begin = end.checked_sub(SignedDuration::from_millis(millis)).unwrap_or(end);
            let (from, to) = self.span.unwrap_or((begin, end));
            self.span = Some((from.min(begin), to.max(end)));
        }
        back || before != self.calls.len()
    }

    /// Whether a record is of what is asked for.
    fn is_part(&self, entry: &Entry) -> bool {
        let has = |set: &BTreeSet<String>, id: &Foreign| set.contains(id.as_str());
        let during = entry.during.iter().flat_map(|during| during.iter());
        let mut ids = entry.correlation_id.iter().chain(&entry.continues).chain(during);
        let has_record = |seq: u64| self.records.contains(&(entry.log, seq));
        has_record(entry.seq)
            || entry.session_id.as_ref().is_some_and(|id| has(&self.sessions, id))
            || ids.any(|id| has(&self.calls, id))
            || entry.alert.as_ref().and_then(|alert| alert.follows).is_some_and(has_record)
    }

    /// Why a record belongs.
    pub(super) fn relation(&self, entry: &Entry) -> Option<Relation> {
        let has = |set: &BTreeSet<String>, id: &Option<Foreign>| {
            id.as_ref().is_some_and(|id| set.contains(id.as_str()))
        };
        if self.is_part(entry) {
            return Some(Relation::Itself);
        }
        if has(&self.involved, &entry.session_id) {
            return Some(Relation::Session);
        }
        let (from, to) = self.window()?;
        let at_the_time = entry.at().is_some_and(|at| (from..=to).contains(&at));
        let near = has(&self.actors, &entry.actor)
            || has(&self.servers, &entry.server_id)
            || entry.is_of_daemon();
        (at_the_time && near).then_some(Relation::Around)
    }
}

/// An id as a line has it.
fn quoted(id: &str) -> String {
    serde_json::Value::from(id).to_string()
}

fn insert(set: &mut BTreeSet<String>, id: Option<&Foreign>) {
    if let Some(id) = id
        && set.len() < IDS
    {
        set.insert(id.as_str().to_owned());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// Reads a log as reports do, and gives the relations of its records.
    fn relations(target: &str, log: &[Value]) -> Vec<Option<Relation>> {
        let target = target.parse().expect("a target");
        let mut incident = Incident::new(target, SignedDuration::from_secs(60));
        let entries: Vec<Entry> = (1..)
            .zip(log)
            .map(|(seq, value)| {
                let entry = Entry::read(value.to_string().as_bytes()).expect("a record");
                Entry { seq, ..entry }
            })
            .collect();
        for entry in &entries {
            incident.link(entry);
            incident.find(entry);
        }
        incident.join();
        while entries.iter().filter(|entry| incident.follow(entry)).count() > 0 {}
        entries.iter().map(|entry| incident.relation(entry)).collect()
    }

    #[allow(clippy::needless_pass_by_value)] // Made for it.
    fn record(minute: u32, event: &str, ids: Value) -> Value {
        let mut record = json!({
            "timestamp": format!("2026-01-31T12:{minute:02}:00.000Z"), "event": event,
        });
        let ids = ids.as_object().cloned().unwrap_or_default();
        record.as_object_mut().expect("an object").extend(ids);
        record
    }

    const NONE: Option<Relation> = None;
    const ITSELF: Option<Relation> = Some(Relation::Itself);
    const SESSION: Option<Relation> = Some(Relation::Session);
    const AROUND: Option<Relation> = Some(Relation::Around);

    fn log() -> Vec<Value> {
        let of = |session: &str, call: &str, more: Value| {
            let mut ids = json!({
                "session_id": session, "correlation_id": call, "actor": "ada", "server_id": "files",
            });
            let more = more.as_object().cloned().unwrap_or_default();
            ids.as_object_mut().expect("an object").extend(more);
            ids
        };
        vec![
            record(0, "start", json!({})),
            record(1, "call", of("s1", "c0", json!({}))),
            record(5, "call", of("s1", "c1", json!({}))),
            record(6, "server_request", of("s1", "q1", json!({"during": ["c1"]}))),
            record(6, "call", of("s1", "c2", json!({"continues": "c1"}))),
            record(6, "call", of("s9", "c9", json!({"actor": "eve", "server_id": "mail"}))),
            record(6, "call", of("s8", "c8", json!({"actor": "eve"}))),
            record(6, "reload", json!({})),
            record(7, "call", of("s2", "c3", json!({"continues": "c2"}))),
            record(7, "alert", json!({"alert": {"rule": "r", "follows": 5, "about": "x"}})),
            record(30, "stop", json!({})),
        ]
    }

    #[test]
    fn a_call_leads_to_those_before_and_after_it_whichever_is_asked_for() {
        let expected =
            [NONE, SESSION, ITSELF, ITSELF, ITSELF, NONE, AROUND, AROUND, ITSELF, ITSELF, NONE];
        for asked in ["c1", "c2", "c3", "q1", "alert", "alert:r", "#3", "9"] {
            assert_eq!(relations(asked, &log()), expected, "{asked}");
        }
    }

    #[test]
    fn a_session_is_all_its_records() {
        let expected =
            [AROUND, ITSELF, ITSELF, ITSELF, ITSELF, NONE, AROUND, AROUND, ITSELF, ITSELF, NONE];
        assert_eq!(relations("s1", &log()), expected);
    }

    #[test]
    fn what_is_not_there_is_nothing() {
        for asked in ["c", "alert:other", "77"] {
            assert!(relations(asked, &log()).iter().all(Option::is_none), "{asked}");
        }
        assert!("".parse::<Target>().is_err());
    }
}
