//! The Elastic Common Schema, version 9.4. What it has no field for is below `warrantd`, where objects whose
//! names callers choose are texts: each name would become a field of the index.
//!
//! Whether something was allowed is in `event.type` and `event.action`; `event.outcome` says whether what
//! was asked for was done.

use serde_json::{Map, Value, json};

use super::Origin;
use super::entry::{Entry, verdict_name};
use super::part::{Part, left_out};
use super::subject::{Change, Subject};
use crate::audit::{Event, Status};
use crate::config::Action;
use crate::policy::network::Protocol;
use crate::warrant::{Effect, EffectKind, Outcome, Target};

const VERSION: &str = "9.4.0";

/// The event of one part of a record.
pub(super) fn event(entry: &Entry<'_>, number: usize, part: Part<'_>, origin: &Origin) -> String {
    let (category, kinds) = kind_of(entry, part);
    let finding = matches!(part, Part::Finding(_))
        || matches!(
            (part, entry.subject()),
            (Part::Whole, Subject::Definition(_) | Subject::Alert)
        );
    let message = match part {
        Part::Effect(effect, true) => format!("without a warrant: {effect}"),
        Part::Effect(effect, false) => effect.to_string(),
        Part::Whole | Part::Finding(_) => entry.summary(),
    };
    let mut event = map(json!({
        "id": entry.event_id(number),
        "kind": if finding { "alert" } else { "event" },
        "category": category,
        "type": kinds,
        "action": action(entry, part),
        "outcome": outcome(entry, part),
        "code": entry.name(),
        "module": "warrantd",
        "dataset": "warrantd.audit",
        "provider": "warrantd",
        "sequence": entry.seq(),
        "severity": part.severity(entry).ocsf(),
        "hash": entry.hash(),
    }));
    if let (Part::Whole, Some(ms)) = (part, entry.number("duration_ms")) {
        event.insert("duration".into(), ms.saturating_mul(1_000_000).into());
    }
    if let Some(error) = entry.text("error") {
        event.insert("reason".into(), error.into());
    }
    let mut all = map(json!({
        "@timestamp": entry.timestamp(),
        "ecs": {"version": VERSION},
        "message": message,
        "event": event,
        "host": {"hostname": origin.host, "name": origin.host},
        "observer": {"vendor": "warrantd", "product": "warrantd", "version": origin.version},
        "warrantd": own(entry, part),
    }));
    circumstances(entry, &mut all);
    if let Part::Effect(effect, _) = part {
        add_effect(effect, &mut all);
    }
    Value::Object(all).to_string()
}

/// `event.category` and `event.type`, which must be fit for each other.
fn kind_of(entry: &Entry<'_>, part: Part<'_>) -> (Vec<&'static str>, Vec<&'static str>) {
    let allowed = match part {
        Part::Effect(effect, _) => effect.outcome == Outcome::Allowed,
        _ => entry.decision() != Some(Action::Deny) || entry.observed(),
    };
    let allowed = if allowed { "allowed" } else { "denied" };
    match part {
        Part::Finding(_) => (vec!["intrusion_detection"], vec!["info"]),
        Part::Effect(effect, _) => {
            let (category, kind) = effect_kind(effect.kind);
            (vec![category, "intrusion_detection"], vec![kind, allowed])
        }
        Part::Whole => match entry.subject() {
            Subject::Api => (vec!["api"], vec!["access", allowed]),
            Subject::Authentication => (vec!["authentication"], vec!["start"]),
            Subject::Name => (vec!["network"], vec!["protocol", allowed]),
            Subject::Definition(_) => (vec!["configuration"], vec!["change"]),
            Subject::Alert => (vec!["intrusion_detection"], vec!["info"]),
            Subject::Lifecycle(change, _) => lifecycle(entry, change),
        },
    }
}

