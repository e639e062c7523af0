//! The audit log: what was asked, what was allowed, and what the kernel saw.
#![forbid(unsafe_code)]

mod chain;
mod context;
mod error;
pub mod format;
mod line;
mod log;
mod reader;
mod record;
mod sanitize;
mod schema;
mod segment;
mod writer;

pub use chain::{Chain, ChainError};
pub use context::{CallContext, ContextRules};
pub use error::AuditError;
pub use log::{Log, Observer, Options};
pub use reader::{Line, ReadError, Reader};
pub use record::{
    Attribution, Counts, DefinitionRecord, EffectsRecord, Event, Record, ResultMetadata, Status,
    now,
};
pub use sanitize::{SanitizeError, Sanitizer, is_redacted};
pub use schema::record_schema;
