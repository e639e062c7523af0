//! Policy test files.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::policy::Action;

/// Cases for one policy.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CasesFile {
    /// The policy, relative to this file.
    pub policy: PathBuf,
    /// The server's root.
    #[serde(default = "default_root")]
    pub root: String,
    /// What is asked.
    pub cases: Vec<Case>,
}

fn default_root() -> String {
    "/".to_owned()
}

/// A call, or another request or notification, and what the policy must say of it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What the case shows.
    pub name: String,
    /// Who calls.
    pub actor: String,
    /// Which tool; in its place `method`.
    #[serde(default)]
    pub tool: Option<String>,
    /// With what.
    #[serde(default)]
    pub arguments: Map<String, Value>,
    /// Which method, such as `resources/read`, or `sampling/createMessage` for what a server asks.
    #[serde(default)]
    pub method: Option<String>,
    /// With which parameters.
    #[serde(default)]
    pub params: Map<String, Value>,
    /// The tool's own schema, as its server publishes it.
    #[serde(default)]
    pub schema: Option<Value>,
    /// What the policy must decide.
    pub expect: Action,
    /// How the key of the rule must begin.
    #[serde(default)]
    pub rule: Option<String>,
    /// What the warrant must be, in full.
    #[serde(default)]
    pub warrant: Option<Value>,
    /// The call is made so often within a second. The last one counts; those before it must be
    /// allowed.
    #[serde(default = "once")]
    pub times: u32,
}

fn once() -> u32 {
    1
}
