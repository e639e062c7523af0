//! An MCP server that does nothing, quickly, on whatever its standard input and output are: pipes, or a
//! socket that was inherited.
//!
//! `null-server [--result BYTES] [--open DIR]`: results have a text of so many bytes (14), and with a
//! directory each call opens, reads and closes its files `0` to `9`.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;

use warrantd_bench::calls::{TOOLS, field};

/// The files that a call opens.
const FILES: u32 = 10;

fn main() -> io::Result<()> {
    let (mut bytes, mut open) = (14, None);
    let mut words = std::env::args().skip(1);
    while let (Some(word), Some(value)) = (words.next(), words.next()) {
        match word.as_str() {
            "--result" => bytes = value.parse().map_err(io::Error::other)?,
            "--open" => open = Some(PathBuf::from(value)),
            _ => return Err(io::Error::other(format!("what is {word}?"))),
        }
    }
    // Not std's standard streams, which have buffers of their own.
    let mut input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let output = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let files: Vec<PathBuf> =
        open.iter().flat_map(|dir| (0..FILES).map(|n| dir.join(n.to_string()))).collect();
    let mut server = Server { output, files, end: end(bytes), answer: Vec::new() };
    let (mut buffer, mut filled) = (vec![0; 64 << 10], 0);
    loop {
        let more = input.read(buffer.get_mut(filled..).unwrap_or_default())?;
        if more == 0 {
            return Ok(());
        }
        filled += more;
        let mut start = 0;
        while let Some(rest) = buffer.get(start..filled)
            && let Some(end) = memchr::memchr(b'\n', rest)
        {
            server.take(rest.get(..end).unwrap_or_default())?;
            start += end + 1;
        }
        buffer.copy_within(start..filled, 0);
        filled -= start;
        if filled == buffer.len() {
            buffer.resize(filled * 2, 0);
        }
    }
}

struct Server {
    output: File,
    files: Vec<PathBuf>,
    /// What follows the id in a result.
    end: Vec<u8>,
    answer: Vec<u8>,
}

impl Server {
    fn take(&mut self, line: &[u8]) -> io::Result<()> {
        // Notifications have no id.
        let Some(id) = field(line, b"\"id\":") else { return Ok(()) };
        let has = |word: &[u8]| memchr::memmem::find(line, word).is_some();
        self.answer.clear();
        self.answer.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
        self.answer.extend_from_slice(id);
        if has(b"\"tools/call\"") {
            for path in &self.files {
                let mut start = [0; 64];
                let _ = File::open(path)?.read(&mut start)?;
            }
            self.answer.extend_from_slice(&self.end);
        } else if has(b"\"initialize\"") {
            let revision = field(line, b"\"protocolVersion\":").unwrap_or(br#""2025-06-18""#);
            self.answer.extend_from_slice(br#","result":{"protocolVersion":"#);
            self.answer.extend_from_slice(revision);
            self.answer.extend_from_slice(
                br#","capabilities":{"tools":{}},"serverInfo":{"name":"null-server","version":"1"}}}"#,
            );
        } else if has(b"\"tools/list\"") {
            self.answer.extend_from_slice(tools().as_bytes());
        } else if has(b"\"ping\"") {
            self.answer.extend_from_slice(br#","result":{}}"#);
        } else {
            self.answer.extend_from_slice(br#","error":{"code":-32601,"message":"not here"}}"#);
        }
        self.answer.push(b'\n');
        self.output.write_all(&self.answer)
    }
}

fn end(bytes: usize) -> Vec<u8> {
    let text = "x".repeat(bytes);
    let content = format!(r#"[{{"type":"text","text":"{text}"}}]"#);
    format!(r#","result":{{"content":{content}}}}}"#).into_bytes()
}

fn tools() -> String {
    let path = r#"{"path":{"type":"string","minLength":1,"maxLength":4096}}"#;
    let schema = format!(
        r#"{{"type":"object","properties":{path},"required":["path"],"additionalProperties":false}}"#
    );
    let tools: Vec<String> = (0..TOOLS)
        .map(|n| format!(r#"{{"name":"t{n:02}","description":"Nothing","inputSchema":{schema}}}"#))
        .collect();
    format!(r#","result":{{"tools":[{}]}}}}"#, tools.join(","))
}
