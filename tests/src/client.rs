//! A small MCP client on a program's stdin and stdout, for exactness: it keeps every byte that
//! arrives, and sends what it is told to.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::{Value, json};

/// The revision that [`Client::initialize`] asks for.
pub const REVISION: &str = "2025-06-18";

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(40);

/// How long a program may take to end after its stdin is closed.
const FAREWELL: Duration = Duration::from_secs(40);

/// What a client says to a request of its server: the result, or the error.
pub type Answerer = Box<dyn FnMut(&str, &Value) -> Result<Value, Value>>;

/// A running program that speaks MCP, killed when dropped.
pub struct Client {
    process: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    received: String,
    stderr: Arc<Mutex<String>>,
    stderr_reader: Option<JoinHandle<()>>,
    last_id: u64,
    capabilities: Value,
    answerer: Option<Answerer>,
    asked: Vec<Value>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("process", &self.process).finish_non_exhaustive()
    }
}

/// A JSON-RPC response.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The line as it came.
    pub line: String,
    /// What it says.
    pub message: Value,
}

impl Reply {
    /// The result. The error shows the whole response.
    pub fn result(&self) -> anyhow::Result<&Value> {
        self.message.get("result").with_context(|| format!("no result in {}", self.line))
    }

    /// The text of the first item of a tool's result.
    pub fn text(&self) -> anyhow::Result<&str> {
        let text = self.result()?.pointer("/content/0/text");
        text.and_then(Value::as_str).with_context(|| format!("no text in {}", self.line))
    }

    /// The code of the JSON-RPC error, if it is one.
    pub fn error_code(&self) -> Option<i64> {
        self.message.pointer("/error/code").and_then(Value::as_i64)
    }

    /// The correlation id in the error's data; empty without one.
    pub fn correlation_id(&self) -> &str {
        self.message
            .pointer("/error/data/correlation_id")
            .and_then(Value::as_str)
            .unwrap_or_default()
    }
}

/// How a program ended.
#[derive(Debug)]
pub struct Ending {
    /// Its exit status.
    pub status: ExitStatus,
    /// All it wrote to stderr.
    pub stderr: String,
    /// All it wrote to stdout.
    pub received: String,
}

