//! What is read of a record. Words are kept as the log has them, so that records of other versions, and such
//! as somebody put in, are shown as well.

use std::fmt;
use std::marker::PhantomData;

use jiff::Timestamp;
use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::foreign::{Foreign, Json};

/// Effects that are shown of those that exceeded, and of those that were warranted.
const EXCEEDED: usize = 40;
const WARRANTED: usize = 20;
/// Effects that are looked at.
const ALL: usize = 1 << 20;
/// Entries that are kept of other lists.
const ITEMS: usize = 40;

/// As much of a record as a report shows.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Entry {
    /// Index of its log among those that are read.
    #[serde(skip)]
    pub(super) log: usize,
    /// Its number there.
    pub(super) seq: u64,
    pub(super) hash: Foreign,
    pub(super) prev_hash: Foreign,
    pub(super) timestamp: Foreign,
    pub(super) event: Foreign,
    pub(super) correlation_id: Option<Foreign>,
    pub(super) continues: Option<Foreign>,
    pub(super) during: Option<First<Foreign>>,
    pub(super) session_id: Option<Foreign>,
    pub(super) actor: Option<Foreign>,
    pub(super) source_ip: Option<Foreign>,
    pub(super) tool_name: Option<Foreign>,
    pub(super) method: Option<Foreign>,
    pub(super) arguments: Option<Json>,
    pub(super) server_id: Option<Foreign>,
    pub(super) policy_decision: Option<Foreign>,
    pub(super) policy_rule_matched: Option<Foreign>,
    pub(super) auth_method: Option<Foreign>,
    pub(super) status: Option<Foreign>,
    pub(super) error: Option<Foreign>,
    pub(super) duration_ms: Option<u64>,
    pub(super) result_metadata: Option<ResultSize>,
    pub(super) model_output_ref: Option<Foreign>,
    pub(super) context_sources: Option<Json>,
    pub(super) end_user_id: Option<Foreign>,
    pub(super) traceparent: Option<Foreign>,
    pub(super) effective_principal: Option<Foreign>,
    pub(super) effective_uid: Option<u64>,
    pub(super) mode: Option<Foreign>,
    pub(super) server_root: Option<Foreign>,
    pub(super) warrant: Option<Leave>,
    pub(super) effects: Option<Effects>,
    pub(super) definition: Option<Definition>,
    pub(super) operator_uid: Option<u64>,
    pub(super) policy_generation: Option<u64>,
    pub(super) configuration: Option<Configuration>,
    pub(super) alert: Option<Alert>,
    pub(super) checkpoint: Option<Signed>,
}

/// Size and kind of a result.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct ResultSize {
    pub(super) bytes: u64,
    pub(super) rows: Option<u64>,
    pub(super) is_error: bool,
}

/// What a call was allowed to do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Leave {
    pub(super) read: First<Foreign>,
    pub(super) write: First<Foreign>,
    pub(super) delete: First<Foreign>,
    pub(super) exec: First<Json>,
    pub(super) connect: First<Foreign>,
}

/// What the kernel saw.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Effects {
    pub(super) verdict: Foreign,
    pub(super) attribution: Foreign,
    pub(super) backend: Foreign,
    pub(super) counts: Counts,
    pub(super) warranted: First<Deed, ALL>,
    pub(super) exceeded: First<Deed, ALL>,
}

/// How many effects there were.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default)]
pub(super) struct Counts {
    pub(super) ambient: u64,
    pub(super) warranted: u64,
    pub(super) exceeded: u64,
    pub(super) lost: u64,
    pub(super) cut: bool,
}

/// One effect.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Deed {
    pub(super) kind: Foreign,
    pub(super) outcome: Foreign,
    pub(super) path: Option<Foreign>,
    pub(super) dev: Option<u64>,
    pub(super) ino: Option<u64>,
    pub(super) truncated: bool,
    pub(super) peer: Option<Foreign>,
    pub(super) protocol: Option<Foreign>,
    pub(super) names: First<Foreign>,
    pub(super) argv: First<Foreign>,
    pub(super) argv_cut: bool,
    pub(super) pid: u64,
    pub(super) tid: u64,
    pub(super) uid: u64,
    pub(super) exe: Foreign,
}

/// What a server says of a tool.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Definition {
    pub(super) old_hash: Option<Foreign>,
    pub(super) new_hash: Option<Foreign>,
    pub(super) changed: First<Foreign>,
    pub(super) description: Option<Foreign>,
    pub(super) similar_to: Option<Foreign>,
}

/// What a start read, and what a reload changed.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Configuration {
    pub(super) files: First<ConfigFile>,
    pub(super) changed: First<Foreign>,
    pub(super) added: First<Foreign>,
    pub(super) removed: First<Foreign>,
}

/// A file of the configuration.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct ConfigFile {
    pub(super) path: Foreign,
    pub(super) hash: Foreign,
}

/// Which rule held, and for what.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Alert {
    pub(super) rule: Foreign,
    pub(super) about: Foreign,
    pub(super) count: u64,
    pub(super) follows: Option<u64>,
}

