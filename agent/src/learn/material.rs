//! What there is to learn from.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Map, Value};

use super::evidence::{Evidence, Place};
use super::item::{Item, Unit};
use crate::warrant::Effect;

/// What the log tells of one server.
#[derive(Debug, Clone, Default)]
pub struct Material {
    /// The server.
    pub server: String,
    /// The log's files, by name.
    pub files: Vec<String>,
    /// First and last number of the server's records, by file.
    pub ranges: BTreeMap<String, (u64, u64)>,
    /// When the first and the last of them were written.
    pub span: Option<(String, String)>,
    /// Directories that the server worked in, and those that were named as its own.
    pub roots: BTreeSet<String>,
    /// Calls to learn from, by place.
    pub(super) calls: Vec<Call>,
    /// Effects that belong to no call.
    pub outside: Vec<Outside>,
    /// Calls that are not learned from.
    pub(super) aside: BTreeMap<Reason, Evidence>,
    /// Records of effects outside of calls that are not learned from.
    pub(super) outside_aside: BTreeMap<Reason, Evidence>,
    /// Methods beside `tools/call` that were used.
    pub(super) methods: BTreeMap<String, Evidence>,
}

/// A call to learn from.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) place: Place,
    /// Milliseconds since 1970.
    pub(super) at: i64,
    pub(super) actor: String,
    pub(super) tool: String,
    pub(super) arguments: Map<String, Value>,
    /// From where its relative paths count.
    pub(super) root: Option<String>,
    pub(super) effects: Vec<Effect>,
}

/// Effects that belong to no call.
#[derive(Debug, Clone)]
pub struct Outside {
    pub(super) place: Place,
    /// They belong to the server's start.
    pub(super) starting: bool,
    pub(super) effects: Vec<Effect>,
}

/// Why a record is not learned from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// An enforced policy denied it.
    Denied,
    /// An enforced policy found that it did more than its warrant.
    Exceeded,
    /// The kernel's events were lost or cut.
    Incomplete,
    /// There was no kernel view.
    Unobserved,
    /// Other calls were in flight, so whose effects they are is not known.
    Shared,
    /// It failed.
    Failed,
}

impl Reason {
    /// In words.
    pub fn text(self) -> &'static str {
        match self {
            Self::Denied => "denied by an enforced policy",
            Self::Exceeded => "EXCEEDED under an enforced policy",
            Self::Incomplete => "INCOMPLETE: kernel events were lost",
            Self::Unobserved => "UNOBSERVED: no kernel view",
            Self::Shared => {
                "in flight together with others, so whose effects they are is not known (observe with \
                 effects.serialize_calls: true)"
            }
            Self::Failed => "failed",
        }
    }
}

impl Material {
    /// A line of the policy.
    pub(super) fn item(&self, value: impl Into<Value>, from: &Evidence, unit: Unit) -> Item {
        Item { value: value.into(), seen: from.seen(unit, &self.files), review: Vec::new() }
    }

    /// Whether a path is in a directory that is the server's.
    pub(super) fn root_of(&self, path: &str) -> Option<&str> {
        let holds = |root: &&String| below(path, root).is_some();
        self.roots.iter().filter(holds).max_by_key(|root| root.len()).map(String::as_str)
    }

    /// The calls of each tool.
    pub(super) fn tools(&self) -> BTreeMap<&str, Vec<&Call>> {
        let mut tools: BTreeMap<&str, Vec<&Call>> = BTreeMap::new();
        for call in &self.calls {
            tools.entry(&call.tool).or_default().push(call);
        }
        tools
    }
}

/// What of `path` follows the directory, without a slash at its beginning; empty for the directory itself.
pub(super) fn below<'a>(path: &'a str, directory: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(directory.trim_end_matches('/'))?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix('/') }
}
