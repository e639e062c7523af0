//! The audit log's section of the daemon's file.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::alerts::AlertConfig;
use super::ship::ShipConfig;
use super::units::{Size, Span};

/// The audit log.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AuditConfig {
    /// Its directory.
    pub dir: PathBuf,
    /// What a record survives that was written.
    pub durability: Durability,
    /// What happens to calls while the log cannot be written.
    pub on_audit_error: OnAuditError,
    /// Signed statements of how far the log has come.
    pub checkpoint: CheckpointConfig,
    /// When a file is put away and a new one begun: what comes first.
    pub rotate: RotateConfig,
    /// How much is kept: what comes first. What a shipper has not delivered is never deleted.
    pub keep: KeepConfig,
    /// Where it is shipped to.
    pub ship: Vec<ShipConfig>,
    /// Who is told at once of what it shows.
    pub alerts: Vec<AlertConfig>,
}

impl Default for AuditConfig {
    fn default() -> Self {
        Self {
            dir: PathBuf::from("/var/log/warrantd"),
            durability: Durability::default(),
            on_audit_error: OnAuditError::default(),
            checkpoint: CheckpointConfig::default(),
            rotate: RotateConfig::default(),
            keep: KeepConfig::default(),
            ship: Vec::new(),
            alerts: Vec::new(),
        }
    }
}

/// What a record survives that was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// The death of the process: it is with the kernel (`write(2)`).
    #[default]
    Process,
    /// Loss of power: it is on the disk (`fdatasync(2)`, one for all records that wait).
    Power,
}

/// What happens to calls while the log cannot be written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum OnAuditError {
    /// They are denied; what is not recorded does not happen.
    #[default]
    Deny,
}

/// Signed statements of how far the log has come.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CheckpointConfig {
    /// How often one is written, if there is something new to sign.
    pub interval: Span,
    /// File of the Ed25519 key, made at the first start; the public one is beside it, in `*.pub`. By
    /// default `<state_dir>/audit.key`.
    pub key: Option<PathBuf>,
}

impl Default for CheckpointConfig {
    fn default() -> Self {
        Self { interval: Span::seconds(60), key: None }
    }
}

/// When a file of the log is put away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RotateConfig {
    /// Before it grows beyond this.
    pub size: Size,
    /// When its first record is this old.
    pub age: Span,
}

impl Default for RotateConfig {
    fn default() -> Self {
        Self { size: Size(64 << 20), age: Span::seconds(24 * 3600) }
    }
}

/// How much of the log is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct KeepConfig {
    /// All files together.
    pub size: Size,
    /// Since a file's last record was written.
    pub age: Span,
}

impl Default for KeepConfig {
    fn default() -> Self {
        Self { size: Size(4 << 30), age: Span::seconds(90 * 24 * 3600) }
    }
}
