//! A small MCP server on stdin and stdout that shows exactly what reached it.
//!
//! With the name of a file as its argument it writes there each line that it reads, as `heard ` and the bytes with
//! everything but printable ASCII escaped, and each line that it answers, as `said `. It has one tool, `echo`, and the result of a call has the
//! keys and values of the call's parameters as they stand there, byte for byte, so that it is nested no deeper.

use std::fs::File;
use std::io::{self, BufRead, Write};

use serde::Deserialize;
use serde_json::value::RawValue;

/// The keys that count. Whatever else a message has is passed over.
#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    method: Option<String>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
}

const INITIALIZED: &str = r#"{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"echo-server","version":"1.0.0"}}"#;
const TOOLS: &str =
    r#"{"tools":[{"name":"echo","description":"Says it again","inputSchema":{"type":"object"}}]}"#;

fn main() -> io::Result<()> {
    let (mut stdin, mut stdout) = (io::stdin().lock(), io::stdout().lock());
    let mut log = std::env::args_os().nth(1).map(File::create).transpose()?;
    let mut note = |word: &str, line: &[u8]| match &mut log {
        Some(log) => writeln!(log, "{word} {}", line.escape_ascii()),
        None => Ok(()),
    };
    let mut line = Vec::new();
    while stdin.read_until(b'\n', &mut line)? > 0 {
        let message = line.strip_suffix(b"\n").unwrap_or(&line);
        note("heard", message)?;
        if let Some(answer) = answer(message) {
            note("said", &answer)?;
            stdout.write_all(&answer)?;
            stdout.write_all(b"\n")?;
            stdout.flush()?;
        }
        line.clear();
    }
    Ok(())
}

/// The response to a request; nothing to what is none.
fn answer(message: &[u8]) -> Option<Vec<u8>> {
    let request: Request<'_> = serde_json::from_slice(message).ok()?;
    let id = request.id?.get();
    let params = request.params.map_or("{}", RawValue::get);
    let result = match request.method?.as_str() {
        "initialize" => INITIALIZED.to_owned(),
        "ping" => "{}".to_owned(),
        "tools/list" => TOOLS.to_owned(),
        "tools/call" => repeated(params),
        _ => return None,
    };
    Some(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#).into_bytes())
}

/// A result with no content, and with what the parameters say.
fn repeated(params: &str) -> String {
    match params.trim_start().strip_prefix('{').map(str::trim_start) {
        Some(rest) if !rest.starts_with('}') => format!(r#"{{"content":[],{rest}"#),
        _ => r#"{"content":[]}"#.to_owned(),
    }
}
