//! Whether the arguments are what the tool takes.

use serde_json::{Map, Value};

use super::Denial;
use crate::policy::schema::ArgumentSchema;

/// Judges arguments by a schema that `rule` names.
pub(in crate::policy) fn check_schema(
    schema: Option<&ArgumentSchema>,
    arguments: &Map<String, Value>,
    rule: impl FnOnce() -> String,
) -> Result<(), Denial> {
    match schema.map(|schema| schema.validate(arguments)) {
        Some(Err(violation)) => {
            Err(Denial { rule: rule(), reason: violation.to_string(), bad_arguments: true })
        }
        Some(Ok(())) | None => Ok(()),
    }
}