impl Client {
    /// Starts a program.
    pub fn start(mut command: Command) -> anyhow::Result<Self> {
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {command:?}"))?;
        let stdin = process.stdin.take();
        let stdout = process.stdout.take().context("its output is piped")?;
        let complaints = process.stderr.take().context("its errors are piped")?;
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || forward_lines(stdout, &sender));
        let stderr = Arc::new(Mutex::new(String::new()));
        let kept = Arc::clone(&stderr);
        let stderr_reader = thread::spawn(move || keep(complaints, &kept));
        let received = String::new();
        let stderr_reader = Some(stderr_reader);
        Ok(Self {
            process,
            stdin,
            lines,
            received,
            stderr,
            stderr_reader,
            last_id: 0,
            capabilities: json!({}),
            answerer: None,
            asked: Vec::new(),
        })
    }

    /// Has these capabilities, and answers what the server asks while a response is waited for.
    #[must_use]
    pub fn answering(
        mut self,
        capabilities: Value,
        answerer: impl FnMut(&str, &Value) -> Result<Value, Value> + 'static,
    ) -> Self {
        self.capabilities = capabilities;
        self.answerer = Some(Box::new(answerer));
        self
    }

    /// The requests of the server that were answered, whole.
    pub fn asked(&self) -> &[Value] {
        &self.asked
    }

    /// Starts a program and introduces itself.
    pub fn connect(command: Command) -> anyhow::Result<Self> {
        let mut client = Self::start(command)?;
        client.initialize()?.result()?;
        Ok(client)
    }

    /// The handshake. The reply may be an error.
    pub fn initialize(&mut self) -> anyhow::Result<Reply> {
        let client = json!({"name": "warrantd-tests", "version": env!("CARGO_PKG_VERSION")});
        let parameters = json!({"protocolVersion": REVISION, "capabilities": self.capabilities, "clientInfo": client});
        let reply = self.request("initialize", &parameters)?;
        if reply.error_code().is_none() {
            self.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}))?;
        }
        Ok(reply)
    }

    /// Calls a tool.
    pub fn call(&mut self, tool: &str, arguments: &Value) -> anyhow::Result<Reply> {
        self.request("tools/call", &json!({"name": tool, "arguments": arguments}))
    }

    /// Sends a request and waits for its response.
    pub fn request(&mut self, method: &str, parameters: &Value) -> anyhow::Result<Reply> {
        self.last_id += 1;
        let id = self.last_id;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": parameters}))?;
        self.reply(id)
    }

    /// Sends a message without waiting.
    pub fn send(&mut self, message: &Value) -> anyhow::Result<()> {
        self.send_line(&message.to_string())
    }

    /// Sends a line as it is.
    pub fn send_line(&mut self, line: &str) -> anyhow::Result<()> {
        self.send_bytes(line.as_bytes()).with_context(|| format!("sending {line}"))
    }

    /// Sends these bytes as a line.
    pub fn send_bytes(&mut self, line: &[u8]) -> anyhow::Result<()> {
        let stdin = self.stdin.as_mut().context("stdin is closed")?;
        let sent = stdin.write_all(&[line, b"\n"].concat()).and_then(|()| stdin.flush());
        sent.with_context(|| format!("cannot send; stderr: {}", self.stderr()))
    }

    /// Waits for the response with an id; other messages are passed over.
    fn reply(&mut self, id: u64) -> anyhow::Result<Reply> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let reply = self.next_message(deadline)?;
            if reply.message.get("method").is_some() {
                self.answer(&reply.message)?;
                continue;
            }
            // An error of a message that could not be read has the id null.
            let unread = reply.error_code().is_some() && reply.message["id"] == Value::Null;
            if reply.message["id"] == json!(id) || unread {
                return Ok(reply);
            }
        }
    }

    /// Waits for a message that `wanted` accepts, and answers the server's requests meanwhile.
    pub fn await_message(&mut self, wanted: impl Fn(&Value) -> bool) -> anyhow::Result<Value> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let Reply { message, .. } = self.next_message(deadline)?;
            if wanted(&message) {
                return Ok(message);
            }
            self.answer(&message)?;
        }
    }

    /// Answers a message if it is a request, and there is somebody to answer it.
    fn answer(&mut self, message: &Value) -> anyhow::Result<()> {
        let (Some(id), Some(method)) = (message.get("id"), message["method"].as_str()) else {
            return Ok(());
        };
        let Some(answerer) = &mut self.answerer else { return Ok(()) };
        let answer = match answerer(method, &message["params"]) {
            Ok(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
            Err(error) => json!({"jsonrpc": "2.0", "id": id, "error": error}),
        };
        self.asked.push(message.clone());
        self.send(&answer)
    }

    /// All messages until the response with an id, and that one as the last.
    pub fn replies_until(&mut self, id: &Value) -> anyhow::Result<Vec<Reply>> {
        let deadline = Instant::now() + PATIENCE;
        let mut replies = Vec::new();
        loop {
            let reply = self.next_message(deadline)?;
            let last = reply.message["id"] == *id;
            replies.push(reply);
            if last {
                return Ok(replies);
            }
        }
    }

    fn next_message(&mut self, deadline: Instant) -> anyhow::Result<Reply> {
        let left = deadline.saturating_duration_since(Instant::now());
        let line = match self.lines.recv_timeout(left) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => {
                bail!("no answer within {PATIENCE:?}; stderr: {}", self.stderr())
            }
            Err(RecvTimeoutError::Disconnected) => {
                let _ = self.process.wait();
                bail!("the program ended without an answer; stderr: {}", self.stderr())
            }
        };
        self.received.push_str(&line);
        self.received.push('\n');
        let message: Value =
            serde_json::from_str(&line).with_context(|| format!("not JSON: {line}"))?;
        Ok(Reply { line, message })
    }

    /// All lines that arrived so far, those that nobody waited for as well.
    pub fn received(&mut self) -> &str {
        for line in self.lines.try_iter() {
            self.received.push_str(&line);
            self.received.push('\n');
        }
        &self.received
    }

    /// What the program wrote to stderr so far.
    pub fn stderr(&self) -> String {
        lock(&self.stderr).clone()
    }

    /// The process id of the program.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Kills the program as a crash would: it gets no chance to clean up.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.process.kill().context("kill")?;
        self.process.wait().context("wait")?;
        Ok(())
    }

    /// Closes stdin and waits until the program ends.
    pub fn finish(mut self) -> anyhow::Result<Ending> {
        self.stdin = None;
        self.ending()
    }

    /// Waits until the program ends without being asked to.
    pub fn ending(mut self) -> anyhow::Result<Ending> {
        let Some(status) = self.wait_for(FAREWELL)? else {
            bail!("still runs after {FAREWELL:?}; stderr: {}", self.stderr())
        };
        if let Some(reader) = self.stderr_reader.take() {
            // Its end is the end of the pipe, which descendants may hold open.
            let deadline = Instant::now() + Duration::from_secs(1);
            while !reader.is_finished() && Instant::now() < deadline {
                thread::sleep(Duration::from_millis(5));
            }
        }
        let received = self.received().to_owned();
        Ok(Ending { status, stderr: self.stderr(), received })
    }

    fn wait_for(&mut self, patience: Duration) -> anyhow::Result<Option<ExitStatus>> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.process.try_wait()? {
                return Ok(Some(status));
            }
            if Instant::now() > deadline {
                return Ok(None);
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Client {
    /// First asks it to end, so that it cleans up.
    fn drop(&mut self) {
        self.stdin = None;
        if matches!(self.wait_for(FAREWELL), Ok(None)) {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }
}

fn forward_lines(stdout: impl Read, sender: &mpsc::Sender<String>) {
    let mut stdout = BufReader::new(stdout);
    let mut line = Vec::new();
    while stdout.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
        let text = String::from_utf8_lossy(&line).trim_end_matches('\n').to_owned();
        line.clear();
        if sender.send(text).is_err() {
            return;
        }
    }
}

fn keep(mut complaints: impl Read, kept: &Mutex<String>) {
    let mut chunk = [0; 4096];
    while let Ok(read @ 1..) = complaints.read(&mut chunk) {
        if let Some(chunk) = chunk.get(..read) {
            lock(kept).push_str(&String::from_utf8_lossy(chunk));
        }
    }
}

fn lock(text: &Mutex<String>) -> MutexGuard<'_, String> {
    text.lock().unwrap_or_else(PoisonError::into_inner)
}
