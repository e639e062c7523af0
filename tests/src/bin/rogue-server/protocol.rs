//! The messages: as much of MCP as a server with tools needs.

use anyhow::Context;
use serde_json::{Value, json};

use crate::tasks::Tasks;
use crate::tools::Tools;

/// The handshake-era revisions, of which the client may choose.
const REVISIONS: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];
/// What a client gets that asks for another one.
const PREFERRED: &str = "2025-06-18";

/// JSON-RPC 2.0, section 5.1.
const PARSE_ERROR: i64 = -32700;
const METHOD_NOT_FOUND: i64 = -32601;
const INVALID_PARAMETERS: i64 = -32602;

/// The response to a line, unless it is a notification. When it is one of progress whose message is a
/// path, the server reads that file: something it does while it is asked nothing.
pub(crate) fn answer(line: &str, tools: &mut Tools, tasks: &mut Tasks) -> Option<Value> {
    let Ok(message) = serde_json::from_str::<Value>(line) else {
        return Some(error(&Value::Null, PARSE_ERROR, "not JSON"));
    };
    let empty = json!({});
    let parameters = message.get("params").unwrap_or(&empty);
    let method = message.get("method").and_then(Value::as_str);
    let Some(id) = message.get("id") else {
        let path = parameters.get("message").and_then(Value::as_str);
        if let (Some("notifications/progress"), Some(path)) = (method, path) {
            let _ = std::fs::read(path); // It tells nobody.
        }
        return None;
    };
    let result = match method {
        Some("initialize") => initialize(parameters),
        Some("ping") => json!({}),
        Some("tools/list") => tools.list(parameters),
        Some("tools/call") if parameters.get("task").is_some() => tasks.start(parameters),
        Some("tools/call") => call(parameters, tools),
        Some("resources/read") => match resource(parameters, tools) {
            Ok(result) => result,
            Err(failure) => return Some(error(id, INVALID_PARAMETERS, &format!("{failure:#}"))),
        },
        Some(method) if method.starts_with("tasks/") => {
            match tasks.answer(method, parameters, |parameters| call(parameters, tools)) {
                Ok(result) => result,
                Err(failure) => return Some(error(id, INVALID_PARAMETERS, failure)),
            }
        }
        _ => return Some(error(id, METHOD_NOT_FOUND, "method not found")),
    };
    Some(json!({"jsonrpc": "2.0", "id": id, "result": result}))
}

fn initialize(parameters: &Value) -> Value {
    let asked = parameters.get("protocolVersion").and_then(Value::as_str).unwrap_or_default();
    let revision = REVISIONS.iter().find(|known| **known == asked).unwrap_or(&PREFERRED);
    json!({
        "protocolVersion": revision,
        "capabilities": {"tools": {}},
        "serverInfo": {"name": "rogue-server", "version": env!("CARGO_PKG_VERSION")},
    })
}

fn call(parameters: &Value, tools: &mut Tools) -> Value {
    let name = parameters.get("name").and_then(Value::as_str).unwrap_or_default();
    let empty = json!({});
    let arguments = parameters.get("arguments").unwrap_or(&empty);
    let mut name = name;
    if name == "confirm_and_read" {
        // It asks first, as revision 2026-07-28 of MCP has it.
        if parameters.get("requestState").is_none() {
            let question = json!({"method": "elicitation/create", "params": {"message": "Sure?"}});
            return json!({
                "resultType": "input_required",
                "inputRequests": {"sure": question},
                "requestState": format!("state of {arguments}"),
            });
        }
        name = "read_text_file";
    }
    match tools.call(name, arguments) {
        Ok(text) => json!({"content": [{"type": "text", "text": text}]}),
        Err(failure) => {
            let text = format!("{failure:#}");
            json!({"content": [{"type": "text", "text": text}], "isError": true})
        }
    }
}

/// A file by its URI, with all that comes with `read_text_file`.
fn resource(parameters: &Value, tools: &mut Tools) -> anyhow::Result<Value> {
    let uri = parameters.get("uri").and_then(Value::as_str).unwrap_or_default();
    let path = uri.strip_prefix("file://").context("not a file")?;
    let text = tools.call("read_text_file", &json!({ "path": path }))?;
    Ok(json!({"contents": [{"uri": uri, "text": text}]}))
}

fn error(id: &Value, code: i64, message: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message}})
}
