//! Calls over Streamable HTTP, on connections that stay open. What comes back is JSON or a stream of events,
//! of known length or in chunks.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use memchr::memmem;

use crate::calls::{Template, answered, message};
use crate::load::Channel;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server behind something that speaks HTTP, and a session there.
#[derive(Debug, Clone)]
pub struct Session {
    address: SocketAddr,
    /// The request line and the headers of every request, but for its length.
    head: String,
    /// What the names of tools begin with there.
    prefix: String,
}

impl Session {
    /// Begins a session at an address and path, with more headers, each ended by CRLF.
    pub fn begin(address: SocketAddr, path: &str, headers: &str) -> anyhow::Result<Self> {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n\
             Accept: application/json, text/event-stream\r\n{headers}"
        );
        let mut session = Self { address, head, prefix: String::new() };
        let client = r#"{"name":"warrantd-bench","version":"1"}"#;
        let params = format!(
            r#"{{"protocolVersion":"2025-06-18","capabilities":{{}},"clientInfo":{client}}}"#
        );
        let answer = session.say(&format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"initialize","params":{params}}}"#
        ))?;
        if let Some(id) = answer.header("mcp-session-id") {
            session.head = format!("{}Mcp-Session-Id: {id}\r\n", session.head);
        }
        session.head.push_str("MCP-Protocol-Version: 2025-06-18\r\n");
        session.say(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#)?;
        let listed =
            session.say(r#"{"jsonrpc":"2.0","id":2,"method":"tools/list","params":{}}"#)?;
        // Something that joins servers says in a tool's name of which one it is.
        let name = listed.body.split("\"name\":").skip(1).find_map(|rest| {
            rest.trim_start().strip_prefix('"')?.split('"').next()?.strip_suffix("t00")
        });
        let prefix = name.with_context(|| format!("no tools: {}", listed.body))?;
        prefix.clone_into(&mut session.prefix);
        Ok(session)
    }

    /// A connection on which calls of the session are made.
    pub fn connect(&self) -> anyhow::Result<Connection> {
        let length = message(&self.prefix).len();
        let head = format!("{}Content-Length: {length}\r\n\r\n", self.head);
        let template = Template::new(head.as_bytes(), &self.prefix, b"");
        Ok(Connection { stream: self.stream()?, template, response: Reading::default() })
    }

    fn stream(&self) -> anyhow::Result<File> {
        let stream = TcpStream::connect(self.address).context("connecting")?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(File::from(OwnedFd::from(stream)))
    }

    fn say(&self, body: &str) -> anyhow::Result<Whole> {
        let mut stream = self.stream()?;
        let head = format!("{}Content-Length: {}\r\n\r\n", self.head, body.len());
        stream.write_all([head.as_bytes(), body.as_bytes()].concat().as_slice())?;
        let mut reading = Reading::default();
        while !reading.more(&mut stream)? {}
        let body = String::from_utf8_lossy(&reading.body()?).into_owned();
        let head = String::from_utf8_lossy(&reading.text[..reading.head]).into_owned();
        let status = head.get(9..12).unwrap_or_default();
        ensure!(matches!(status, "200" | "202"), "{head}{body}");
        Ok(Whole { head, body })
    }
}

/// A response that was read whole.
struct Whole {
    head: String,
    body: String,
}

impl Whole {
    fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let lines = head.lines().filter_map(|line| line.split_once(':'));
    lines.into_iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

/// A connection with one call in flight.
#[derive(Debug)]
pub struct Connection {
    stream: File,
    template: Template,
    response: Reading,
}

impl Channel for Connection {
    fn readable(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    fn call(&mut self, serial: u32) -> anyhow::Result<()> {
        Ok(self.stream.write_all(self.template.of(serial))?)
    }

    fn read(&mut self, done: &mut Vec<u32>) -> anyhow::Result<()> {
        if self.response.more(&mut self.stream)? {
            done.push(answered(&self.response.body()?)?);
            self.response.begin();
        }
        Ok(())
    }
}

/// A response that is being read.
#[derive(Debug, Default)]
struct Reading {
    text: Vec<u8>,
    /// Length of the head; zero while it is not whole.
    head: usize,
    body: Body,
}

#[derive(Debug, Default, Clone, Copy)]
enum Body {
    #[default]
    Unknown,
    Known(usize),
    /// Up to where chunks have been looked at.
    Chunked(usize),
}

impl Reading {
    fn begin(&mut self) {
        self.text.clear();
        (self.head, self.body) = (0, Body::Unknown);
    }

    /// Reads once; whether the response is whole.
    fn more(&mut self, stream: &mut File) -> anyhow::Result<bool> {
        let mut part = [0; 16 << 10];
        let read = stream.read(&mut part).context("no answer")?;
        ensure!(read > 0, "closed after {}", String::from_utf8_lossy(&self.text));
        self.text.extend_from_slice(&part[..read]);
        if self.head == 0 {
            let Some(end) = memmem::find(&self.text, b"\r\n\r\n") else { return Ok(false) };
            self.head = end + 4;
            let head = std::str::from_utf8(&self.text[..end])?;
            self.body = match header(head, "content-length") {
                Some(length) => Body::Known(length.parse()?),
                None if header(head, "transfer-encoding").is_some() => Body::Chunked(self.head),
                None => Body::Known(0),
            };
        }
        match self.body {
            Body::Known(length) => Ok(self.text.len() >= self.head + length),
            Body::Chunked(at) => self.chunks(at),
            Body::Unknown => Ok(false),
        }
    }

    /// Looks at chunks from here on; whether the last one is there.
    fn chunks(&mut self, mut at: usize) -> anyhow::Result<bool> {
        while let Some((from, length)) = chunk(&self.text, at)? {
            if self.text.len() < from + length + 2 {
                break;
            }
            if length == 0 {
                return Ok(true);
            }
            at = from + length + 2;
        }
        self.body = Body::Chunked(at);
        Ok(false)
    }

    fn body(&self) -> anyhow::Result<Vec<u8>> {
        if let Body::Known(length) = self.body {
            return Ok(self.text[self.head..self.head + length].to_vec());
        }
        let (mut body, mut at) = (Vec::new(), self.head);
        while let Some((from, length)) = chunk(&self.text, at)?.filter(|(_, length)| *length > 0) {
            body.extend_from_slice(&self.text[from..from + length]);
            at = from + length + 2;
        }
        Ok(body)
    }
}

/// Where the chunk at this place begins, and how long it is.
fn chunk(text: &[u8], at: usize) -> anyhow::Result<Option<(usize, usize)>> {
    let rest = &text[at..];
    let Some(end) = memmem::find(rest, b"\r\n") else { return Ok(None) };
    let size = std::str::from_utf8(&rest[..end])?;
    let Ok(length) = usize::from_str_radix(size.split(';').next().unwrap_or(""), 16) else {
        bail!("no size of a chunk: {size:?}");
    };
    Ok(Some((at + end + 2, length)))
}
