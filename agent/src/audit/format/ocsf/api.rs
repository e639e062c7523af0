//! What was asked over the protocol, and who could not prove who he is.

use serde_json::{Map, Value, json};

use super::base::{Builder, Class, object};
use super::object::{caller, server, server_name, source};
use crate::audit::{Event, Status};

const API: Class =
    Class { uid: 6003, category: 6, name: "API Activity", profiles: &["ai_operation"] };
const TRACED_API: Class = Class { profiles: &["ai_operation", "trace"], ..API };
const AUTHENTICATION: Class =
    Class { uid: 3002, category: 3, name: "Authentication", profiles: &[] };

/// A call, a message that was refused, or a server's request to its client.
pub(super) fn activity(builder: Builder<'_>) -> Map<String, Value> {
    let entry = builder.entry;
    let method = entry.text("method").unwrap_or("unknown");
    let activity = if is_reading(method) { (2, "Read") } else { (99, method) };
    // `version-trace id-parent id-flags` (W3C Trace Context, section 3.2).
    let trace = entry.text("traceparent").and_then(|text| text.split('-').nth(1));
    let class = if trace.is_some() { TRACED_API } else { API };
    let mut event = builder.event(class, activity);
    builder.add_status(&mut event);
    event.insert("api".into(), api(builder, method));
    if entry.event() == Some(Event::ServerRequest) {
        let mut server = object(json!({"app_name": server_name(builder)}));
        if let Some(session) = entry.text("session_id") {
            server.insert("session".into(), json!({"uid": session}));
        }
        event.insert("actor".into(), server.into());
        event.insert("src_endpoint".into(), self::server(builder));
        event.insert("dst_endpoint".into(), source(builder));
    } else {
        event.insert("actor".into(), caller(builder));
        event.insert("src_endpoint".into(), source(builder));
        event.insert("dst_endpoint".into(), server(builder));
    }
    if let Some(tool) = entry.text("tool_name") {
        let resource = json!([{"name": tool, "type": "tool", "namespace": server_name(builder)}]);
        event.insert("resources".into(), resource);
    }
    if let Some(duration) = entry.number("duration_ms") {
        event.insert("duration".into(), duration.into());
    }
    if let Some(decision) = entry.text("policy_decision") {
        let mut authorization = object(json!({"decision": decision}));
        if let Some(rule) = entry.text("policy_rule_matched") {
            authorization.insert("policy".into(), json!({"name": rule}));
        }
        event.insert("authorizations".into(), json!([authorization]));
    }
    if let Some(trace) = trace {
        event.insert("trace".into(), json!({"uid": trace}));
    }
    let mut context = object(json!({
        "service": {"name": server_name(builder)}, "ai_role_id": 3, "ai_role": "Tool",
    }));
    if let Some(output) = entry.text("model_output_ref") {
        context.insert("uid".into(), output.into());
    }
    event.insert("message_context".into(), context.into());
    event
}

fn api(builder: Builder<'_>, method: &str) -> Value {
    let entry = builder.entry;
    let mut api = object(json!({
        "operation": method,
        "service": {"name": server_name(builder)},
    }));
    let mut data = Map::new();
    for name in ["tool_name", "arguments"] {
        if let Some(value) = entry.fields.get(name).filter(|value| !value.is_null()) {
            data.insert(name.into(), value.clone());
        }
    }
    let id = entry.text("correlation_id").map_or_else(|| builder.whole_id(), str::to_owned);
    api.insert("request".into(), json!({"uid": id, "data": data}));
    if entry.status() != Some(Status::Success)
        && let Some(error) = entry.text("error")
    {
        let name = entry.text("status").unwrap_or("FAILURE");
        api.insert("response".into(), json!({"error": name, "error_message": error}));
    } else if let Some(result) = entry.fields.get("result_metadata").filter(|r| !r.is_null()) {
        api.insert("response".into(), json!({"data": result}));
    }
    api.into()
}

fn is_reading(method: &str) -> bool {
    matches!(method, "resources/read" | "prompts/get" | "tasks/get" | "tasks/result")
        || method.ends_with("/list")
}

/// A caller that could not, or could, prove who it is.
pub(super) fn authentication(builder: Builder<'_>) -> Map<String, Value> {
    let entry = builder.entry;
    let mut event = builder.event(AUTHENTICATION, (1, "Logon"));
    builder.add_status(&mut event);
    let name = entry.text("actor").unwrap_or("unknown");
    event.insert("user".into(), json!({"name": name}));
    event.insert("service".into(), json!({"name": server_name(builder)}));
    event.insert("src_endpoint".into(), source(builder));
    event.insert("dst_endpoint".into(), server(builder));
    event.insert("is_remote".into(), entry.text("source_ip").is_some().into());
    if let Some(method) = entry.text("auth_method") {
        event.insert("auth_protocol_id".into(), 99.into());
        event.insert("auth_protocol".into(), method.into());
    }
    event
}
