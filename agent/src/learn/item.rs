//! One line of a learned policy.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

/// A value, what it was learned from, and why a person should look at it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Item {
    /// What stands in the policy.
    pub value: Value,
    /// What it was learned from.
    pub seen: Seen,
    /// What needs eyes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub review: Vec<String>,
}

/// How often something was seen, and where first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// In what it was seen.
    pub unit: Unit,
    /// In how many.
    pub count: usize,
    /// Number of the first record.
    pub first_seq: u64,
    /// File of the first record, when there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}

/// What records are counted as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Calls.
    Call,
    /// Starts of the server.
    Start,
    /// Records of any kind.
    Record,
}

impl Unit {
    /// One of them.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Start => "start",
            Self::Record => "record",
        }
    }
}

impl Item {
    /// The text, when the value is one.
    pub fn text(&self) -> &str {
        self.value.as_str().unwrap_or_default()
    }
}

/// `12 calls, first seq 41`.
impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = self.unit.word();
        let plural = if self.count == 1 { "" } else { "s" };
        write!(f, "{} {unit}{plural}, first seq {}", self.count, self.first_seq)?;
        self.file.as_ref().map_or(Ok(()), |file| write!(f, " of {file}"))
    }
}
