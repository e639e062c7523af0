//! Arguments of a call as they are written on a command line.

use std::io::Read;

use serde_json::{Map, Value};

use crate::cli::Failure;

/// The object that a text is, or that standard input holds (`-`).
pub(super) fn object(text: &str) -> Result<Map<String, Value>, Failure> {
    let mut read = String::new();
    let text = if text == "-" {
        std::io::stdin().read_to_string(&mut read).map_err(Failure::other)?;
        &read
    } else {
        text
    };
    serde_json::from_str(text)
        .map_err(|error| Failure::Usage(format!("--arguments takes a JSON object: {error}")))
}

/// `NAME=VALUE` of each. A value is the text that stands there, unless the tool's schema wants something else;
/// then it is JSON.
pub(super) fn typed(words: &[String], tool: Option<&Value>) -> Result<Map<String, Value>, Failure> {
    let mut arguments = Map::new();
    for word in words {
        let pair = word.split_once('=').filter(|(name, _)| !name.is_empty());
        let (name, text) = pair.ok_or_else(|| {
            Failure::Usage(format!("write arguments as NAME=VALUE, not `{word}`"))
        })?;
        let value = value(name, text, tool)?;
        if arguments.insert(name.to_owned(), value).is_some() {
            return Err(Failure::Usage(format!("argument `{name}` stands twice")));
        }
    }
    Ok(arguments)
}

fn value(name: &str, text: &str, tool: Option<&Value>) -> Result<Value, Failure> {
    let schema = tool.and_then(|tool| tool.get("inputSchema"));
    let wanted = schema.and_then(|schema| schema["properties"][name].get("type"));
    let kinds: Vec<&str> = match wanted {
        Some(Value::String(kind)) => vec![kind],
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if kinds.is_empty() || kinds.contains(&"string") {
        return Ok(Value::from(text));
    }
    serde_json::from_str(text).map_err(|_| {
        let kinds = kinds.join(" or ");
        Failure::Usage(format!("argument `{name}` is of type {kinds}: write `{text}` as JSON"))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(words: &[&str]) -> Result<Value, String> {
        let tool = json!({"inputSchema": {"properties": {
            "path": {"type": "string"}, "lines": {"type": "integer"}, "tags": {"type": ["array", "null"]},
            "any": {},
        }}});
        let words: Vec<_> = words.iter().map(|&word| word.to_owned()).collect();
        match typed(&words, Some(&tool)) {
            Ok(arguments) => Ok(Value::Object(arguments)),
            Err(Failure::Usage(text)) => Err(text),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_value_is_what_the_tools_schema_says() {
        let read = read(&["path=7", "lines=7", "tags=[\"a\"]", "any=7", "unknown=a=b", "none="]);
        let expected = json!({"path": "7", "lines": 7, "tags": ["a"], "any": "7", "unknown": "a=b", "none": ""});
        assert_eq!(read, Ok(expected));
    }

    #[test]
    fn what_is_no_argument_is_refused_with_a_way_out() {
        for (words, says) in [
            (&["path"][..], "NAME=VALUE"),
            (&["=a"], "NAME=VALUE"),
            (&["lines=many"], "of type integer"),
            (&["path=a", "path=b"], "stands twice"),
        ] {
            let error = read(words).expect_err(says);
            assert!(error.contains(says), "{error}");
        }
        assert!(object("[1]").is_err() && object("{\"a\": 1}").is_ok());
    }
}
