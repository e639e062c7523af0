//! Objects that several classes have.

use std::net::IpAddr;

use serde_json::{Map, Value, json};

use super::base::{Builder, object};
use crate::warrant::Process;

/// Who asked: the authenticated caller and its session.
pub(super) fn caller(builder: Builder<'_>) -> Value {
    let entry = builder.entry;
    let mut actor = Map::new();
    if let Some(name) = entry.text("actor") {
        actor.insert("user".into(), json!({"name": name, "type_id": 4, "type": "Service"}));
    }
    if let Some(session) = entry.text("session_id") {
        actor.insert("session".into(), json!({"uid": session}));
    }
    if actor.is_empty() {
        actor.insert("app_name".into(), "unknown caller".into());
    }
    if let Some(user) = entry.text("end_user_id") {
        actor.insert("invoked_by".into(), user.into());
    }
    actor.into()
}

/// Where the caller is: its address, or this host.
pub(super) fn source(builder: Builder<'_>) -> Value {
    match builder.entry.text("source_ip") {
        Some(text) => match text.parse::<IpAddr>() {
            Ok(ip) => json!({"ip": ip.to_string()}),
            Err(_) => json!({"name": text}), // Sanitized, perhaps.
        },
        None => json!({"hostname": builder.origin.host, "name": "local"}),
    }
}

/// The server that is spoken to, or warrantd.
pub(super) fn server(builder: Builder<'_>) -> Value {
    json!({"svc_name": server_name(builder), "hostname": builder.origin.host})
}

pub(super) fn server_name(builder: Builder<'_>) -> &str {
    builder.entry.text("server_id").unwrap_or("warrantd")
}

/// A process as the kernel saw it.
pub(super) fn process(process: &Process) -> Value {
    let mut found = object(json!({
        "pid": process.pid,
        "tid": process.tid,
        "name": base_name(&process.exe),
        "user": {"uid": process.uid.to_string()},
    }));
    if process.exe.starts_with('/') {
        found.insert("path".into(), process.exe.clone().into());
        let file = json!({"name": base_name(&process.exe), "path": process.exe, "type_id": 8});
        found.insert("file".into(), file);
    }
    found.into()
}

/// Who caused an effect.
pub(super) fn doer(builder: Builder<'_>, doing: &Process) -> Value {
    let mut actor = object(json!({"process": process(doing), "app_name": server_name(builder)}));
    if let Some(session) = builder.entry.text("session_id") {
        actor.insert("session".into(), json!({"uid": session}));
    }
    actor.into()
}

pub(super) fn base_name(path: &str) -> &str {
    let name = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    if name.is_empty() { path } else { name }
}
