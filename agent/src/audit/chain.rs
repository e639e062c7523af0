//! Verification of a log file (its format is that of [`super::log`]): that no line was changed, left out,
//! put in or moved. Lines that were cut off the end leave no trace in the file.

use super::line::{Hash, Parts};

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

/// Checks the lines of a log in their order.
#[derive(Debug, Clone)]
pub struct Chain {
    /// The line before; `None` before a first line that may be any.
    last: Option<(u64, Hash)>,
}

impl Default for Chain {
    fn default() -> Self {
        Self { last: Some((0, Hash::NONE)) }
    }
}

impl Chain {
    /// A chain of which the beginning is not there: the first line may have any number.
    pub fn from_anywhere() -> Self {
        Self { last: None }
    }

    /// Checks the next line (without its line feed) and gives its number.
    pub fn follow(&mut self, line: &[u8]) -> Result<u64, ChainError> {
        let parts = Parts::of(line).ok_or(ChainError::Form)?;
        if !parts.is_whole() {
            return Err(ChainError::Changed);
        }
        if let Some((seq, hash)) = self.last {
            let expected = seq + 1;
            if parts.seq != expected {
                return Err(ChainError::Number { expected, found: parts.seq });
            }
            if parts.prev != hash {
                return Err(ChainError::Link);
            }
        }
        self.last = Some((parts.seq, parts.hash));
        Ok(parts.seq)
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
