//! What can go wrong with the log.

use std::path::PathBuf;

use super::key::AuditKeyError;

/// Why a record could not be written. Nothing may be released then.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The directory or file cannot be opened.
    #[error("cannot open the audit log {path}: {source}")]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another process owns the file.
    #[error("the audit log {0} is in use by another warrantd; give this one its own directory")]
    InUse(PathBuf),
    /// The last whole line is not one of ours.
    #[error("the audit log {path} is damaged at its end ({why}); move it away and keep it")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// Its checkpoints cannot be signed.
    #[error(transparent)]
    Key(#[from] AuditKeyError),
    /// A record cannot be written.
    #[error("cannot write to the audit log: {0}")]
    Write(#[from] std::io::Error),
    /// A record cannot be turned into JSON.
    #[error("cannot encode an audit record: {0}")]
    Encode(#[from] serde_json::Error),
}
