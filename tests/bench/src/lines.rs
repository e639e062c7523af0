//! Calls on a stream where a line is a message: pipes to a server, or a Unix socket.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use memchr::memchr;

use crate::calls::{Template, answered};
use crate::load::Channel;

/// How long an answer may take on a socket.
const PATIENCE: Duration = Duration::from_secs(30);

/// A session over a stream.
#[derive(Debug)]
pub struct Lines {
    input: File,
    output: File,
    template: Template,
    /// What was read and is no whole line yet, and how much of it has no line feed.
    buffer: Vec<u8>,
    filled: usize,
    looked: usize,
    /// The server, where it is the client's own child.
    child: Option<Child>,
}

impl Lines {
    /// A session with a server that is started for it.
    pub fn start(command: &mut Command) -> anyhow::Result<Self> {
        let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = spawned.with_context(|| format!("starting {command:?}"))?;
        let input = OwnedFd::from(child.stdout.take().context("its output is piped")?);
        let output = OwnedFd::from(child.stdin.take().context("its input is piped")?);
        let mut lines = Self::over(input, output, None)?;
        lines.child = Some(child);
        Ok(lines)
    }

    /// A session over a Unix socket, with an API key where one is asked for.
    pub fn connect(socket: &Path, key: Option<&str>) -> anyhow::Result<Self> {
        let stream = UnixStream::connect(socket).with_context(|| socket.display().to_string())?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let output = OwnedFd::from(stream.try_clone()?);
        Self::over(OwnedFd::from(stream), output, key)
    }

    fn over(input: OwnedFd, output: OwnedFd, key: Option<&str>) -> anyhow::Result<Self> {
        let template = Template::new(b"", "", b"\n");
        let (input, output, buffer) = (File::from(input), File::from(output), vec![0; 64 << 10]);
        let mut lines = Self { input, output, template, buffer, filled: 0, looked: 0, child: None };
        if let Some(key) = key {
            let params = format!(r#"{{"api_key":"{key}"}}"#);
            lines.say(&format!(
                r#"{{"jsonrpc":"2.0","method":"warrantd/authenticate","params":{params}}}"#
            ))?;
        }
        lines.shake_hands()?;
        Ok(lines)
    }

    /// The handshake, and the list of tools, without which nobody could validate arguments.
    fn shake_hands(&mut self) -> anyhow::Result<()> {
        let client = r#"{"name":"warrantd-bench","version":"1"}"#;
        let params = format!(
            r#"{{"protocolVersion":"2025-06-18","capabilities":{{}},"clientInfo":{client}}}"#
        );
        self.ask(&format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"initialize","params":{params}}}"#
        ))?;
        self.say(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#)?;
        self.ask(r#"{"jsonrpc":"2.0","id":2,"method":"tools/list","params":{}}"#)
    }

    fn say(&mut self, message: &str) -> anyhow::Result<()> {
        Ok(self.output.write_all(format!("{message}\n").as_bytes())?)
    }

    fn ask(&mut self, message: &str) -> anyhow::Result<()> {
        self.say(message)?;
        loop {
            self.fill()?;
            if let Some(line) = self.line() {
                let text = String::from_utf8_lossy(&self.buffer[line.clone()]).into_owned();
                ensure!(text.contains("\"result\""), "{message} was answered {text}");
                self.take(line.end + 1);
                return Ok(());
            }
        }
    }

    fn fill(&mut self) -> anyhow::Result<()> {
        if self.filled == self.buffer.len() {
            self.buffer.resize(self.filled * 2, 0);
        }
        let read = self.input.read(&mut self.buffer[self.filled..]).context("no answer")?;
        ensure!(read > 0, "the other end has closed the connection");
        self.filled += read;
        Ok(())
    }

    /// The first whole line.
    fn line(&mut self) -> Option<std::ops::Range<usize>> {
        let end = memchr(b'\n', &self.buffer[self.looked..self.filled]);
        let Some(end) = end else {
            self.looked = self.filled;
            return None;
        };
        Some(0..self.looked + end)
    }

    /// Forgets what was read up to here.
    fn take(&mut self, end: usize) {
        self.buffer.copy_within(end..self.filled, 0);
        (self.filled, self.looked) = (self.filled - end, 0);
    }
}

impl Channel for Lines {
    fn readable(&self) -> BorrowedFd<'_> {
        self.input.as_fd()
    }

    fn call(&mut self, serial: u32) -> anyhow::Result<()> {
        Ok(self.output.write_all(self.template.of(serial))?)
    }

    fn read(&mut self, done: &mut Vec<u32>) -> anyhow::Result<()> {
        self.fill()?;
        let mut start = 0;
        while let Some(end) = memchr(b'\n', &self.buffer[start.max(self.looked)..self.filled]) {
            let end = start.max(self.looked) + end;
            done.push(answered(&self.buffer[start..end])?);
            start = end + 1;
        }
        self.take(start);
        self.looked = self.filled;
        Ok(())
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
