//! The audit log: what was asked, what was allowed, and what the kernel saw.
#![forbid(unsafe_code)]

mod alert;
mod chain;
mod checkpoint;
mod configuration;
mod context;
mod error;
mod files;
pub mod format;
mod group;
mod keeper;
mod key;
mod line;
mod log;
mod reader;
mod record;
mod retention;
mod sanitize;
mod schema;
mod segment;
pub mod ship;
#[cfg(test)]
mod tampering;
mod trouble;
mod verify;
mod writer;

pub use alert::{AlertRecord, Alerts};
pub use chain::{Chain, ChainError};
pub use checkpoint::{CheckpointRecord, Reason};
pub use configuration::{ConfigurationRecord, FileHash, FileHashes};
pub use context::{CallContext, ContextRules};
pub use error::AuditError;
pub use files::{LogFiles, LogPart, last_record, logs_in, logs_of};
pub use keeper::{Delivered, Keeping, keep};
pub use key::{AuditKey, AuditKeyError, AuditPublicKey};
pub use log::{Log, Observer, Options, Prepared};
pub use reader::{Line, ReadError, Reader};
pub use record::{
    Attribution, Counts, DefinitionRecord, EffectsRecord, Event, Record, ResultMetadata, Status,
    now,
};
pub use sanitize::{SanitizeError, Sanitizer, is_redacted};
pub use schema::record_schema;
pub use verify::{Checked, Finding, KeptCheckpoint, Means, Report, verify, verify_each};
