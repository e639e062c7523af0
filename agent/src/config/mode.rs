//! Whether a policy is enforced or only tried.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a policy's decisions lead to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// What is denied does not happen.
    #[default]
    Enforce,
    /// Everything is decided and recorded as it would be, and nothing is held back: calls are forwarded,
    /// responses released, limits of time and rate not applied, files and Unix sockets open. Of the
    /// network, special and metadata addresses stay closed unless the policy lists them. Who cannot
    /// prove who it is, and what is no message, is refused all the same.
    Observe,
}