/// What a checkpoint says.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Signed {
    pub(super) reason: Foreign,
    pub(super) key: Foreign,
}

/// The first `MOST` of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct First<T, const MOST: usize = ITEMS> {
    pub(super) listed: Vec<T>,
    /// How many are not listed.
    pub(super) more: usize,
}

impl<T, const MOST: usize> Default for First<T, MOST> {
    fn default() -> Self {
        Self { listed: Vec::new(), more: 0 }
    }
}

impl<T, const MOST: usize> First<T, MOST> {
    pub(super) fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }

    pub(super) fn iter(&self) -> std::slice::Iter<'_, T> {
        self.listed.iter()
    }

    fn shortened(&mut self, most: usize) {
        self.more += self.listed.len().saturating_sub(most);
        self.listed.truncate(most);
        self.listed.shrink_to_fit();
    }
}

impl<'de, T: Deserialize<'de>, const MOST: usize> Deserialize<'de> for First<T, MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Items(PhantomData))
    }
}

/// Takes the first items and counts the others.
struct Items<T, const MOST: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MOST: usize> Visitor<'de> for Items<T, MOST> {
    type Value = First<T, MOST>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut first = First::default();
        while first.listed.len() < MOST {
            let Some(item) = items.next_element()? else { return Ok(first) };
            first.listed.push(item);
        }
        while items.next_element::<IgnoredAny>()?.is_some() {
            first.more += 1;
        }
        Ok(first)
    }
}

impl Entry {
    /// Reads a line of the log.
    pub(super) fn read(line: &[u8]) -> Option<Self> {
        serde_json::from_slice(line).ok()
    }

    /// When it was written.
    pub(super) fn at(&self) -> Option<Timestamp> {
        self.timestamp.as_str().parse().ok()
    }

    /// Whether it is of this event.
    pub(super) fn is(&self, event: &str) -> bool {
        self.event.is(event)
    }

    /// Whether policy denied it, even if that was not enforced.
    pub(super) fn is_denied(&self) -> bool {
        self.policy_decision.as_ref().is_some_and(|decision| decision.is("DENY"))
    }

    /// Whether policy was only tried.
    pub(super) fn is_observed(&self) -> bool {
        self.mode.as_ref().is_some_and(|mode| mode.is("observe"))
    }

    /// The verdict; empty without effects.
    pub(super) fn verdict(&self) -> &str {
        self.effects.as_ref().map_or("", |effects| effects.verdict.as_str())
    }

    /// Whether an answer was released.
    pub(super) fn succeeded(&self) -> bool {
        self.status.as_ref().is_some_and(|status| status.is("SUCCESS"))
    }

    /// What was called: the tool, or the method where that is no tool's.
    pub(super) fn what(&self) -> Option<&Foreign> {
        self.tool_name.as_ref().or(self.method.as_ref())
    }

    /// Whether the daemon itself is meant, and no server or caller.
    pub(super) fn is_of_daemon(&self) -> bool {
        self.server_id.is_none() && self.actor.is_none() && self.session_id.is_none()
    }

    /// The record with as many effects as are shown.
    pub(super) fn shortened(mut self) -> Self {
        if let Some(effects) = &mut self.effects {
            effects.exceeded.shortened(EXCEEDED);
            effects.warranted.shortened(WARRANTED);
        }
        self
    }
}

impl Deed {
    /// Whether the kernel refused it.
    pub(super) fn is_refused(&self) -> bool {
        self.outcome.is("denied")
    }

    /// To what it was done: a path, or a peer.
    pub(super) fn target(&self) -> &str {
        let target = self.path.as_ref().or(self.peer.as_ref());
        target.map_or("", Foreign::as_str)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: &serde_json::Value) -> Option<Entry> {
        Entry::read(value.to_string().as_bytes())
    }

    #[test]
    fn lists_are_counted_to_their_end() {
        let deed = json!({"kind": "exec", "outcome": "allowed", "path": "/bin/sh", "pid": 7});
        let deeds = vec![deed; 100];
        let globs: Vec<_> = (0..50).map(|n| format!("/{n}")).collect();
        let entry = read(&json!({
            "event": "call", "warrant": {"read": globs},
            "effects": {"verdict": "EXCEEDED", "exceeded": deeds, "warranted": []},
        }));
        let entry = entry.expect("a record");
        assert_eq!(entry.effects.as_ref().map(|e| e.exceeded.listed.len()), Some(100));
        let read = &entry.warrant.as_ref().expect("a warrant").read;
        assert_eq!((read.listed.len(), read.more), (40, 10));
        let effects = entry.shortened().effects.expect("effects");
        assert_eq!((effects.exceeded.listed.len(), effects.exceeded.more), (40, 60));
    }

    #[test]
    fn what_another_version_wrote_is_read_and_what_is_no_record_is_not() {
        let entry = read(&json!({"event": "of tomorrow", "new": [1], "policy_decision": "MAYBE"}));
        let entry = entry.expect("a record");
        assert!(entry.is("of tomorrow") && !entry.is_denied() && entry.is_of_daemon());
        assert!(read(&json!({"event": 7})).is_none() && Entry::read(b"{").is_none());
    }
}
