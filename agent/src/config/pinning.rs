//! Tool pinning: its section of a policy, and the file that holds what was accepted.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What happens when a server defines a tool otherwise than it was accepted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PinningSection {
    /// A tool whose definition is not the accepted one. `deny` also wants a tool to be listed in a session
    /// before it is called.
    pub on_change: OnChange,
    /// A tool that was never accepted.
    pub on_new: OnNew,
    /// The file of accepted definitions, relative to the policy file; by default
    /// `<state_dir>/pins/<server>.yaml`.
    pub file: Option<PathBuf>,
}

/// What happens to a tool whose definition is not the accepted one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OnChange {
    /// It is recorded, left out of lists, and calls are denied until `warrantd pin` accepts it.
    #[default]
    Deny,
    /// It is recorded.
    Report,
}

/// What happens to a tool that was never accepted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OnNew {
    /// What is seen first is accepted.
    #[default]
    Accept,
    /// It is recorded, left out of lists, and calls are denied until `warrantd pin` accepts it.
    Deny,
    /// What is seen first is accepted and recorded.
    Report,
}

/// A file of definitions by tool: those that were accepted, or those that were seen instead.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PinFile {
    /// The definitions.
    pub tools: BTreeMap<String, PinEntry>,
}

/// A definition in a [`PinFile`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PinEntry {
    /// `sha256:` and the SHA-256 of the definition's canonical form (RFC 8785).
    pub hash: String,
    /// When it was accepted or seen: ISO 8601, UTC.
    pub at: String,
    /// Who accepted it, or whose session saw it.
    pub by: String,
    /// The description's first line, for people.
    pub description: String,
    /// The whole definition as JSON.
    pub definition: String,
}
