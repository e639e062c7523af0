//! One tool as its server defines it, in a form that can be compared.

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::canonical::canonical;
use super::visible::{shortened, visible, visible_json};
use crate::mcp::json::{Numbers, disguised_key, parse};

/// A name may have this many characters (MCP 2025-11-25, section Tools, Tool Names).
pub const MAX_NAME: usize = 128;
/// A definition may have this many bytes in its canonical form.
pub const MAX_DEFINITION: usize = 128 << 10;

/// Fields of a definition's `_meta` that differ from request to request: the trace context of W3C, whose names
/// MCP reserves. Everything else counts.
const VARYING: [&str; 3] = ["traceparent", "tracestate", "baggage"];

/// Why a definition cannot be compared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DefinitionError {
    /// It has no name, or two.
    #[error("a tool's definition needs one `name`")]
    Nameless,
    /// Nobody can read its name or tell it from another.
    #[error("the tool name `{0}` is too long or has characters that are not seen")]
    Name(String),
    /// It is larger than [`MAX_DEFINITION`].
    #[error("the definition of tool `{0}` has {1} bytes; at most {MAX_DEFINITION} can be pinned")]
    TooLarge(String, usize),
    /// The text is not JSON that every parser reads alike.
    #[error("not unambiguous JSON: {0}")]
    Json(String),
}

/// A tool's definition: everything that a server says of it but [`VARYING`], and the hash of that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    name: String,
    hash: String,
    /// Keys sorted, numbers as doubles.
    value: Map<String, Value>,
}

impl Definition {
    /// Reads an item of a `tools/list` result (MCP 2025-11-25, section Tools, Data Types).
    pub fn read(item: &Value) -> Result<Self, DefinitionError> {
        let map = item.as_object().ok_or(DefinitionError::Nameless)?;
        let name = map.get("name").and_then(Value::as_str).ok_or(DefinitionError::Nameless)?;
        if disguised_key(map, &["name"]).is_some() {
            return Err(DefinitionError::Nameless);
        }
        let length = name.chars().count();
        if length == 0 || length > MAX_NAME || visible(name) != name {
            return Err(DefinitionError::Name(shortened(name, MAX_NAME)));
        }
        let mut map = map.clone();
        let varies = |meta: &Map<String, Value>| VARYING.iter().any(|key| meta.contains_key(*key));
        if let Some(Value::Object(meta)) = map.get_mut("_meta")
            && varies(meta)
        {
            meta.retain(|key, _| !VARYING.contains(&key.as_str()));
            if meta.is_empty() {
                map.shift_remove("_meta");
            }
        }
        let name = name.to_owned();
        let text = canonical(&Value::Object(map));
        if text.len() > MAX_DEFINITION {
            return Err(DefinitionError::TooLarge(name, text.len()));
        }
        let hash = format!("sha256:{:x}", Sha256::digest(&text));
        let value = serde_json::from_str(&text);
        let value = value.map_err(|error| DefinitionError::Json(error.to_string()))?;
        Ok(Self { name, hash, value })
    }

    /// Reads what [`Self::text`] wrote.
    pub fn from_text(text: &str) -> Result<Self, DefinitionError> {
        let value = parse(text.as_bytes(), Numbers::Any);
        Self::read(&value.map_err(|error| DefinitionError::Json(error.to_string()))?)
    }

    /// The tool's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `sha256:` and the SHA-256 of the canonical form (RFC 8785) in hexadecimal digits.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// The definition as JSON for people and files: keys sorted, indented, nothing hidden.
    pub fn text(&self) -> String {
        part_text(&Value::Object(self.value.clone()))
    }

    /// Everything that counts of it.
    pub fn value(&self) -> &Map<String, Value> {
        &self.value
    }

    /// The keys that it has, sorted.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        self.value.keys().map(String::as_str)
    }

    /// The description; empty when there is none.
    pub fn description(&self) -> &str {
        self.value.get("description").and_then(Value::as_str).unwrap_or_default()
    }

    /// The beginning of the description, visible, in one line.
    pub fn summary(&self) -> String {
        let lines = self.description().lines().map(str::trim);
        shortened(lines.clone().find(|line| !line.is_empty()).unwrap_or_default(), 100)
    }

    /// The keys in which two definitions differ, such as `description` and `inputSchema`, sorted.
    pub fn changed_parts(&self, other: &Self) -> Vec<String> {
        let all = self.value.keys().chain(other.value.keys());
        let mut parts: Vec<_> =
            all.filter(|key| self.value.get(*key) != other.value.get(*key)).cloned().collect();
        parts.sort_unstable();
        parts.dedup();
        parts
    }

    /// A part as text: a string itself, line by line; anything else as JSON for people. Empty when it is
    /// not there.
    pub fn part(&self, key: &str) -> String {
        match self.value.get(key) {
            None => String::new(),
            Some(Value::String(text)) => {
                text.split('\n').map(visible).collect::<Vec<_>>().join("\n")
            }
            Some(value) => part_text(value),
        }
    }
}

