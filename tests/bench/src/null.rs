//! What a server answers that does nothing, quickly.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use crate::calls::{TOOLS, field};

/// Bytes of a result's text where nobody says otherwise.
pub const BYTES: usize = 14;

/// The answers.
#[derive(Debug)]
pub struct Null {
    /// Each call opens, reads and closes them.
    files: Vec<PathBuf>,
    /// What follows the id in a result.
    end: Vec<u8>,
    answer: Vec<u8>,
}

impl Null {
    /// Results have a text of so many bytes.
    #[must_use]
    pub fn new(bytes: usize, files: Vec<PathBuf>) -> Self {
        Self { files, end: end(bytes), answer: Vec::new() }
    }

    /// The answer to a message, with a line feed; `None` to a notification.
    pub fn answer(&mut self, line: &[u8]) -> io::Result<Option<&[u8]>> {
        // Notifications have no id.
        let Some(id) = field(line, b"\"id\":") else { return Ok(None) };
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
        Ok(Some(&self.answer))
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
