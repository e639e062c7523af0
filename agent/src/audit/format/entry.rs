//! A line of the log, as far as it can be read. Fields that this version does not know are carried along.

use std::borrow::Cow;

use data_encoding::HEXLOWER;
use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::severity::Severity;
use super::subject::Subject;
use crate::audit::{Attribution, Event, Status};
use crate::config::{Action, Mode};
use crate::warrant::{Effect, Verdict};

/// A record that was read back.
#[derive(Debug)]
pub struct Entry<'a> {
    line: &'a [u8],
    /// All its fields; none when the line is no JSON object.
    pub(super) fields: Map<String, Value>,
    event: Option<Event>,
    effects: Option<Effects>,
    hash: String,
}

/// What the kernel saw.
#[derive(Debug, Deserialize)]
pub(super) struct Effects {
    pub(super) verdict: Verdict,
    pub(super) attribution: Attribution,
    pub(super) backend: String,
    pub(super) warranted: Vec<Effect>,
    pub(super) exceeded: Vec<Effect>,
}

/// Digits of the hash that an event's id begins with.
const ID_DIGITS: usize = 32;

impl<'a> Entry<'a> {
    /// Reads a line without its line feed. One that cannot be read is a record of which nothing is known.
    pub fn read(line: &'a [u8]) -> Self {
        let fields = match serde_json::from_slice(line) {
            Ok(Value::Object(fields)) => fields,
            _ => Map::new(),
        };
        let hash = fields.get("hash").and_then(Value::as_str);
        let hash = hash.filter(|hash| hash.len() >= ID_DIGITS && hash.is_ascii());
        let hash = hash.map_or_else(|| HEXLOWER.encode(&Sha256::digest(line)), str::to_owned);
        let mut entry = Self { line, fields, event: None, effects: None, hash };
        entry.event = entry.read_as("event");
        entry.effects = entry.read_as("effects");
        entry
    }

    fn read_as<T: for<'de> Deserialize<'de>>(&self, field: &str) -> Option<T> {
        T::deserialize(self.fields.get(field)?).ok()
    }

    /// The line itself.
    pub(super) fn line(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.line)
    }

    /// Its number in the log; 0 when the line cannot be read.
    pub fn seq(&self) -> u64 {
        self.fields.get("seq").and_then(Value::as_u64).unwrap_or_default()
    }

    /// Its hash, or that of its bytes when it has none.
    pub(super) fn hash(&self) -> &str {
        &self.hash
    }

    /// The id of the record's event of this number.
    pub fn event_id(&self, number: usize) -> String {
        format!("{}-{number}", self.hash.get(..ID_DIGITS).unwrap_or(&self.hash))
    }

    /// Whether it is an alert of which a receiver is to be told.
    pub fn alert_for(&self, receiver: &str) -> bool {
        let to = self.fields.get("alert").and_then(|alert| alert.get("to")?.as_array());
        self.event == Some(Event::Alert)
            && to.is_none_or(|to| to.is_empty() || to.iter().any(|name| name == receiver))
    }

    /// When it was written.
    pub fn timestamp(&self) -> &str {
        self.text("timestamp").unwrap_or("1970-01-01T00:00:00.000Z")
    }

    /// The same in milliseconds since 1970.
    pub fn time_ms(&self) -> i64 {
        let time = self.timestamp().parse::<jiff::Timestamp>();
        time.map(jiff::Timestamp::as_millisecond).unwrap_or_default()
    }

    /// What it is about; nothing when this version does not know it.
    pub fn event(&self) -> Option<Event> {
        self.event
    }

    /// The same as a word.
    pub fn name(&self) -> &str {
        self.text("event").unwrap_or("unreadable")
    }

    /// A field that is a text and not empty.
    pub fn text(&self, field: &str) -> Option<&str> {
        self.fields.get(field)?.as_str().filter(|text| !text.is_empty())
    }

    pub(super) fn number(&self, field: &str) -> Option<u64> {
        self.fields.get(field)?.as_u64()
    }

    /// What policy decided.
    pub fn decision(&self) -> Option<Action> {
        self.read_as("policy_decision")
    }

    /// How it ended.
    pub fn status(&self) -> Option<Status> {
        self.read_as("status")
    }

    /// Whether what was denied happened all the same, because policy was only tried.
    pub(super) fn observed(&self) -> bool {
        self.read_as("mode") == Some(Mode::Observe)
    }

    pub(super) fn effects(&self) -> Option<&Effects> {
        self.effects.as_ref()
    }

    /// Whether its effects stayed within its warrant.
    pub fn verdict(&self) -> Option<Verdict> {
        self.effects.as_ref().map(|effects| effects.verdict)
    }

    /// Every effect that is not ambient, those that nothing covered first.
    pub fn all_effects(&self) -> impl Iterator<Item = (&Effect, bool)> {
        let effects = self.effects.iter();
        effects.flat_map(|effects| {
            let exceeded = effects.exceeded.iter().map(|effect| (effect, true));
            exceeded.chain(effects.warranted.iter().map(|effect| (effect, false)))
        })
    }

    pub(super) fn subject(&self) -> Subject {
        Subject::of(self.event)
    }

    /// How bad the record is as a whole.
    pub fn severity(&self) -> Severity {
        let own = self.subject().severity(self);
        match self.verdict() {
            Some(Verdict::Exceeded) => own.max(Severity::High),
            Some(Verdict::Incomplete) => own.max(Severity::Medium),
            _ => own,
        }
    }

    /// In one line for people: `call read_text_file by assistant-service on files: denied (…)`.
    pub fn summary(&self) -> String {
        let mut line = self.name().replace('_', " ");
        let mut add = |before: &str, field: &str| {
            if let Some(text) = self.text(field) {
                line.push_str(before);
                line.push_str(text);
            }
        };
        add(" ", if self.text("tool_name").is_some() { "tool_name" } else { "method" });
        add(" by ", "actor");
        add(" on ", "server_id");
        match self.decision() {
            Some(Action::Deny) if self.observed() => line.push_str(": would be denied"),
            Some(Action::Deny) => line.push_str(": denied"),
            Some(Action::Allow) => line.push_str(": allowed"),
            None => {}
        }
        if let Some(verdict) = self.verdict() {
            line.push_str(", ");
            line.push_str(verdict_name(verdict));
        }
        if let Some(error) = self.text("error") {
            line.push_str(": ");
            line.push_str(error);
        }
        line
    }
}

/// A verdict as the log has it.
pub(super) fn verdict_name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Within => "WITHIN",
        Verdict::Exceeded => "EXCEEDED",
        Verdict::Incomplete => "INCOMPLETE",
        Verdict::Unobserved => "UNOBSERVED",
    }
}
