//! The arguments of a request beside tool calls, as effects and records name them.

use serde_json::{Map, Value};

use crate::mcp::methods::{Nature, known};

/// Fields of a form that a record names.
const MOST_FIELDS: usize = 64;
/// Characters of a text that a record shows.
const MOST_CHARACTERS: usize = 256;

/// What `${arguments.NAME}` stands for: the URI of a resource, the arguments of a prompt, the argument that
/// is completed and those that are known already.
pub fn method_arguments(method: &str, params: &Map<String, Value>) -> Map<String, Value> {
    let object = |value: Option<&Value>| match value {
        Some(Value::Object(object)) => object.clone(),
        _ => Map::new(),
    };
    match method {
        "prompts/get" => object(params.get("arguments")),
        "completion/complete" => {
            let mut known = object(params.get("context").and_then(|known| known.get("arguments")));
            let argument = params.get("argument");
            let part = |name: &str| argument.and_then(|argument| argument.get(name));
            if let (Some(Value::String(name)), Some(value)) = (part("name"), part("value")) {
                known.insert(name.clone(), value.clone());
            }
            known
        }
        _ => params.iter().filter(|(name, _)| *name == "uri").map(own).collect(),
    }
}

fn own((name, value): (&String, &Value)) -> (String, Value) {
    (name.clone(), value.clone())
}

/// What a record says of a server's request: how much is asked for and by which words the user is asked,
/// and not the conversation that is meant for a model.
pub fn request_summary(method: &str, params: &Map<String, Value>) -> Map<String, Value> {
    const SHOWN: [&str; 6] =
        ["maxTokens", "includeContext", "mode", "message", "url", "elicitationId"];
    let known = known(method).is_some_and(|known| known.nature == Nature::Acting);
    let shown = params.iter().filter(|(name, _)| known && SHOWN.contains(&name.as_str()));
    let mut summary: Map<_, _> = shown.map(|(name, value)| (name.clone(), short(value))).collect();
    if let Some(Value::Array(messages)) = params.get("messages") {
        summary.insert("messages".to_owned(), Value::from(messages.len()));
    }
    let form = params.get("requestedSchema").and_then(|schema| schema.get("properties"));
    if let Some(Value::Object(fields)) = form {
        let names = fields.keys().take(MOST_FIELDS).map(|name| short(&Value::from(name.as_str())));
        summary.insert("fields".to_owned(), names.collect());
    }
    summary
}

/// A text that is cut to a line, or a value that is short by itself.
fn short(value: &Value) -> Value {
    match value {
        Value::String(text) => {
            let plain = |c: char| if c.is_control() { ' ' } else { c };
            Value::from(text.chars().take(MOST_CHARACTERS).map(plain).collect::<String>())
        }
        Value::Array(_) | Value::Object(_) => Value::Null,
        plain => plain.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_method_has_arguments_of_its_own() {
        for (method, params, expected) in [
            ("resources/read", json!({"uri": "a:b", "_meta": {}}), json!({"uri": "a:b"})),
            ("prompts/get", json!({"name": "p", "arguments": {"a": "1"}}), json!({"a": "1"})),
            ("prompts/get", json!({"name": "p"}), json!({})),
            (
                "completion/complete",
                json!({
                    "argument": {"name": "a", "value": "1"},
                    "context": {"arguments": {"a": "0", "b": "2"}},
                }),
                json!({"a": "1", "b": "2"}),
            ),
        ] {
            let params = params.as_object().expect("an object");
            assert_eq!(Value::Object(method_arguments(method, params)), expected);
        }
    }

    #[test]
    fn a_summary_tells_of_what_is_asked_and_not_what_is_said() {
        let params = json!({
            "maxTokens": 5, "messages": [{"role": "user", "content": {"text": "secret"}}],
            "message": "x".repeat(1000), "requestedSchema": {"properties": {"name": {}, "age": {}}},
            "systemPrompt": "secret",
        });
        let summary = request_summary("sampling/createMessage", params.as_object().expect("map"));
        let text = Value::Object(summary.clone()).to_string();
        assert!(!text.contains("secret") && text.len() < 500, "{text}");
        assert_eq!(summary["messages"], json!(1));
        assert_eq!(summary["fields"], json!(["name", "age"]));
    }
}