fn part_text(value: &Value) -> String {
    // Only a map with keys that are no strings cannot be written.
    visible_json(&serde_json::to_string_pretty(value).unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(value: &Value) -> Definition {
        Definition::read(value).expect("a definition")
    }

    fn tool() -> Value {
        json!({
            "name": "read", "title": "Read", "description": "Reads a file.\nCarefully.",
            "inputSchema": {"type": "object", "properties": {"path": {"type": "string"}}},
            "outputSchema": {"type": "object"}, "annotations": {"readOnlyHint": true},
            "icons": [], "_meta": {"vendor": 1},
        })
    }

    #[test]
    fn a_hash_is_that_of_the_canonical_form() {
        let definition = read(&json!({"name": "a", "description": "b"}));
        let expected = format!("sha256:{:x}", Sha256::digest(r#"{"description":"b","name":"a"}"#));
        assert_eq!(definition.hash(), expected);
    }

    #[test]
    fn whatever_changes_changes_the_hash_and_is_named() {
        let before = read(&tool());
        for (pointer, to, part) in [
            ("/title", json!("read"), "title"),
            ("/description", json!("Reads a file.\nCarefully. "), "description"),
            ("/inputSchema/properties/path/type", json!("number"), "inputSchema"),
            ("/outputSchema/type", json!("array"), "outputSchema"),
            ("/annotations/readOnlyHint", json!(false), "annotations"),
            ("/icons", json!([1]), "icons"),
            ("/_meta/vendor", json!(2), "_meta"),
        ] {
            let mut changed = tool();
            *changed.pointer_mut(pointer).expect("there") = to;
            let after = read(&changed);
            assert_ne!(after.hash(), before.hash(), "{pointer}");
            assert_eq!(after.changed_parts(&before), [part]);
        }
        let mut more = tool();
        more["x-new"] = json!(null);
        assert_eq!(read(&more).changed_parts(&before), ["x-new"]);
    }

    #[test]
    fn the_trace_context_is_no_change() {
        let mut traced = tool();
        traced["_meta"]["traceparent"] =
            json!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
        assert_eq!(read(&traced), read(&tool()));
        let plain = json!({"name": "a"});
        assert_eq!(read(&json!({"name": "a", "_meta": {"baggage": "x"}})), read(&plain));
        assert_ne!(read(&json!({"name": "a", "_meta": {}})), read(&plain));
    }

    #[test]
    fn names_that_cannot_be_told_are_refused() {
        let twin = json!({"name": "read_file"});
        assert!(Definition::read(&twin).is_ok());
        let long = "x".repeat(MAX_NAME + 1);
        for bad in [
            json!({"name": "read\u{200b}_file"}),
            json!({"name": ""}),
            json!({"name": long}),
            json!({"name": 7}),
            json!({"Name": "a"}),
            json!({"name": "a", "NAME": "b"}),
            json!("read_file"),
            json!({"name": "a", "description": "x".repeat(MAX_DEFINITION)}),
        ] {
            assert!(Definition::read(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_text_reads_back_and_hides_nothing() {
        let mut hostile = tool();
        hostile["description"] = json!("a\u{202e}b\u{1b}[2J\n\u{e0041}");
        let definition = read(&hostile);
        let text = definition.text();
        assert!(text.contains("a\\u202eb\\u001b[2J\\n\\udb40\\udc41"), "{text}");
        assert_eq!(Definition::from_text(&text), Ok(definition.clone()));
        assert_eq!(definition.part("description"), "a\\u{202e}b\\u{1b}[2J\n\\u{e0041}");
        assert_eq!(read(&tool()).summary(), "Reads a file.");
    }

    /// A JSON value of some size, with strings and numbers of all kinds.
    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<f64>().prop_filter("finite", |n| n.is_finite()).prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::hash_map(any::<String>(), inner, 0..6)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    /// The value with the keys of every object in the opposite order.
    fn reversed(value: &Value) -> Value {
        match value {
            Value::Array(items) => items.iter().map(reversed).collect(),
            Value::Object(map) => {
                Value::Object(map.iter().rev().map(|(k, v)| (k.clone(), reversed(v))).collect())
            }
            other => other.clone(),
        }
    }

    proptest! {
        #[test]
        fn neither_order_nor_space_counts(schema in any_value(), description: String) {
            let tool = json!({"name": "t", "description": description, "inputSchema": schema});
            let spaced = serde_json::to_string_pretty(&reversed(&tool)).expect("JSON");
            let respelled: Value = serde_json::from_str(&spaced).expect("JSON");
            prop_assert_eq!(read(&respelled), read(&tool));
            prop_assert_eq!(Definition::from_text(&read(&tool).text()), Ok(read(&tool)));
        }

        #[test]
        fn every_other_value_has_another_hash(a in any_value(), b in any_value()) {
            for key in ["inputSchema", "outputSchema", "annotations", "description"] {
                let (a, b) = (json!({"name": "t", key: a}), json!({"name": "t", key: b}));
                let same = canonical(&a) == canonical(&b);
                prop_assert_eq!(read(&a).hash() == read(&b).hash(), same);
                prop_assert_eq!(read(&a).changed_parts(&read(&b)).is_empty(), same);
            }
        }
    }
}
