//! One line of the log: how it is bound to the one before, and how its parts are found again.

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use super::record::Record;

/// A SHA-256 in lower-case hexadecimal, as lines have it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Hash([u8; Hash::LEN]);

impl Hash {
    /// Digits.
    pub(super) const LEN: usize = 64;
    /// What stands for the hash before the first line's.
    pub(super) const NONE: Self = Self([b'0'; Self::LEN]);

    /// The hash of some bytes.
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self::from_digest(&Sha256::digest(bytes))
    }

    fn from_digest(digest: &[u8]) -> Self {
        let mut text = [b'0'; Self::LEN];
        HEXLOWER.encode_mut(digest, &mut text);
        Self(text)
    }

    /// Takes the digits of a line.
    pub(super) fn read(digits: &[u8]) -> Option<Self> {
        let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let hash = <[u8; Self::LEN]>::try_from(digits).ok()?;
        hash.iter().all(is_digit).then_some(Self(hash))
    }

    /// Its digits.
    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::fmt::Display for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A record as JSON, before it has its place in the log. Most of the work is done here, where nobody
/// waits for it.
pub(super) struct Draft {
    line: Vec<u8>,
    hasher: Sha256,
}

/// A line with its line feed, and its hash.
pub(super) struct Sealed {
    pub(super) line: Vec<u8>,
    pub(super) hash: Hash,
}

const SEQ: &[u8] = b",\"seq\":";
const PREV: &[u8] = b",\"prev_hash\":\"";
const HASH: &[u8] = b",\"hash\":\"";
const END: &[u8] = b"\"}";

impl Draft {
    pub(super) fn new(record: &Record) -> Result<Self, serde_json::Error> {
        let mut line = Vec::with_capacity(2048);
        serde_json::to_writer(&mut line, record)?;
        line.pop(); // The closing brace.
        Ok(Self::from_open(line))
    }

    /// From an object without its closing brace.
    pub(super) fn from_open(line: Vec<u8>) -> Self {
        let hasher = Sha256::new_with_prefix(&line);
        Self { line, hasher }
    }

    /// Bytes of the line that it becomes, at most.
    pub(super) fn size(&self) -> u64 {
        const BONDS: usize = 2 * Hash::LEN + 64;
        (self.line.len() + BONDS) as u64
    }

    /// Gives it its place.
    pub(super) fn seal(self, seq: u64, prev: &Hash) -> Sealed {
        let Self { mut line, mut hasher } = self;
        let start = line.len();
        line.extend_from_slice(SEQ);
        line.extend_from_slice(seq.to_string().as_bytes());
        line.extend_from_slice(PREV);
        line.extend_from_slice(&prev.0);
        line.push(b'"');
        hasher.update(line.get(start..).unwrap_or_default());
        let hash = Hash::from_digest(&hasher.finalize());
        line.extend_from_slice(HASH);
        line.extend_from_slice(&hash.0);
        line.extend_from_slice(END);
        line.push(b'\n');
        Sealed { line, hash }
    }
}

/// What a line (without its line feed) is made of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parts<'a> {
    /// The record, without its closing brace.
    pub(super) record: &'a [u8],
    /// What is hashed: the record, its number and the hash before.
    pub(super) hashed: &'a [u8],
    pub(super) seq: u64,
    pub(super) prev: Hash,
    pub(super) hash: Hash,
}

impl<'a> Parts<'a> {
    /// Takes a line apart from its end, byte for byte as it is written.
    pub(super) fn of(line: &'a [u8]) -> Option<Self> {
        let (hashed, hash) = digits_before(line, HASH, END)?;
        let (before, prev) = digits_before(hashed, PREV, b"\"")?;
        let from = before.iter().rposition(|byte| !byte.is_ascii_digit())? + 1;
        let number = before.get(from..)?;
        let record = before.get(..from)?.strip_suffix(SEQ)?;
        if number.first() == Some(&b'0') {
            return None;
        }
        let seq = std::str::from_utf8(number).ok()?.parse().ok()?;
        Some(Self { record, hashed, seq, prev, hash })
    }

    /// Whether the hash is that of the line's bytes.
    pub(super) fn is_whole(&self) -> bool {
        Hash::of(self.hashed) == self.hash
    }
}

/// What stands before `key`, and the hash between it and `end`.
fn digits_before<'a>(text: &'a [u8], key: &[u8], end: &[u8]) -> Option<(&'a [u8], Hash)> {
    let text = text.strip_suffix(end)?;
    let (rest, digits) = text.split_at_checked(text.len().checked_sub(Hash::LEN)?)?;
    Some((rest.strip_suffix(key)?, Hash::read(digits)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Event;

    #[test]
    fn a_line_comes_apart_as_it_was_put_together() {
        let record = Record::new(Event::Start);
        let first = Draft::new(&record).expect("encodes").seal(7, &Hash::NONE);
        let line = first.line.strip_suffix(b"\n").expect("a line");
        let parts = Parts::of(line).expect("parts");
        assert_eq!((parts.seq, parts.prev, parts.hash), (7, Hash::NONE, first.hash));
        assert!(parts.is_whole());
        let mut text = parts.record.to_vec();
        text.push(b'}');
        assert_eq!(text, serde_json::to_vec(&record).expect("encodes"));
    }

    #[test]
    fn what_is_not_written_like_this_is_no_line() {
        let sealed = Draft::new(&Record::new(Event::Start)).expect("encodes").seal(7, &Hash::NONE);
        let text = String::from_utf8(sealed.line).expect("text");
        let line = text.trim_end();
        for (from, to) in
            [("\"seq\":7", "\"seq\":07"), ("\"seq\":7", "\"seq\":"), ("\"seq\":7", "\"seq\":-7")]
        {
            assert!(Parts::of(line.replace(from, to).as_bytes()).is_none(), "{to}");
        }
        assert!(Parts::of(text.as_bytes()).is_none(), "with its line feed");
        assert!(Parts::of(line.to_uppercase().as_bytes()).is_none());
    }
}
