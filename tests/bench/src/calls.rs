//! The calls that are made: formatted once, and of answers no more is read than has to be.

use anyhow::{Context, bail, ensure};
use memchr::memmem;

/// The null server has tools `t00` to `t31`, so that limits of a tool, which count at most 100,000 calls a
/// minute, are in force and not reached.
pub const TOOLS: u32 = 32;
/// Ids have four digits, so that requests have the same length.
const FIRST: u32 = 1000;
/// How many of them there are: calls have numbers from 0 to this.
pub const IDS: u32 = 9000;

/// `tools/call`: 100 bytes, with the name and the argument that a policy of the bench knows.
#[derive(Debug, Clone)]
pub struct Template {
    text: Vec<u8>,
    id: usize,
    tool: usize,
}

impl Template {
    /// A request whose tools have names that begin with `prefix`, between what stands before and after it.
    pub fn new(before: &[u8], prefix: &str, after: &[u8]) -> Self {
        let message = message(prefix);
        let at = |word: &str| before.len() + message.find(word).unwrap_or(0);
        let (id, tool) = (at("0000"), at("t00") + 1);
        Self { text: [before, message.as_bytes(), after].concat(), id, tool }
    }

    /// The request with this number.
    pub fn of(&mut self, serial: u32) -> &[u8] {
        put(&mut self.text, self.id, 4, FIRST + serial % IDS);
        put(&mut self.text, self.tool, 2, serial % TOOLS);
        &self.text
    }
}

/// The message alone.
pub fn message(prefix: &str) -> String {
    let params = format!(r#"{{"name":"{prefix}t00","arguments":{{"path":"d/a"}}}}"#);
    format!(r#"{{"jsonrpc":"2.0","id":0000,"method":"tools/call","params":{params}}}"#)
}

fn put(text: &mut [u8], at: usize, digits: usize, mut number: u32) {
    for place in text.get_mut(at..at + digits).unwrap_or_default().iter_mut().rev() {
        *place = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
    }
}

/// The number that an id stands for.
fn serial(id: u32) -> Option<u32> {
    (FIRST..FIRST + IDS).contains(&id).then(|| id - FIRST)
}

/// Where numbers are the same again.
#[must_use]
pub fn wrapped(serial: u32) -> u32 {
    serial % IDS
}

/// The number of the call that a message answers. What is no result of a call is an error.
pub fn answered(message: &[u8]) -> anyhow::Result<u32> {
    let id = field(message, b"\"id\":").with_context(|| shown(message))?;
    let id = std::str::from_utf8(id).ok().and_then(|id| id.parse().ok()).and_then(serial);
    let id = id.with_context(|| shown(message))?;
    let (head, tail) = (part(message, false), part(message, true));
    ensure!(memmem::find(head, b"\"result\":").is_some(), "{}", shown(message));
    for end in [head, tail] {
        if memmem::find(end, b"\"isError\":true").is_some() {
            bail!("{}", shown(message));
        }
    }
    Ok(id)
}

/// The beginning or the end of a long message.
fn part(message: &[u8], end: bool) -> &[u8] {
    const ENOUGH: usize = 256;
    let from = if end { message.len().saturating_sub(ENOUGH) } else { 0 };
    message.get(from..(from + ENOUGH).min(message.len())).unwrap_or_default()
}

fn shown(message: &[u8]) -> String {
    format!("no result of a call: {}", String::from_utf8_lossy(part(message, false)))
}

/// The value after a key, if it is a string or a number: as written, quotes included.
pub fn field<'a>(message: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    let at = memmem::find(message, key)? + key.len();
    let value = message.get(at..)?.trim_ascii_start();
    let end = match value.first()? {
        b'"' => memchr::memchr(b'"', value.get(1..)?)? + 2,
        _ => value.iter().position(|byte| !byte.is_ascii_alphanumeric() && *byte != b'-')?,
    };
    value.get(..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_differ_in_id_and_tool_alone() {
        let mut template = Template::new(b"HEAD\r\n", "", b"\n");
        assert_eq!(message("").len(), 100);
        let text = String::from_utf8(template.of(9_033).to_vec()).expect("text");
        assert_eq!(
            text,
            "HEAD\r\n{\"jsonrpc\":\"2.0\",\"id\":1033,\"method\":\"tools/call\",\"params\":{\"name\":\"t09\",\
             \"arguments\":{\"path\":\"d/a\"}}}\n"
        );
        let text = Template::new(b"", "null/", b"").of(1).to_vec();
        assert!(String::from_utf8_lossy(&text).contains("\"null/t01\""));
    }

    #[test]
    fn answers_are_told_from_errors() {
        let result = br#"{"jsonrpc":"2.0","id": 1007,"result":{"content":[]}}"#;
        assert_eq!(answered(result).expect("a result"), 7);
        let other = br#"{"result":{"content":[]},"jsonrpc":"2.0","id":1007}"#;
        assert_eq!(answered(other).expect("a result"), 7);
        for bad in [
            r#"{"jsonrpc":"2.0","id":1007,"error":{"code":-31003,"message":"denied"}}"#,
            r#"{"jsonrpc":"2.0","id":1007,"result":{"content":[],"isError":true}}"#,
            r#"{"jsonrpc":"2.0","id":7,"result":{"content":[]}}"#,
            r#"{"jsonrpc":"2.0","method":"notifications/message"}"#,
        ] {
            assert!(answered(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
