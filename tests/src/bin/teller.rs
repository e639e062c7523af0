//! A small MCP server on stdin and stdout that has something to say beside its answers.
//!
//! ```text
//! count {steps, pause}    tells of its progress that many times, so many milliseconds apart, then answers
//! announce {}             answers, and then says that its tools have changed
//! repeat {text}           answers with the text; `times` of it when that is given
//! ```
#![forbid(unsafe_code)]

use std::io::{self, BufRead, Write};
use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};

fn main() -> io::Result<()> {
    for line in io::stdin().lock().lines() {
        let Ok(message) = serde_json::from_str::<Value>(&line?) else { continue };
        let Some(id) = message.get("id") else { continue };
        let params = message.get("params").cloned().unwrap_or_default();
        let result = match message.get("method").and_then(Value::as_str) {
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
        _ => "done".to_owned(),
    };
    Ok(json!({"content": [{"type": "text", "text": text}]}))
}

fn say(message: &Value) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{message}")?;
    stdout.flush()
}
