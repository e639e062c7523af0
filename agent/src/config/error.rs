//! What a person sees when a file cannot be used.

use std::fmt;
use std::path::PathBuf;

/// A defect of a file's content, by the path of the key that has it. It becomes a [`ConfigError`]
/// when [`super::Source`] finds the key's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Path of the key, such as `actors[0].id`; empty for the whole file.
    pub key: String,
    /// What is wrong, and the way out.
    pub message: String,
}

impl Problem {
    /// A problem of the value at `key`.
    pub fn new(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { key: key.into(), message: message.into() }
    }
}

/// A file that cannot be used, with the place. Displays as
///
/// ```text
/// error: unknown field `actorz`; did you mean `actors`?
///   --> policy.yaml:3:1
///    |
///  3 | actorz:
///    | ^
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The file.
    pub file: PathBuf,
    /// Line, from 1; 0 when the file could not be read at all.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Path of the key, such as `servers[0].policy`; empty when the place is all that is known.
    pub key: String,
    /// What is wrong, and the way out.
    pub message: String,
    /// The text of the line.
    pub snippet: String,
}

impl ConfigError {
    /// The same text as a warning, for what can be used and is hardly meant.
    pub fn as_warning(&self) -> String {
        self.to_string().replacen("error:", "warning:", 1)
    }
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "error: {}", self.message)?;
        if self.line == 0 {
            return write!(f, "  --> {}", self.file.display());
        }
        write!(f, "  --> {}:{}:{}", self.file.display(), self.line, self.column)?;
        if !self.key.is_empty() {
            write!(f, " ({})", self.key)?;
        }
        if self.snippet.is_empty() {
            return Ok(());
        }
        let number = self.line.to_string();
        let gutter = " ".repeat(number.len());
        let before: String = self
            .snippet
            .chars()
            .take(self.column.saturating_sub(1))
            .map(|c| if c == '\t' { '\t' } else { ' ' })
            .collect();
        write!(f, "\n {gutter} |\n {number} | {}\n {gutter} | {before}^", self.snippet)
    }
}

/// `; did you mean "x"?` when one of `known` is close to `word`, else nothing.
pub fn suggestion<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().max(3) / 3)
        .min()
        .map_or_else(String::new, |(_, candidate)| format!("; did you mean `{candidate}`?"))
}
