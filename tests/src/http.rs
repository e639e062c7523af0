//! A small HTTP/1.1 client for exactness: it sends the bytes that it is told to, a connection for each
//! request, and reads server-sent events as they come.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use serde_json::{Value, json};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The revision that [`Endpoint::session`] asks for.
pub const REVISION: &str = "2025-11-25";

/// What carries bytes.
pub trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// Where a server is, and what is sent with every request.
#[derive(Debug, Clone)]
pub struct Endpoint {
    place: Place,
    tls: Option<Arc<ClientConfig>>,
    /// The target of requests.
    pub path: String,
    /// Headers of every request.
    pub headers: Vec<(String, String)>,
}

#[derive(Debug, Clone)]
enum Place {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl Endpoint {
    /// A server at an address.
    pub fn tcp(address: SocketAddr, path: &str) -> Self {
        let headers = vec![("Host".to_owned(), address.to_string())];
        Self { place: Place::Tcp(address), tls: None, path: path.to_owned(), headers }
    }

    /// A server on a Unix socket.
    pub fn unix(socket: PathBuf, path: &str) -> Self {
        let headers = vec![("Host".to_owned(), "localhost".to_owned())];
        Self { place: Place::Unix(socket), tls: None, path: path.to_owned(), headers }
    }

    /// The same with TLS.
    #[must_use]
    pub fn secured(mut self, tls: Arc<ClientConfig>) -> Self {
        self.tls = Some(tls);
        self
    }

    /// The same with a header, in place of one of that name.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same without a header.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
        self
    }

    /// What a client of MCP sends with a POST.
    #[must_use]
    pub fn posting(self) -> Self {
        self.with("Content-Type", "application/json")
            .with("Accept", "application/json, text/event-stream")
    }

    /// A new connection.
    pub fn connect(&self) -> anyhow::Result<Box<dyn Stream>> {
        let tcp = match &self.place {
            Place::Unix(path) => {
                let stream = UnixStream::connect(path).context("connecting")?;
                stream.set_read_timeout(Some(PATIENCE))?;
                return Ok(Box::new(stream));
            }
            Place::Tcp(address) => TcpStream::connect(address).context("connecting")?,
        };
        tcp.set_read_timeout(Some(PATIENCE))?;
        tcp.set_nodelay(true)?;
        let Some(tls) = &self.tls else { return Ok(Box::new(tcp)) };
        let name = ServerName::try_from("localhost")?;
        let connection = ClientConnection::new(tls.clone(), name)?;
        Ok(Box::new(StreamOwned::new(connection, tcp)))
    }

    /// The head of a request with this body.
    pub fn head(&self, method: &str, length: Option<usize>) -> String {
        let mut head = format!("{method} {} HTTP/1.1\r\n", self.path);
        for (name, value) in &self.headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        if let Some(length) = length {
            let _ = write!(head, "Content-Length: {length}\r\n");
        }
        head.push_str("\r\n");
        head
    }

    /// Sends a request and reads the response's head.
    pub fn send(&self, method: &str, body: Option<&[u8]>) -> anyhow::Result<Response> {
        let mut stream = self.connect()?;
        let head = self.head(method, body.map(<[u8]>::len));
        // A server may answer before it has read all.
        let sent = stream
            .write_all(head.as_bytes())
            .and_then(|()| stream.write_all(body.unwrap_or_default()))
            .and_then(|()| stream.flush());
        Response::read(stream).with_context(|| format!("sent: {sent:?}"))
    }

    /// Posts a message.
    pub fn post(&self, message: &Value) -> anyhow::Result<Response> {
        self.clone().posting().send("POST", Some(message.to_string().as_bytes()))
    }

    /// Opens a stream for what the server has to say.
    pub fn listen(&self) -> anyhow::Result<Response> {
        self.clone().with("Accept", "text/event-stream").send("GET", None)
    }

    /// Begins a session. What is returned has its id and revision in its headers.
    pub fn session(&self) -> anyhow::Result<Self> {
        let response = self.post(&initialize(REVISION))?;
        ensure!(response.status == 200, "{}", response.shown());
        let session = response.header("mcp-session-id").context("no session id")?.to_owned();
        let result = response.json()?;
        let revision = result.pointer("/result/protocolVersion").and_then(Value::as_str);
        let revision = revision.with_context(|| format!("no revision: {result}"))?;
        let opened = self.clone().with("Mcp-Session-Id", &session);
        let opened = opened.with("MCP-Protocol-Version", revision);
        let note = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        let noted = opened.post(&note)?;
        ensure!(noted.status == 202, "{}", noted.shown());
        Ok(opened)
    }

    /// Calls a tool in a session and reads the whole answer.
    pub fn call(&self, id: u64, tool: &str, arguments: &Value) -> anyhow::Result<Value> {
        self.post(&call(id, tool, arguments))?.answer()
    }
}

/// `initialize`.
pub fn initialize(revision: &str) -> Value {
    let client = json!({"name": "warrantd-tests", "version": "1"});
    let params = json!({"protocolVersion": revision, "capabilities": {}, "clientInfo": client});
    json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params})
}

/// `tools/call`.
pub fn call(id: u64, tool: &str, arguments: &Value) -> Value {
    let params = json!({"name": tool, "arguments": arguments, "_meta": {"progressToken": id}});
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params})
}

