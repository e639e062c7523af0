//! A small MCP server on stdin and stdout that has something to say beside its answers.
//!
//! ```text
//! count {steps, pause}    tells of its progress that many times, so many milliseconds apart, then answers
//! announce {}             answers, and then says that its tools have changed
//! repeat {text}           answers with the text; `times` of it when that is given
//! mumble {text}           logs the text, then answers
//! ask {}                  asks for more input, as revision 2026-07-28 has it
//! garble {how}            answers with a key twice, or `deep`
//! ```
//!
//! It speaks revisions of both eras; `--era handshake` and `--era modern` limit it to one.
#![forbid(unsafe_code)]

use std::io::{self, BufRead, Write};
use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};

const VERSION: &str = "io.modelcontextprotocol/protocolVersion";

fn main() -> io::Result<()> {
    let era = std::env::args().skip_while(|word| word != "--era").nth(1);
    let knows = |other: &str| era.as_deref().is_none_or(|era| era == other);
    for line in io::stdin().lock().lines() {
        let Ok(message) = serde_json::from_str::<Value>(&line?) else { continue };
        let Some(id) = message.get("id") else { continue };
        let params = message.get("params").cloned().unwrap_or_default();
        let modern = !params["_meta"][VERSION].is_null();
        let method = message.get("method").and_then(Value::as_str);
        let refusal = match method {
            Some("initialize") if knows("handshake") => None,
            Some("server/discover") if knows("modern") => None,
            Some("initialize" | "server/discover") => Some((-32601, "Method not found")),
            _ if !modern && !knows("handshake") => Some((-32602, "no revision")),
            _ => None,
        };
        if let Some((code, why)) = refusal {
            let error = json!({"code": code, "message": why});
            say(&json!({"jsonrpc": "2.0", "id": id, "error": error}))?;
            continue;
        }
        let result = match method {
            Some("initialize") => json!({
                "protocolVersion": params["protocolVersion"],
                "capabilities": {"tools": {"listChanged": true}},
                "serverInfo": {"name": "teller", "version": "1"},
            }),
            Some("tools/list") => json!({"tools": tools()}),
            Some("tools/call") => call(&params)?,
            Some("server/discover") => json!({
                "supportedVersions": ["2026-07-28"],
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "teller", "version": "1"},
            }),
            _ => json!({}),
        };
        if params.get("name") == Some(&json!("garble")) {
            garble(id, params["arguments"]["how"].as_str().unwrap_or("twice"))?;
            continue;
        }
        say(&json!({"jsonrpc": "2.0", "id": id, "result": result}))?;
        if params.get("name") == Some(&json!("announce")) {
            say(&json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}))?;
        }
    }
    Ok(())
}

fn tools() -> Value {
    let tool = |name: &str, properties: Value| json!({"name": name, "inputSchema": {"type": "object", "properties": properties}});
    json!([
        tool("count", json!({"steps": {"type": "integer"}, "pause": {"type": "integer"}})),
        tool("announce", json!({})),
        tool("mumble", json!({"text": {"type": "string"}})),
        tool("ask", json!({})),
        tool("garble", json!({"how": {"type": "string"}})),
        tool(
            "repeat",
            json!({"text": {"type": "string", "x-mcp-header": "Text"}, "times": {"type": "integer"}})
        ),
    ])
}

fn call(params: &Value) -> io::Result<Value> {
    let arguments = &params["arguments"];
    let text = match params["name"].as_str() {
        Some("count") => {
            let steps = arguments["steps"].as_u64().unwrap_or(3);
            for step in 1..=steps {
                let token = &params["_meta"]["progressToken"];
                let told = json!({"progressToken": token, "progress": step, "total": steps});
                say(
                    &json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": told}),
                )?;
                sleep(Duration::from_millis(arguments["pause"].as_u64().unwrap_or(0)));
            }
            format!("counted to {steps}")
        }
        Some("repeat") => {
            let times = arguments["times"].as_u64().unwrap_or(1);
            let times = usize::try_from(times).unwrap_or(1);
            arguments["text"].as_str().unwrap_or_default().repeat(times)
        }
        Some("mumble") => {
            let told = json!({"level": "info", "data": arguments["text"]});
            say(&json!({"jsonrpc": "2.0", "method": "notifications/message", "params": told}))?;
            "mumbled".to_owned()
        }
        Some("ask") => {
            let requests = json!({"a": {"method": "roots/list"}});
            return Ok(
                json!({"resultType": "input_required", "inputRequests": requests, "requestState": "s"}),
            );
        }
        _ => "done".to_owned(),
    };
    Ok(json!({"content": [{"type": "text", "text": text}]}))
}

/// An answer that readers may take for different ones, or as deep as it is said to be.
fn garble(id: &Value, how: &str) -> io::Result<()> {
    let result = match how.strip_prefix("deep ").and_then(|depth| depth.parse().ok()) {
        Some(depth) => {
            let depth: usize = depth;
            format!("{{\"content\":[],\"x\":{}{}}}", "[".repeat(depth), "]".repeat(depth))
        }
        None => "{\"content\":[],\"content\":[{\"type\":\"text\",\"text\":\"SECRET\"}]}".to_owned(),
    };
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{result}}}")?;
    stdout.flush()
}

fn say(message: &Value) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{message}")?;
    stdout.flush()
}
