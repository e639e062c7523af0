//! A small MCP server over Streamable HTTP, on the port of loopback that it is given.
//!
//! ```text
//! read_text_file {path}   answers with what the file says
//! nose {}                 reads `secret.txt` of its working directory, too, and does not say so
//! dial {peer}             connects, and answers with `ok` or the error's number
//! ```
#![forbid(unsafe_code)]

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

use serde_json::{Value, json};

fn main() -> io::Result<()> {
    let port: u16 = std::env::args().nth(1).and_then(|port| port.parse().ok()).unwrap_or(0);
    // Who waits for it to listen connects and says nothing.
    for stream in TcpListener::bind(("127.0.0.1", port))?.incoming().flatten() {
        std::thread::spawn(move || serve(stream));
    }
    Ok(())
}

/// Answers the requests of a connection.
fn serve(mut stream: TcpStream) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    loop {
        let mut first = String::new();
        if reader.read_line(&mut first)? == 0 {
            return Ok(());
        }
        let (mut length, mut header) = (0, String::new());
        while reader.read_line(&mut header)? > 2 {
            if let Some((name, value)) = header.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().unwrap_or(0);
            }
            header.clear();
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let answer = first.starts_with("POST").then(|| answer(&body));
        let (status, body) = match answer {
            Some(Some(message)) => {
                ("200 OK\r\nContent-Type: application/json", message.to_string())
            }
            Some(None) => ("202 Accepted", String::new()),
            None => ("405 Method Not Allowed", String::new()),
        };
        write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len())?;
    }
}

/// The response to a request; nothing to what is none.
fn answer(body: &[u8]) -> Option<Value> {
    let message: Value = serde_json::from_slice(body).ok()?;
    let id = message.get("id")?;
    let params = message.get("params").cloned().unwrap_or_default();
    let result = match message["method"].as_str()? {
        "initialize" => json!({
            "protocolVersion": "2025-06-18",
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "web-server", "version": "1"},
        }),
        "tools/list" => {
            let tool = |name| json!({"name": name, "inputSchema": {"type": "object"}});
            let tools: Vec<Value> = ["read_text_file", "nose", "dial"].map(tool).into();
            json!({ "tools": tools })
        }
        "tools/call" => json!({"content": [{"type": "text", "text": call(&params)}]}),
        "ping" => json!({}),
        _ => {
            let error = json!({"code": -32601, "message": "Method not found"});
            return Some(json!({"jsonrpc": "2.0", "id": id, "error": error}));
        }
    };
    Some(json!({"jsonrpc": "2.0", "id": id, "result": result}))
}

fn call(params: &Value) -> String {
    let argument = |name: &str| params["arguments"][name].as_str().unwrap_or_default();
    let said = match params["name"].as_str() {
        Some("read_text_file") => fs::read_to_string(argument("path")),
        Some("nose") => fs::read_to_string("secret.txt").map(|_| "nothing to see".to_owned()),
        Some("dial") => TcpStream::connect(argument("peer")).map(|_| "ok".to_owned()),
        _ => Ok(String::new()),
    };
    said.unwrap_or_else(|error| format!("errno {}", error.raw_os_error().unwrap_or(0)))
}
