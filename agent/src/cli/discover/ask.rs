//! Asking listening ports whether they are MCP servers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Failure;
use super::processes::Processes;
use crate::discover::{Inventory, Listening, Mask};

/// How long a port has for all that it is asked.
const PATIENCE: Duration = Duration::from_secs(1);
/// Ports that are asked at once, and altogether.
const AT_ONCE: usize = 16;
const MOST: usize = 512;
/// Longest answer that is read, in bytes.
const MAX_ANSWER: usize = 64 << 10;
/// Where servers answer.
const PATHS: [&str; 2] = ["/mcp", "/"];
const MODERN: &str = "2026-07-28";
const HANDSHAKE: &str = "2025-11-25";

/// Asks every listening TCP port of this host, over loopback, and puts what answers into the inventory.
pub(super) fn all(
    processes: &Processes,
    mask: &Mask,
    inventory: &mut Inventory,
) -> Result<(), Failure> {
    let mut ports = processes.tcp();
    ports.sort();
    ports.dedup_by_key(|(address, _)| *address);
    if ports.len() > MOST {
        tracing::warn!("only {MOST} of {} listening ports are asked", ports.len());
        ports.truncate(MOST);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::other)?;
    let answers = runtime.block_on(ask_all(ports));
    for (address, pids, answer) in answers {
        let shown = address.to_string();
        let known = inventory.listening.iter_mut().find(|listening| listening.address == shown);
        match (known, answer) {
            (Some(known), answer) => {
                known.answer = Some(answer.unwrap_or_else(|| "no MCP over HTTP".to_owned()));
            }
            (None, Some(answer)) => inventory.listening.push(Listening {
                address: shown,
                command: pids
                    .first()
                    .and_then(|pid| processes.get(*pid))
                    .map_or_else(Vec::new, |process| mask.command(&process.command)),
                pids,
                answer: Some(answer),
                exposed: !address.ip().is_loopback(),
            }),
            (None, None) => {}
        }
    }
    Ok(())
}

type Asked = (SocketAddr, Vec<u32>, Option<String>);

async fn ask_all(ports: Vec<(SocketAddr, Vec<u32>)>) -> Vec<Asked> {
    let mut answers = Vec::new();
    let mut asking = JoinSet::new();
    let mut ports = ports.into_iter();
    loop {
        while asking.len() < AT_ONCE
            && let Some((address, pids)) = ports.next()
        {
            asking.spawn(async move {
                let answer = timeout(PATIENCE, ask(address)).await.ok().flatten();
                (address, pids, answer)
            });
        }
        match asking.join_next().await {
            Some(Ok(answer)) => answers.push(answer),
            Some(Err(_)) => {} // A task neither panics nor is called off.
            None => break,
        }
    }
    answers.sort_by_key(|(address, ..)| *address);
    answers
}

/// What a port says of itself; nothing when it is no MCP server.
async fn ask(address: SocketAddr) -> Option<String> {
    // What listens on all addresses listens on loopback.
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip if ip.is_loopback() => ip,
        _ => return None,
    };
    let address = SocketAddr::new(ip, address.port());
    for path in PATHS {
        let modern = post(address, path, MODERN, &discover()).await?;
        if let Some(said) = modern.says(path) {
            return Some(said);
        }
        let handshake = post(address, path, HANDSHAKE, &initialize()).await?;
        if let Some(session) = &handshake.session {
            end(address, path, session).await;
        }
        if let Some(said) = handshake.says(path) {
            return Some(said);
        }
    }
    None
}

fn discover() -> Value {
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": client(),
    });
    json!({"jsonrpc": "2.0", "id": 1, "method": "server/discover", "params": {"_meta": meta}})
}

fn initialize() -> Value {
    let params = json!({"protocolVersion": HANDSHAKE, "capabilities": {}, "clientInfo": client()});
    json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params})
}

fn client() -> Value {
    json!({"name": "warrantd-discover", "version": env!("CARGO_PKG_VERSION")})
}

/// What came back.
struct Answer {
    status: StatusCode,
    /// The session that the question began.
    session: Option<String>,
    /// It names where to get a token for a protected resource (RFC 9728, section 5.1).
    protected: bool,
    message: Option<Value>,
}