fn lifecycle(entry: &Entry<'_>, change: Change) -> (Vec<&'static str>, Vec<&'static str>) {
    let session = matches!(entry.event(), Some(Event::SessionStart | Event::SessionEnd));
    let category = if session { "session" } else { "process" };
    let kind = match change {
        Change::Start => "start",
        Change::Stop => "end",
        Change::Enable | Change::Disable => "change",
        Change::Told => "info",
    };
    (vec![category], vec![kind])
}

fn effect_kind(kind: EffectKind) -> (&'static str, &'static str) {
    match kind {
        EffectKind::FileRead | EffectKind::FileMap => ("file", "access"),
        EffectKind::FileWrite
        | EffectKind::FileRename
        | EffectKind::FileAttributes
        | EffectKind::Mount => ("file", "change"),
        EffectKind::FileCreate | EffectKind::FileLink => ("file", "creation"),
        EffectKind::FileDelete => ("file", "deletion"),
        EffectKind::Exec => ("process", "start"),
        EffectKind::LeaveCgroup => ("process", "change"),
        EffectKind::Connect | EffectKind::ConnectUnix => ("network", "start"),
        EffectKind::Bind | EffectKind::Socket => ("network", "info"),
        EffectKind::Send | EffectKind::Packet | EffectKind::LatePacket => ("network", "connection"),
    }
}

fn action(entry: &Entry<'_>, part: Part<'_>) -> String {
    match part {
        Part::Finding(verdict) => verdict_name(verdict).to_ascii_lowercase(),
        Part::Effect(effect, _) if effect.outcome == Outcome::Denied => {
            format!("{}_denied", effect.kind)
        }
        Part::Effect(effect, _) => format!("{}_allowed", effect.kind),
        Part::Whole => match entry.decision() {
            Some(Action::Allow) => format!("{}_allowed", entry.name()),
            Some(Action::Deny) if entry.observed() => format!("{}_denied_observed", entry.name()),
            Some(Action::Deny) => format!("{}_denied", entry.name()),
            None => entry.name().to_owned(),
        },
    }
}

fn outcome(entry: &Entry<'_>, part: Part<'_>) -> &'static str {
    match (part, entry.status()) {
        (Part::Effect(effect, _), _) if effect.outcome == Outcome::Denied => "failure",
        (Part::Effect(..), _) | (_, Some(Status::Success)) => "success",
        (_, Some(Status::Failure | Status::Timeout)) => "failure",
        (_, None) => "unknown",
    }
}

/// Who asked whom, and by which rule.
fn circumstances(entry: &Entry<'_>, all: &mut Map<String, Value>) {
    let mut put = |name: &str, value: Value| {
        all.insert(name.to_owned(), value);
    };
    if let Some(actor) = entry.text("actor") {
        put("user", json!({"name": actor}));
        put("related", json!({"user": [actor]}));
    }
    if let Some(ip) = entry.text("source_ip") {
        let real = ip.parse::<std::net::IpAddr>().is_ok();
        put("source", if real { json!({"ip": ip}) } else { json!({"address": ip}) });
    }
    if let Some(server) = entry.text("server_id") {
        put("service", json!({"name": server, "type": "mcp"}));
    }
    if let Some(rule) = entry.text("policy_rule_matched") {
        put("rule", json!({"name": rule}));
    }
    if let Some(error) = entry.text("error") {
        put("error", json!({"message": error}));
    }
    if let Some(trace) = entry.text("traceparent").and_then(|text| text.split('-').nth(1)) {
        put("trace", json!({"id": trace}));
    }
}

