//! What every OCSF event has.

use serde_json::{Map, Value, json};

use super::super::Origin;
use super::super::entry::{Entry, verdict_name};
use super::super::part::{Part, left_out};
use crate::audit::Status;
use crate::config::Action;
use crate::warrant::{Outcome, Verdict};

/// The version of the schema.
const VERSION: &str = "1.8.0";

/// What an event is made of.
#[derive(Clone, Copy)]
pub(super) struct Builder<'a> {
    pub(super) entry: &'a Entry<'a>,
    pub(super) number: usize,
    pub(super) part: Part<'a>,
    pub(super) origin: &'a Origin,
}

/// A class of OCSF.
#[derive(Clone, Copy)]
pub(super) struct Class {
    pub(super) uid: u32,
    pub(super) category: u32,
    pub(super) name: &'static str,
    /// Profiles beside `host` and `security_control`.
    pub(super) profiles: &'static [&'static str],
}

/// What was done about something: `action_id` and `disposition_id` of the profile `security_control`.
type Control = (u8, &'static str, u8, &'static str);
const ALLOWED: Control = (1, "Allowed", 1, "Allowed");
const BLOCKED: Control = (2, "Denied", 2, "Blocked");
const DETECTED: Control = (3, "Observed", 15, "Detected");
const LOGGED: Control = (3, "Observed", 17, "Logged");

impl Builder<'_> {
    /// An event of a class, with an activity and its name.
    pub(super) fn event(self, class: Class, activity: (u32, &str)) -> Map<String, Value> {
        let entry = self.entry;
        let severity = self.part.severity(entry);
        let (action, action_name, disposition, disposition_name) = self.control();
        let alert = matches!(self.part, Part::Finding(_)) || class.uid == 2004;
        let event = json!({
            "activity_id": activity.0,
            "activity_name": activity.1,
            "category_uid": class.category,
            "class_uid": class.uid,
            "class_name": class.name,
            "type_uid": class.uid * 100 + activity.0,
            "time": entry.time_ms(),
            "severity_id": severity.ocsf(),
            "severity": severity.name(),
            "message": self.message(),
            "metadata": self.metadata(class),
            "device": {"hostname": self.origin.host, "name": self.origin.host, "type_id": 0},
            "action_id": action,
            "action": action_name,
            "disposition_id": disposition,
            "disposition": disposition_name,
            "is_alert": alert,
            "unmapped": self.unmapped(),
        });
        let mut event = object(event);
        if let Some(rule) = entry.text("policy_rule_matched") {
            event.insert("policy".into(), json!({"name": rule, "is_applied": !entry.observed()}));
        }
        event
    }

    fn message(self) -> String {
        match self.part {
            Part::Whole => self.entry.summary(),
            Part::Finding(_) => format!("finding: {}", self.entry.summary()),
            Part::Effect(effect, true) => format!("without a warrant: {effect}"),
            Part::Effect(effect, false) => effect.to_string(),
        }
    }

    fn metadata(self, class: Class) -> Value {
        let entry = self.entry;
        let mut profiles = vec!["host", "security_control"];
        profiles.extend(class.profiles);
        let mut metadata = object(json!({
            "version": VERSION,
            "product": {"name": "warrantd", "vendor_name": "warrantd", "version": self.origin.version},
            "profiles": profiles,
            "uid": entry.event_id(self.number),
            "log_name": "audit",
            "log_format": "JSON",
            "event_code": entry.name(),
            "original_time": entry.timestamp(),
            "sequence": entry.seq(),
        }));
        if let Some(id) = entry.text("correlation_id") {
            metadata.insert("correlation_uid".into(), id.into());
        }
        if matches!(self.part, Part::Whole) && left_out(entry) > 0 {
            metadata.insert("is_truncated".into(), true.into());
        }
        metadata.into()
    }

    /// The id of the record's own event, which others refer to.
    pub(super) fn whole_id(self) -> String {
        self.entry.event_id(0)
    }

    /// How the call, or the effect, came out.
    fn control(self) -> Control {
        let entry = self.entry;
        match (self.part, entry.decision(), entry.verdict()) {
            (Part::Effect(effect, exceeded), ..) => match (effect.outcome, exceeded) {
                (Outcome::Denied, _) => BLOCKED,
                (Outcome::Allowed, true) => DETECTED,
                (Outcome::Allowed, false) => ALLOWED,
            },
            (_, Some(Action::Deny), _) if entry.observed() => DETECTED,
            (_, Some(Action::Deny), _) => BLOCKED,
            (_, allowed, Some(Verdict::Exceeded | Verdict::Incomplete)) => {
                // A call whose effects were not within its warrant fails when its response is withheld.
                let withheld = allowed.is_some() && entry.status() != Some(Status::Success);
                if withheld { BLOCKED } else { DETECTED }
            }
            (_, Some(Action::Allow), _) => ALLOWED,
            (_, None, _) => LOGGED,
        }
    }

    /// How it ended, where somebody waits for an end.
    pub(super) fn add_status(self, event: &mut Map<String, Value>) {
        let (id, name) = match self.entry.status() {
            Some(Status::Success) => (1, "Success"),
            Some(Status::Failure) => (2, "Failure"),
            Some(Status::Timeout) => (99, "Timeout"),
            None => (0, "Unknown"),
        };
        event.insert("status_id".into(), id.into());
        event.insert("status".into(), name.into());
        if let Some(error) = self.entry.text("error") {
            event.insert("status_detail".into(), error.into());
        }
    }

    /// What OCSF has no field for. With the record's own event that is all that is left of the record.
    fn unmapped(self) -> Value {
        const ELSEWHERE: [&str; 4] = ["arguments", "effects", "timestamp", "duration_ms"];
        let entry = self.entry;
        let mut rest = Map::new();
        if matches!(self.part, Part::Whole) {
            let fields = entry.fields.iter();
            let fields = fields
                .filter(|(name, value)| !value.is_null() && !ELSEWHERE.contains(&name.as_str()));
            rest.extend(fields.map(|(name, value)| (name.clone(), value.clone())));
            if entry.fields.is_empty() {
                rest.insert("line".into(), entry.line().into());
            }
        } else {
            for name in ["seq", "hash", "prev_hash", "event", "mode", "server_id", "session_id"] {
                if let Some(value) = entry.fields.get(name).filter(|value| !value.is_null()) {
                    rest.insert(name.into(), value.clone());
                }
            }
        }
        if let Some(effects) = entry.effects() {
            let mut told = object(json!({
                "verdict": verdict_name(effects.verdict),
                "attribution": effects.attribution,
                "backend": effects.backend,
            }));
            if matches!(self.part, Part::Whole) {
                let counts = entry.fields.get("effects").and_then(|effects| effects.get("counts"));
                told.insert("counts".into(), counts.cloned().unwrap_or_default());
                told.insert("left_out".into(), left_out(entry).into());
            }
            rest.insert("effects".into(), told.into());
        }
        rest.into()
    }
}

/// The map of an object that was written as such.
pub(super) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
