//! As much of an MCP client as one call needs.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::cli::Failure;
use crate::mcp::{Id, Message, code, era};

/// Bytes of the longest answer. The daemon itself takes no longer one of a server.
const LONGEST: u64 = 64 << 20;
/// Pages of a list of tools that are read.
const PAGES: usize = 100;

/// A result, or the error in its place.
pub(super) type Answer = Result<Value, Value>;

/// One session with a server.
pub(super) struct Conversation {
    reader: BufReader<UnixStream>,
    writer: UnixStream,
    last: i64,
}

impl Conversation {
    /// Connects to the socket and shows the key, if there is one. Nothing answers yet.
    pub(super) fn open(
        socket: &Path,
        key: Option<Zeroizing<String>>,
        patience: Duration,
    ) -> Result<Self, Failure> {
        let failed = |error: std::io::Error| {
            let hint = match error.kind() {
                ErrorKind::NotFound => {
                    "; is the daemon running (`systemctl status warrantd`), and is there such a server?"
                }
                ErrorKind::PermissionDenied => "; this user may not connect to it",
                _ => "",
            };
            let socket = socket.display();
            Failure::Other(format!("cannot talk to the daemon at {socket}: {error}{hint}"))
        };
        let mut writer = UnixStream::connect(socket).map_err(failed)?;
        writer.set_read_timeout(Some(patience)).map_err(failed)?;
        let reader = BufReader::new(writer.try_clone().map_err(failed)?);
        if let Some(line) = key {
            writer.write_all(line.as_bytes()).map_err(failed)?;
        }
        Ok(Self { reader, writer, last: 0 })
    }

    /// Comes to terms with the server, and lists its tools.
    pub(super) fn tools(&mut self) -> Result<Result<Vec<Value>, Value>, Failure> {
        let params = json!({
            "protocolVersion": era::HANDSHAKE[0],
            "capabilities": {},
            "clientInfo": {"name": "warrantd call", "version": env!("CARGO_PKG_VERSION")},
        });
        if let Err(error) = self.request("initialize", &params)? {
            return Ok(Err(error));
        }
        self.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}))?;
        let mut tools = Vec::new();
        let mut params = json!({});
        for _ in 0..PAGES {
            let mut page = match self.request("tools/list", &params)? {
                Ok(page) => page,
                Err(error) => return Ok(Err(error)),
            };
            if let Some(list) = page["tools"].as_array_mut() {
                tools.append(list);
            }
            match page["nextCursor"].take() {
                Value::Null => break,
                cursor => params = json!({ "cursor": cursor }),
            }
        }
        Ok(Ok(tools))
    }

    /// Asks, and waits for the answer. What comes before it is passed over; what is asked is refused.
    pub(super) fn request(&mut self, method: &str, params: &Value) -> Result<Answer, Failure> {
        self.last += 1;
        let own = Id::Number(self.last);
        self.send(&json!({
            "jsonrpc": "2.0", "id": own.to_value(), "method": method, "params": params,
        }))?;
        loop {
            match self.receive()? {
                Message::Response { id, result } if id.as_ref().is_none_or(|id| *id == own) => {
                    return Ok(result);
                }
                Message::Request { id, method, .. } => {
                    let answer = match method.as_str() {
                        "ping" => json!({ "result": {} }),
                        _ => json!({ "error": {
                            "code": code::METHOD_NOT_FOUND,
                            "message": "`warrantd call` answers no questions",
                        }}),
                    };
                    let mut message = json!({ "jsonrpc": "2.0", "id": id.to_value() });
                    if let (Some(message), Value::Object(answer)) =
                        (message.as_object_mut(), answer)
                    {
                        message.extend(answer);
                    }
                    self.send(&message)?;
                }
                Message::Notification { .. } | Message::Response { .. } => {}
            }
        }
    }

    fn send(&mut self, message: &Value) -> Result<(), Failure> {
        // What the daemon said before it closed the connection is still to be read.
        match self.writer.write_all(format!("{message}\n").as_bytes()) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::other(error)),
            _ => Ok(()),
        }
    }

    fn receive(&mut self) -> Result<Message, Failure> {
        let mut line = Vec::new();
        let read = (&mut self.reader).take(LONGEST).read_until(b'\n', &mut line);
        match read {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Err(Failure::Other("no answer in time; see --timeout".to_owned()))
            }
            Err(error) => Err(Failure::other(error)),
            Ok(_) if line.pop() != Some(b'\n') => Err(Failure::Other(
                "the daemon closed the connection without an answer; its log says why".to_owned(),
            )),
            Ok(_) => Message::parse_lenient(&line).map_err(Failure::other),
        }
    }
}
