//! Verification of a log file (its format is that of [`super::log`]): that no line was changed, left out,
//! put in or moved. Lines that were cut off the end leave no trace in the file.

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::log::hex;

/// Why a line does not belong where it stands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// It is no line of a log.
    #[error("it is not a record that ends with its hash")]
    Form,
    /// Its bytes are not those that were written.
    #[error("it was changed: its hash is not that of its bytes")]
    Changed,
    /// Another one should stand here.
    #[error(
        "record {expected} should stand here, and {found} does: lines are missing or were moved"
    )]
    Number {
        /// Which one should.
        expected: u64,
        /// Which one does.
        found: u64,
    },
    /// It was written after another line than the one before it.
    #[error("it does not follow the record before it, which is not the one that was written")]
    Link,
}

/// Checks the lines of one file in their order.
#[derive(Debug, Clone)]
pub struct Chain {
    seq: u64,
    hash: String,
}

/// Binds a line to the one before.
#[derive(Deserialize)]
struct Bond {
    seq: u64,
    prev_hash: String,
}

/// What stands before the hash, and after it.
const BEFORE: &[u8] = b",\"hash\":\"";
const AFTER: &[u8] = b"\"}";
const HASH: usize = 64;

impl Default for Chain {
    fn default() -> Self {
        Self { seq: 0, hash: "0".repeat(HASH) }
    }
}

impl Chain {
    /// Checks the next line (without its line feed) and gives its number.
    pub fn follow(&mut self, line: &[u8]) -> Result<u64, ChainError> {
        let body = line.strip_suffix(AFTER).ok_or(ChainError::Form)?;
        let at = body.len().checked_sub(HASH).ok_or(ChainError::Form)?;
        let (body, hash) = body.split_at_checked(at).ok_or(ChainError::Form)?;
        let body = body.strip_suffix(BEFORE).ok_or(ChainError::Form)?;
        let own = hex(&Sha256::digest(body));
        if own.as_bytes() != hash {
            return Err(ChainError::Changed);
        }
        let bond: Bond = serde_json::from_slice(line).map_err(|_| ChainError::Form)?;
        let expected = self.seq + 1;
        if bond.seq != expected {
            return Err(ChainError::Number { expected, found: bond.seq });
        }
        if bond.prev_hash != self.hash {
            return Err(ChainError::Link);
        }
        (self.seq, self.hash) = (bond.seq, own);
        Ok(bond.seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{Event, Log, Record};

    fn lines(of: &str) -> Vec<String> {
        let dir = tempfile::tempdir().expect("dir");
        let log = Log::open(dir.path(), "audit").expect("log");
        for error in ["one", "two", "three"] {
            let mut record = Record::new(Event::Start);
            record.error = Some(format!("{error} {of}"));
            log.append(&record).expect("written");
        }
        std::fs::read_to_string(log.path()).expect("text").lines().map(str::to_owned).collect()
    }

    fn check<'a>(lines: impl IntoIterator<Item = &'a String>) -> Result<(), ChainError> {
        let mut chain = Chain::default();
        lines.into_iter().try_for_each(|line| chain.follow(line.as_bytes()).map(drop))
    }

    #[test]
    fn what_was_written_holds_and_what_was_changed_does_not() {
        let lines = lines("a");
        assert_eq!(check(&lines), Ok(()));
        let mut changed = lines.clone();
        changed[1] = changed[1].replace("two", "tow");
        assert_eq!(check(&changed), Err(ChainError::Changed));
        let missing = [&lines[0], &lines[2]];
        assert_eq!(check(missing), Err(ChainError::Number { expected: 2, found: 3 }));
        assert_eq!(check([&lines[1]]), Err(ChainError::Number { expected: 1, found: 2 }));
        for no_line in ["", "{}", "[]", "\"}", "nonsense"] {
            assert_eq!(check([&no_line.to_owned()]), Err(ChainError::Form), "{no_line}");
        }
    }

    #[test]
    fn a_line_with_a_right_hash_that_follows_another_is_noticed() {
        let first = &lines("a")[0];
        // A second log's line has a right hash and the right number.
        let other = &lines("b")[1];
        assert_eq!(check([first, other]), Err(ChainError::Link));
    }
}
