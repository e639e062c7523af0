//! The schemas of a server's tools, as it last published them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use crate::mcp::{ParamHeader, param_header};
use crate::policy::schema::{ArgumentSchema, SchemaOptions};

/// Schemas by tool, shared by the sessions of a server. A tool that was never listed has none.
#[derive(Debug, Default)]
pub(super) struct Schemas {
    tools: Mutex<HashMap<String, Entry>>,
}

#[derive(Debug, Clone)]
struct Entry {
    published: Value,
    /// The error is why calls of the tool cannot be judged.
    compiled: Result<Arc<ArgumentSchema>, String>,
}

impl Schemas {
    /// Takes note of tools of a `tools/list` result (MCP 2025-11-25, section Tools, Listing Tools).
    pub(super) fn learn<'a>(
        &self,
        tools: impl IntoIterator<Item = &'a Value>,
        options: SchemaOptions,
    ) {
        for tool in tools {
            let (Some(Value::String(name)), Some(schema)) =
                (tool.get("name"), tool.get("inputSchema"))
            else {
                continue;
            };
            if self.with(name, |entry| entry.published == *schema) == Some(true) {
                continue;
            }
            // Compiled outside the lock: it takes milliseconds.
            let compiled = ArgumentSchema::compile(schema, options);
            let compiled = compiled.map(Arc::new).map_err(|error| error.to_string());
            if let Err(error) = &compiled {
                tracing::warn!(tool = name, "the tool's inputSchema cannot be used: {error}");
            }
            let entry = Entry { published: schema.clone(), compiled };
            self.lock().insert(name.clone(), entry);
        }
    }

    /// Takes over what was published, to be read in another manner.
    pub(super) fn learn_from(&self, other: &Self, options: SchemaOptions) {
        let published: Vec<Value> = {
            let tools = other.lock();
            let tool = |(name, entry): (&String, &Entry)| json!({ "name": name, "inputSchema": entry.published });
            tools.iter().map(tool).collect()
        };
        self.learn(&published, options);
    }

    /// The schema of a tool; the error is why its calls cannot be judged.
    pub(super) fn of(&self, tool: &str) -> Result<Option<Arc<ArgumentSchema>>, String> {
        self.with(tool, |entry| entry.compiled.clone()).transpose()
    }

    /// The headers that repeat arguments of a tool.
    pub(super) fn param_headers(&self, tool: &str) -> Vec<ParamHeader> {
        self.with(tool, |entry| param_header::of_schema(&entry.published)).unwrap_or_default()
    }

    fn with<T>(&self, tool: &str, read: impl FnOnce(&Entry) -> T) -> Option<T> {
        self.lock().get(tool).map(read)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Entry>> {
        // Every change is one step, so what a panic left is consistent.
        self.tools.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::*;

    fn arguments(value: &Value) -> Map<String, Value> {
        value.as_object().cloned().expect("an object")
    }

    #[test]
    fn what_a_server_lists_is_what_its_calls_are_judged_by() {
        let schemas = Schemas::default();
        let tool = |kind: &str| {
            let properties = json!({ "path": { "type": kind } });
            json!({ "name": "read", "inputSchema": { "type": "object", "properties": properties } })
        };
        assert!(schemas.of("read").expect("unknown is no error").is_none());
        schemas.learn([&tool("string")], SchemaOptions::default());
        let schema = schemas.of("read").expect("compiled").expect("known");
        assert!(schema.validate(&arguments(&json!({ "path": "a" }))).is_ok());
        assert!(schema.validate(&arguments(&json!({ "path": 1 }))).is_err());
        schemas.learn([&tool("integer")], SchemaOptions::default());
        let schema = schemas.of("read").expect("compiled").expect("known");
        assert!(schema.validate(&arguments(&json!({ "path": 1 }))).is_ok(), "the last one counts");
    }

    #[test]
    fn a_schema_that_cannot_be_used_makes_its_tool_unusable() {
        let schemas = Schemas::default();
        let external = json!({ "$ref": "https://example.com/schema.json" });
        let tool = json!({ "name": "t", "inputSchema": external });
        schemas.learn([&tool], SchemaOptions::default());
        assert!(schemas.of("t").is_err());
    }
}