/// A response whose head was read.
pub struct Response {
    /// The status.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    reader: BufReader<Box<dyn Stream>>,
    length: Length,
}

#[derive(Debug, Clone, Copy)]
enum Length {
    Known(usize),
    Chunked { left: usize, ended: bool },
    ToTheEnd,
}

/// An event of a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// Its id, when it has one.
    pub id: Option<String>,
    /// Its data lines.
    pub data: String,
    /// When to come again, in milliseconds.
    pub retry: Option<String>,
}

impl Event {
    /// The message.
    pub fn json(&self) -> anyhow::Result<Value> {
        serde_json::from_str(&self.data).with_context(|| format!("no JSON: {self:?}"))
    }
}

impl Response {
    /// Reads a response's head.
    pub fn read(stream: Box<dyn Stream>) -> anyhow::Result<Self> {
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).context("reading the status line")?;
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.with_context(|| format!("no status line: {line:?}"))?;
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            ensure!(reader.read_line(&mut line)? > 0, "the head was cut");
            let line = line.trim_end();
            let Some((name, value)) = line.split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let find =
            |name: &str| headers.iter().find(|(other, _)| other == name).map(|(_, value)| value);
        let length = match (find("content-length"), find("transfer-encoding")) {
            (Some(length), _) => Length::Known(length.parse()?),
            (None, Some(_)) => Length::Chunked { left: 0, ended: false },
            (None, None) if status == 204 || status == 202 => Length::Known(0),
            (None, None) => Length::ToTheEnd,
        };
        Ok(Self { status, headers, reader, length })
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// The body.
    pub fn text(mut self) -> anyhow::Result<String> {
        let mut text = Vec::new();
        while let Some(byte) = self.byte()? {
            text.push(byte);
        }
        Ok(String::from_utf8(text)?)
    }

    /// The body as JSON.
    pub fn json(self) -> anyhow::Result<Value> {
        let text = self.text()?;
        serde_json::from_str(&text).with_context(|| format!("no JSON: {text}"))
    }

    /// The message that ends the response, whether it is JSON or a stream.
    pub fn answer(mut self) -> anyhow::Result<Value> {
        if self.header("content-type") != Some("text/event-stream") {
            return self.json();
        }
        let mut last = None;
        while let Some(event) = self.event()? {
            last = Some(event);
        }
        last.context("an empty stream")?.json()
    }

    /// Status, headers and body, for people.
    pub fn shown(self) -> String {
        let (status, headers) = (self.status, self.headers.clone());
        format!("HTTP {status} {headers:?} {}", self.text().unwrap_or_default())
    }

    /// The next event; `None` at the end of the stream. Comments are passed over.
    pub fn event(&mut self) -> anyhow::Result<Option<Event>> {
        let mut event = Event::default();
        let (mut begun, mut comments) = (false, 0);
        loop {
            ensure!(comments < 4, "nothing but comments");
            let Some(line) = self.line()? else {
                ensure!(!begun, "the stream ended within an event: {event:?}");
                return Ok(None);
            };
            match line.split_once(": ").unwrap_or((line.trim_end_matches(':'), "")) {
                ("", _) if line.is_empty() && begun => return Ok(Some(event)),
                ("id", id) => event.id = Some(id.to_owned()),
                ("retry", retry) => event.retry = Some(retry.to_owned()),
                ("data", data) => {
                    if !event.data.is_empty() {
                        event.data.push('\n');
                    }
                    event.data.push_str(data);
                }
                ("", _) => {
                    comments += 1;
                    continue;
                }
                _ => bail!("an unknown line: {line:?}"),
            }
            begun = true;
        }
    }

    fn line(&mut self) -> anyhow::Result<Option<String>> {
        let mut line = Vec::new();
        loop {
            match self.byte()? {
                None if line.is_empty() => return Ok(None),
                None => bail!("the stream ended within a line"),
                Some(b'\n') => return Ok(Some(String::from_utf8(line)?)),
                Some(byte) => line.push(byte),
            }
        }
    }

    fn byte(&mut self) -> anyhow::Result<Option<u8>> {
        match &mut self.length {
            Length::Known(0) | Length::Chunked { ended: true, .. } => return Ok(None),
            Length::Known(left) => *left -= 1,
            Length::ToTheEnd => {}
            Length::Chunked { left, ended } => {
                if *left == 0 {
                    let mut line = String::new();
                    self.reader.read_line(&mut line)?;
                    if line.trim().is_empty() {
                        line.clear();
                        self.reader.read_line(&mut line)?;
                    }
                    let size = usize::from_str_radix(line.trim(), 16);
                    *left = size.with_context(|| format!("no size of a chunk: {line:?}"))?;
                    if *left == 0 {
                        *ended = true;
                        return Ok(None);
                    }
                }
                *left -= 1;
            }
        }
        let mut byte = [0];
        match self.reader.read_exact(&mut byte) {
            Ok(()) => Ok(Some(byte[0])),
            Err(_) if matches!(self.length, Length::ToTheEnd) => Ok(None),
            Err(error) => Err(error).context("reading the body"),
        }
    }
}

impl std::fmt::Debug for Response {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("headers", &self.headers)
            .finish_non_exhaustive()
    }
}