fn add_effect(effect: &Effect, all: &mut Map<String, Value>) {
    let process = &effect.process;
    let mut doer = map(json!({
        "pid": process.pid,
        "thread": {"id": process.tid},
        "name": process.exe.rsplit('/').next().unwrap_or_default(),
        "executable": process.exe,
        "user": {"id": process.uid.to_string()},
    }));
    match &effect.target {
        Target::File(program) if effect.kind == EffectKind::Exec => {
            doer.insert("parent".into(), json!({"executable": process.exe}));
            doer.insert("executable".into(), program.path.clone().into());
            doer.insert("name".into(), program.path.rsplit('/').next().unwrap_or_default().into());
            doer.insert("args".into(), json!(effect.argv));
            doer.insert("command_line".into(), effect.argv.join(" ").into());
        }
        Target::File(socket) if effect.kind == EffectKind::ConnectUnix => {
            all.insert("destination".into(), json!({"address": socket.path}));
            all.insert("network".into(), json!({"type": "unix", "direction": "internal"}));
        }
        Target::File(file) => {
            let name = file.path.rsplit('/').next().unwrap_or_default();
            let file = json!({"path": file.path, "name": name, "inode": file.ino.to_string()});
            all.insert("file".into(), file);
        }
        Target::Peer(peer) => {
            let mut end = map(json!({
                "address": peer.peer.ip().to_string(),
                "ip": peer.peer.ip().to_string(),
                "port": peer.peer.port(),
            }));
            if let [first, ..] = peer.names.as_slice() {
                end.insert("domain".into(), first.clone().into());
            }
            let inbound = effect.kind == EffectKind::Bind;
            all.insert(if inbound { "source" } else { "destination" }.into(), end.into());
            let (transport, number) = match peer.protocol {
                Protocol::Tcp => ("tcp".to_owned(), 6),
                Protocol::Udp => ("udp".to_owned(), 17),
                Protocol::Other(number) => (format!("protocol-{number}"), number),
            };
            let network = json!({
                "transport": transport,
                "iana_number": number.to_string(),
                "type": if peer.peer.is_ipv4() { "ipv4" } else { "ipv6" },
                "direction": if inbound { "ingress" } else { "egress" },
            });
            all.insert("network".into(), network);
        }
    }
    all.insert("process".into(), doer.into());
}

/// What ECS has no field for.
fn own(entry: &Entry<'_>, part: Part<'_>) -> Value {
    const ELSEWHERE: [&str; 11] = [
        "timestamp",
        "actor",
        "source_ip",
        "server_id",
        "error",
        "duration_ms",
        "event",
        "hash",
        "seq",
        "effects",
        "policy_rule_matched",
    ];
    const TEXTS: [&str; 3] = ["arguments", "warrant", "context_sources"];
    let mut rest = Map::new();
    match part {
        Part::Whole => {
            for (name, value) in &entry.fields {
                if value.is_null() || ELSEWHERE.contains(&name.as_str()) {
                    continue;
                }
                let value = match value {
                    text if TEXTS.contains(&name.as_str()) => text.to_string().into(),
                    plain => plain.clone(),
                };
                rest.insert(name.clone(), value);
            }
        }
        Part::Finding(_) | Part::Effect(..) => {
            for name in ["correlation_id", "session_id", "tool_name", "mode", "prev_hash"] {
                if let Some(value) = entry.fields.get(name).filter(|value| !value.is_null()) {
                    rest.insert(name.to_owned(), value.clone());
                }
            }
        }
    }
    if let Some(effects) = entry.effects() {
        let mut told = map(json!({
            "verdict": verdict_name(effects.verdict),
            "attribution": effects.attribution,
            "backend": effects.backend,
        }));
        if let Part::Whole = part {
            let counts = entry.fields.get("effects").and_then(|effects| effects.get("counts"));
            told.insert("counts".into(), counts.cloned().unwrap_or_default());
            told.insert("left_out".into(), left_out(entry).into());
        }
        rest.insert("effects".into(), told.into());
    }
    if let Part::Effect(effect, exceeded) = part {
        let told = json!({"kind": effect.kind, "exceeded": exceeded, "event": effect.seq});
        rest.insert("effect".into(), told);
    }
    if entry.fields.is_empty() {
        rest.insert("line".into(), entry.line().into());
    }
    rest.into()
}

fn map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
