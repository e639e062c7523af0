//! What a line of the log looks like, for whoever reads it.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde::Serialize;

use super::record::Record;

/// A line of warrantd's audit log: the record, and what binds it to the one before. Every field of the
/// record is always there, null when unknown.
#[derive(Serialize, JsonSchema)]
#[allow(dead_code)] // Its schema is what counts.
struct AuditRecord {
    #[serde(flatten)]
    record: Record,
    /// The number of the record, from 1.
    #[schemars(range(min = 1))]
    seq: u64,
    /// Hash of the line before; 64 zeros in the first one.
    #[schemars(regex(pattern = "^[0-9a-f]{64}$"))]
    prev_hash: String,
    /// SHA-256 of the line's bytes before `,"hash":`.
    #[schemars(regex(pattern = "^[0-9a-f]{64}$"))]
    hash: String,
}

/// The JSON Schema (2020-12) of a line of the log.
pub fn record_schema() -> Schema {
    SchemaSettings::draft2020_12()
        .for_serialize()
        .into_generator()
        .into_root_schema_for::<AuditRecord>()
}
