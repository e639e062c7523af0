//! `${arguments.NAME}` in effects.

use serde_json::{Map, Value};

/// A text with places for a call's arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Argument(String),
}

impl Template {
    /// Reads a template. The error says what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let Some((name, after)) = after.split_once('}') else {
                return Err("`${` without `}`".to_owned());
            };
            let Some(argument) = name.strip_prefix("arguments.").filter(|a| !a.is_empty()) else {
                return Err(format!("`${{{name}}}` is unknown; write `${{arguments.NAME}}`"));
            };
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            parts.push(Part::Argument(argument.to_owned()));
            rest = after;
        }
        if !rest.is_empty() || parts.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self { parts })
    }

    /// Whether the template has no arguments.
    pub(super) fn is_literal(&self) -> bool {
        self.parts.iter().all(|part| matches!(part, Part::Text(_)))
    }

    /// The texts that the template becomes for a call: one for each value of a list argument,
    /// none when an argument is absent. `value` turns an argument's string into what is put in.
    pub(super) fn expand(
        &self,
        arguments: &Map<String, Value>,
        value: &dyn Fn(&str, &str) -> Vec<String>,
    ) -> Vec<String> {
        let mut texts = vec![String::new()];
        for part in &self.parts {
            let choices = match part {
                Part::Text(text) => vec![text.clone()],
                Part::Argument(name) => {
                    strings(arguments.get(name)).iter().flat_map(|text| value(name, text)).collect()
                }
            };
            texts = texts
                .iter()
                .flat_map(|text| choices.iter().map(move |choice| format!("{text}{choice}")))
                .collect();
        }
        texts
    }
}

/// The strings that an argument holds: itself, its items, or a number's digits.
fn strings(argument: Option<&Value>) -> Vec<String> {
    match argument {
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Number(number)) => vec![number.to_string()],
        Some(Value::Array(items)) => items.iter().flat_map(|item| strings(Some(item))).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(template: &str, arguments: &str) -> Vec<String> {
        let arguments = serde_json::from_str(arguments).expect("JSON");
        Template::parse(template)
            .expect("template")
            .expand(&arguments, &|_, text| vec![text.to_owned()])
    }

    #[test]
    fn arguments_are_put_in() {
        assert_eq!(expand("/tmp/${arguments.a}.x", r#"{"a":"b"}"#), ["/tmp/b.x"]);
        assert_eq!(expand("${arguments.a}", r#"{"a":["b","c"]}"#), ["b", "c"]);
        assert_eq!(expand("${arguments.h}:${arguments.p}", r#"{"h":"h","p":80}"#), ["h:80"]);
        assert_eq!(expand("/fixed", "{}"), ["/fixed"]);
        assert!(expand("${arguments.a}", "{}").is_empty(), "an absent argument grants nothing");
    }

    #[test]
    fn other_placeholders_are_errors() {
        for bad in ["${path}", "${arguments.}", "${arguments.a", "x${y}"] {
            assert!(Template::parse(bad).is_err(), "accepted {bad}");
        }
    }
}
