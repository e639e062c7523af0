//! The audit log: what was asked, what was allowed, and what the kernel saw.
#![forbid(unsafe_code)]

mod chain;
mod context;
pub mod format;
mod log;
mod record;
mod sanitize;

pub use chain::{Chain, ChainError};
pub use context::{CallContext, ContextRules};
pub use log::{AuditError, Log};
pub use record::{
    Attribution, Counts, DefinitionRecord, EffectsRecord, Event, Record, ResultMetadata, Status,
    now,
};
pub use sanitize::{SanitizeError, Sanitizer, is_redacted};
