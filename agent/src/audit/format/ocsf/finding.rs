//! What somebody has to look at.

use serde_json::{Map, Value, json};

use super::base::{Builder, Class, object};
use super::object::{caller, doer, process, server_name};
use crate::warrant::{Target, Verdict};

const FINDING: Class = Class { uid: 2004, category: 2, name: "Detection Finding", profiles: &[] };
/// Most effects that a finding shows itself; all are in the record.
const MAX_EVIDENCE: usize = 8;

/// Effects for which there was no warrant, or that nobody can tell.
pub(super) fn verdict(builder: Builder<'_>, verdict: Verdict) -> Map<String, Value> {
    let entry = builder.entry;
    let (title, text) = match verdict {
        Verdict::Exceeded => (
            "Effects exceeded the warrant",
            "a server did, or tried, what the call that it was given does not allow",
        ),
        _ => (
            "Effects are not known whole",
            "kernel events were lost or cut, so that nobody can say what a server did",
        ),
    };
    let mut event = finding(builder, title, text, "warrant");
    let effects = entry.all_effects().filter(|(_, exceeded)| *exceeded).take(MAX_EVIDENCE);
    let evidence: Vec<Value> = effects
        .map(|(effect, _)| {
            let mut seen = object(json!({
                "process": process(&effect.process),
                "data": {"effect": effect.to_string()},
            }));
            match &effect.target {
                Target::File(file) => {
                    seen.insert("file".into(), super::effect::file(file));
                }
                Target::Peer(peer) => {
                    seen.insert("dst_endpoint".into(), super::effect::endpoint(peer));
                }
            }
            seen.into()
        })
        .collect();
    if let Some((first, _)) = entry.all_effects().find(|(_, exceeded)| *exceeded) {
        event.insert("actor".into(), doer(builder, &first.process));
    }
    if !evidence.is_empty() {
        event.insert("evidences".into(), evidence.into());
    }
    event
}

/// A tool that is not what was accepted, or a rule for alerts that holds.
pub(super) fn told(builder: Builder<'_>) -> Map<String, Value> {
    let (title, by) = match builder.entry.name() {
        "tool_changed" => ("A tool's definition changed", "pinning"),
        "tool_new" => ("A tool was never accepted", "pinning"),
        "tool_vanished" => ("An accepted tool vanished", "pinning"),
        _ => ("A rule for alerts holds", "alerts"),
    };
    finding(builder, title, &builder.entry.summary(), by)
}

fn finding(builder: Builder<'_>, title: &str, text: &str, by: &str) -> Map<String, Value> {
    let entry = builder.entry;
    let mut event = builder.event(FINDING, (1, "Create"));
    event.insert("status_id".into(), 1.into());
    event.insert("status".into(), "New".into());
    event.insert("confidence_id".into(), 3.into());
    event.insert("confidence".into(), "High".into());
    let mut info = object(json!({
        "uid": entry.event_id(builder.number),
        "title": title,
        "desc": text,
        "analytic": {"name": by, "type_id": 1, "type": "Rule"},
        "created_time": entry.time_ms(),
    }));
    if builder.number > 0 {
        info.insert("related_events".into(), json!([{"uid": builder.whole_id()}]));
    }
    event.insert("finding_info".into(), info.into());
    event.insert("actor".into(), caller(builder));
    let mut resources = vec![json!({"name": server_name(builder), "type": "mcp_server"})];
    if let Some(tool) = entry.text("tool_name") {
        resources.push(json!({"name": tool, "type": "tool"}));
    }
    event.insert("resources".into(), resources.into());
    event
}
