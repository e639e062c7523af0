//! The JSON Schema of the log's lines, for those who read them.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde::Serialize;

use super::record::Record;

/// A line of the audit log. Every field is always present, null when unknown.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "warrantd audit record")]
struct Line {
    #[serde(flatten)]
    record: Record,
    /// The line's number in the log, from 1; it goes on from file to file.
    #[schemars(range(min = 1))]
    seq: u64,
    /// The hash of the line before: SHA-256, lower-case hexadecimal; zeros before the first line.
    #[schemars(regex(pattern = "^[0-9a-f]{64}$"))]
    prev_hash: String,
    /// The hash of this line's bytes before `,"hash":`.
    #[schemars(regex(pattern = "^[0-9a-f]{64}$"))]
    hash: String,
}

/// The schema of a line as it is written: every field is required.
pub fn record_schema() -> Schema {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    settings.into_generator().into_root_schema_for::<Line>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Event;

    #[test]
    fn every_field_is_described_and_required() {
        let schema = record_schema().to_value();
        let record = serde_json::to_value(Record::new(Event::Start)).expect("encodes");
        let names = |key: &str| schema.get(key).cloned().unwrap_or_default();
        let required = names("required");
        let required = required.as_array().expect("a list");
        for name in record.as_object().expect("an object").keys() {
            assert!(required.iter().any(|field| field == name), "{name} is not required");
            let described = names("properties").get(name).is_some_and(serde_json::Value::is_object);
            assert!(described, "{name} is not described");
        }
    }
}
