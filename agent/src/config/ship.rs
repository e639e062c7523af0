//! Where the audit log is shipped to.

use schemars::JsonSchema;
use serde::Deserialize;

/// In which form events leave.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum ShipFormat {
    /// The line of the log.
    Native,
    /// Open Cybersecurity Schema Framework 1.8.
    #[default]
    Ocsf,
    /// Elastic Common Schema 9.4.
    Ecs,
    /// Common Event Format 0.
    Cef,
}
