//! What is read of a record.

use serde::Deserialize;
use serde_json::Value;

use crate::audit::{Attribution, Event, Status};
use crate::config::{Action, Mode};
use crate::warrant::{Effect, Verdict};

/// The records of one log file.
#[derive(Debug, Clone)]
pub struct LogFile {
    /// Its name.
    pub name: String,
    /// Its records.
    pub entries: Vec<Entry>,
}

/// As much of a record as matters here. Fields that a version of the log did not have yet are null.
#[derive(Debug, Clone, Deserialize)]
pub struct Entry {
    /// Its number in the file.
    pub seq: u64,
    /// When it was written: ISO 8601.
    pub timestamp: String,
    /// What it is about.
    pub event: Event,
    /// Whether policy was enforced.
    #[serde(default)]
    pub mode: Option<Mode>,
    /// The server's working directory.
    #[serde(default)]
    pub server_root: Option<String>,
    /// Joins the record of a call to that of the task it became.
    #[serde(default)]
    pub correlation_id: Option<String>,
    /// The session.
    pub session_id: Option<String>,
    /// The caller.
    pub actor: Option<String>,
    /// The tool.
    pub tool_name: Option<String>,
    /// Its arguments, sanitized.
    pub arguments: Option<Value>,
    /// The server.
    pub server_id: Option<String>,
    /// What policy decided.
    pub policy_decision: Option<Action>,
    /// How it ended.
    pub status: Option<Status>,
    /// The method.
    pub method: Option<String>,
    /// What the kernel saw.
    pub effects: Option<EntryEffects>,
}

/// What the kernel saw, as a record has it.
#[derive(Debug, Clone, Deserialize)]
pub struct EntryEffects {
    /// Whether the effects stayed within the warrant.
    pub verdict: Verdict,
    /// Whose effects these are.
    pub attribution: Attribution,
    /// What is missing.
    pub counts: EntryCounts,
    /// Effects that something covered.
    pub warranted: Vec<Effect>,
    /// Effects that nothing covered.
    pub exceeded: Vec<Effect>,
}

/// What is missing from a record's effects.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct EntryCounts {
    /// Kernel events that were lost.
    pub lost: u64,
    /// More was done than could be waited for.
    #[serde(default)]
    pub cut: bool,
}

impl EntryEffects {
    /// Whether everything that was done is known.
    pub(super) fn is_whole(&self) -> bool {
        self.counts.lost == 0 && !self.counts.cut && self.verdict != Verdict::Incomplete
    }

    /// All effects.
    pub(super) fn all(&self) -> impl Iterator<Item = &Effect> {
        self.warranted.iter().chain(&self.exceeded)
    }
}
