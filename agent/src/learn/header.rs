//! What a policy was learned from.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::evidence::Evidence;
use super::item::{Seen, Unit};
use super::material::{Material, Reason};
use crate::mcp::methods::known;

/// What a policy was learned from, and what not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Header {
    /// The server.
    pub server: String,
    /// The log's files that have records of it, with the first and last number.
    pub files: BTreeMap<String, (u64, u64)>,
    /// When the first and the last record were written.
    pub span: Option<(String, String)>,
    /// Directories that are the server's.
    pub roots: BTreeSet<String>,
    /// Calls that were learned from.
    pub calls: usize,
    /// Actors that made them.
    pub actors: usize,
    /// Records of starts and of effects outside of calls.
    pub outside: usize,
    /// Calls that were not learned from.
    pub aside: Vec<Aside>,
    /// Records outside of calls that were not learned from.
    pub outside_aside: Vec<Aside>,
    /// Methods that were called and that MCP does not have.
    pub methods: BTreeMap<String, Seen>,
}

/// Records that were not learned from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Aside {
    /// Why.
    pub reason: Reason,
    /// How many, and the first of them.
    pub seen: Seen,
    /// Their numbers, as far as they are few.
    pub seqs: Vec<u64>,
}

/// Numbers that are listed one by one.
const LISTED: usize = 12;

impl Header {
    pub(super) fn of(material: &Material) -> Self {
        let actors: BTreeSet<_> = material.calls.iter().map(|call| &call.actor).collect();
        let seen = |from: &Evidence, unit| from.seen(unit, &material.files);
        let aside = |list: &BTreeMap<Reason, Evidence>, unit| {
            let each = |(reason, from): (&Reason, &Evidence)| Aside {
                reason: *reason,
                seen: seen(from, unit),
                seqs: from.seqs().take(LISTED).collect(),
            };
            list.iter().map(each).collect()
        };
        Self {
            server: material.server.clone(),
            files: material.ranges.clone(),
            span: material.span.clone(),
            roots: material.roots.clone(),
            calls: material.calls.len(),
            actors: actors.len(),
            outside: material.outside.len(),
            aside: aside(&material.aside, Unit::Call),
            outside_aside: aside(&material.outside_aside, Unit::Record),
            methods: material
                .methods
                .iter()
                .filter(|(method, _)| known(method).is_none())
                .map(|(method, from)| (method.clone(), seen(from, Unit::Record)))
                .collect(),
        }
    }
}