impl Answer {
    /// What it says of a server; nothing when it is none, or one that must be asked otherwise.
    fn says(&self, path: &str) -> Option<String> {
        let result = self.message.as_ref().and_then(|message| message.get("result"));
        if let Some(result) = result {
            let info = result.pointer("/_meta/io.modelcontextprotocol~1serverInfo");
            let info = info.or_else(|| result.get("serverInfo"));
            let text = |key| info.and_then(|info| info.get(key)).and_then(Value::as_str);
            let (name, version) = (text("name").unwrap_or("MCP server"), text("version"));
            let versions = match (result.get("supportedVersions"), result.get("protocolVersion")) {
                (Some(Value::Array(all)), _) => all.iter().filter_map(Value::as_str).collect(),
                (_, Some(Value::String(one))) => vec![one.as_str()],
                _ => return None,
            };
            let name = [Some(name), version].into_iter().flatten().collect::<Vec<_>>().join(" ");
            let name: String = name.chars().take(100).collect();
            return Some(format!("{name} at {path}, MCP {}", versions.join(", ")));
        }
        let asks = self.status == StatusCode::UNAUTHORIZED && self.protected;
        asks.then(|| format!("a server at {path} that wants a token first"))
    }
}

/// Posts a message over a connection of its own. Nothing when this is no HTTP.
async fn post(address: SocketAddr, path: &str, version: &str, message: &Value) -> Option<Answer> {
    let method = message.get("method").and_then(Value::as_str).unwrap_or_default();
    let request = request(Method::POST, address, path)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::ACCEPT, "application/json, text/event-stream")
        .header("MCP-Protocol-Version", version)
        .header("Mcp-Method", method)
        .body(Full::new(Bytes::from(message.to_string())))
        .ok()?;
    let response = send(address, request).await?;
    let text = |name: &str| {
        let value = response.headers().get(name).and_then(|value| value.to_str().ok());
        value.map(str::to_owned)
    };
    let session = text("mcp-session-id");
    let protected =
        text("www-authenticate").is_some_and(|value| value.contains("resource_metadata"));
    let streamed = text("content-type").is_some_and(|kind| kind.starts_with("text/event-stream"));
    let status = response.status();
    let message = body(response.into_body(), streamed).await;
    Some(Answer { status, session, protected, message })
}

/// Ends a session that a question began. Whether it works does not matter: sessions end by themselves.
async fn end(address: SocketAddr, path: &str, session: &str) {
    let request = request(Method::DELETE, address, path)
        .header("Mcp-Session-Id", session)
        .header("MCP-Protocol-Version", HANDSHAKE)
        .body(Full::new(Bytes::new()));
    if let Ok(request) = request {
        let _ = send(address, request).await;
    }
}

fn request(method: Method, address: SocketAddr, path: &str) -> http::request::Builder {
    Request::builder().method(method).uri(path).header(header::HOST, address.to_string())
}

async fn send(address: SocketAddr, request: Request<Full<Bytes>>) -> Option<Response<Incoming>> {
    let stream = TcpStream::connect(address).await.ok()?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.ok()?;
    tokio::spawn(connection);
    sender.send_request(request).await.ok()
}

/// The JSON-RPC message in a body: all of it, or the first event with data.
async fn body(mut body: Incoming, streamed: bool) -> Option<Value> {
    let mut text = Vec::new();
    while let Some(Ok(frame)) = body.frame().await {
        text.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
        if text.len() > MAX_ANSWER {
            return None;
        }
        if streamed && let Some(message) = event(&text) {
            return Some(message);
        }
    }
    let message: Value = serde_json::from_slice(&text).ok()?;
    (message.get("jsonrpc")? == "2.0").then_some(message)
}

/// The first whole event whose data is a response.
fn event(text: &[u8]) -> Option<Value> {
    let text = std::str::from_utf8(text).ok()?;
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("data:"));
    lines.find_map(|data| {
        let message: Value = serde_json::from_str(data.trim()).ok()?;
        message.get("id").is_some().then_some(message)
    })
}
