//! Arguments of a tool that clients repeat in headers `Mcp-Param-…`, as the tool's `inputSchema` says
//! with `x-mcp-header` (MCP 2026-07-28, section Streamable HTTP, Custom Headers).

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::header_value;

/// What the names of these headers begin with.
pub const PREFIX: &str = "mcp-param-";

/// Depth to which a schema is looked through.
const DEPTH: usize = 32;

/// A header that repeats an argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParamHeader {
    /// The whole name, in lower case.
    pub name: String,
    /// Keys that lead to the argument.
    pub path: Vec<String>,
    /// Its type is `integer`, so that 42 and 42.0 are the same.
    pub integer: bool,
}

/// The headers that a schema asks for. A schema that asks wrongly asks for none: clients leave such a
/// tool out.
pub fn of_schema(schema: &Value) -> Vec<ParamHeader> {
    let mut found = Vec::new();
    let mut path = Vec::new();
    if walk(schema, &mut path, true, &mut found).is_none() {
        return Vec::new();
    }
    let mut names: Vec<_> = found.iter().map(|header| &header.name).collect();
    names.sort();
    names.dedup();
    if names.len() == found.len() { found } else { Vec::new() }
}

/// `None` when the schema asks wrongly. `reached`: the place is reached by `properties` alone.
fn walk(
    schema: &Value,
    path: &mut Vec<String>,
    reached: bool,
    found: &mut Vec<ParamHeader>,
) -> Option<()> {
    let Some(schema) = schema.as_object() else { return Some(()) };
    if path.len() > DEPTH {
        return None;
    }
    if let Some(word) = schema.get("x-mcp-header") {
        let word = word.as_str().filter(|word| is_token(word))?;
        let kind = schema.get("type").and_then(Value::as_str)?;
        let usable =
            reached && !path.is_empty() && ["string", "integer", "boolean"].contains(&kind);
        usable.then_some(())?;
        let name = format!("{PREFIX}{}", word.to_ascii_lowercase());
        found.push(ParamHeader { name, path: path.clone(), integer: kind == "integer" });
    }
    for (key, inner) in schema {
        // What is data is not looked into, and a reference is not followed.
        match (key.as_str(), inner) {
            ("properties", Value::Object(properties)) => {
                for (name, inner) in properties {
                    path.push(name.clone());
                    walk(inner, path, reached, found)?;
                    path.pop();
                }
            }
            (
                "items"
                | "contains"
                | "unevaluatedItems"
                | "additionalProperties"
                | "propertyNames"
                | "unevaluatedProperties"
                | "not"
                | "if"
                | "then"
                | "else"
                | "contentSchema",
                inner,
            ) => deeper(inner, path, found)?,
            ("allOf" | "anyOf" | "oneOf" | "prefixItems", Value::Array(inner)) => {
                for inner in inner {
                    deeper(inner, path, found)?;
                }
            }
            (
                "patternProperties" | "dependentSchemas" | "$defs" | "definitions",
                Value::Object(inner),
            ) => {
                for inner in inner.values() {
                    deeper(inner, path, found)?;
                }
            }
            _ => {}
        }
    }
    Some(())
}

/// A place that is not reached by `properties` alone: it counts for the depth as one more step.
fn deeper(schema: &Value, path: &mut Vec<String>, found: &mut Vec<ParamHeader>) -> Option<()> {
    path.push(String::new());
    walk(schema, path, false, found)?;
    path.pop();
    Some(())
}

/// A token of RFC 9110, section 5.6.2.
fn is_token(word: &str) -> bool {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !word.is_empty() && word.bytes().all(token)
}

impl ParamHeader {
    /// The header's value for these arguments, not encoded; `None` when there is none.
    pub fn value<'a>(&self, arguments: &'a Map<String, Value>) -> Option<Cow<'a, str>> {
        let (first, rest) = self.path.split_first()?;
        let value = rest.iter().try_fold(arguments.get(first)?, |value, key| value.get(key))?;
        match value {
            Value::String(text) => Some(Cow::Borrowed(text)),
            Value::Bool(flag) => Some(Cow::Borrowed(if *flag { "true" } else { "false" })),
            Value::Number(number) => Some(Cow::Owned(number.to_string())),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// Whether a header that was sent says what these arguments say.
    pub fn agrees(&self, sent: Option<&str>, arguments: &Map<String, Value>) -> bool {
        match (sent, self.value(arguments)) {
            (None, None) => true,
            (Some(sent), Some(value)) => header_value::decode(sent).is_some_and(|sent| {
                sent == value || (self.integer && is_same_integer(&sent, &value))
            }),
            _ => false,
        }
    }
}

/// Whether two decimals are the same whole number. Exponents are not taken.
fn is_same_integer(a: &str, b: &str) -> bool {
    let whole = |text: &str| {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let zeros = !fraction.is_empty() && fraction.bytes().all(|digit| digit == b'0');
        zeros.then(|| whole.parse::<i64>().ok()).flatten()
    };
    whole(a).is_some_and(|a| whole(b) == Some(a))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn arguments(value: &Value) -> Map<String, Value> {
        value.as_object().cloned().expect("an object")
    }

    #[test]
    fn a_schema_names_headers() {
        let schema = json!({"type": "object", "properties": {
            "region": {"type": "string", "x-mcp-header": "Region"},
            "deep": {"type": "object", "properties": {"n": {"type": "integer", "x-mcp-header": "N"}}},
            "other": {"type": "string", "default": {"x-mcp-header": "data"}},
        }});
        let headers = of_schema(&schema);
        assert_eq!(headers.len(), 2);
        assert_eq!((headers[0].name.as_str(), headers[0].integer), ("mcp-param-region", false));
        assert_eq!(headers[1].path, ["deep", "n"]);
        let given = arguments(&json!({"region": "eu", "deep": {"n": 42}}));
        assert!(headers[0].agrees(Some("eu"), &given));
        assert!(headers[0].agrees(Some("=?base64?ZXU=?="), &given));
        assert!(headers[1].agrees(Some("42"), &given) && headers[1].agrees(Some("42.0"), &given));
        for wrong in [None, Some("us"), Some("EU"), Some("=?base64?ZXU?=")] {
            assert!(!headers[0].agrees(wrong, &given), "{wrong:?}");
        }
        for wrong in ["42.5", "4.2e1", "43", "042x", "42."] {
            assert!(!headers[1].agrees(Some(wrong), &given), "{wrong}");
        }
        let none = arguments(&json!({"region": null}));
        assert!(headers.iter().all(|header| header.agrees(None, &none)));
        assert!(!headers[0].agrees(Some("eu"), &none), "it names what the body does not have");
    }

    #[test]
    fn a_schema_that_asks_wrongly_asks_for_nothing() {
        let text = |header: Value| json!({"type": "string", "x-mcp-header": header});
        for schema in [
            json!({"properties": {"a": text(json!("A")), "b": text(json!("a"))}}),
            json!({"properties": {"a": text(json!("no token"))}}),
            json!({"properties": {"a": text(json!(7))}}),
            json!({"properties": {"a": {"type": "number", "x-mcp-header": "A"}}}),
            json!({"properties": {"a": {"x-mcp-header": "A"}}}),
            json!({"properties": {"a": text(json!("A"))}, "$defs": {"d": text(json!("D"))}}),
            json!({"type": "string", "x-mcp-header": "A"}),
        ] {
            assert_eq!(of_schema(&schema), [], "{schema}");
        }
    }
}
