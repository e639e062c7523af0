//! Goes through values: objects, arrays, numbers, texts, and JSON within texts.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::{Map, Value};

use super::credential::means_secret;
use super::keys::{Meaning, Names, is_directory};
use super::mark::{Marker, is_marker};
use super::scan::Scanner;
use super::treatments::Treatments;
use crate::config::{Kind, Treatment};

/// How deep values may be nested, JSON within texts counted in. `serde_json` reads as deep.
const MAX_DEPTH: usize = 128;

/// How much deeper than it stands JSON within a text is taken to be, so that texts within texts end.
const TEXT_DEPTH: usize = 16;

/// What stands for a value that is nested too deep to be looked at.
pub(super) const TOO_DEEP: &str = "[NESTED TOO DEEP]";

/// Names under which lists of pairs have their names: `{"name": "X-Api-Key", "value": "…"}`.
const PAIR_NAMES: [&str; 5] = ["name", "key", "header", "field", "variable"];

/// Names under which lists of pairs have their values.
const PAIR_VALUES: [&str; 3] = ["value", "values", "val"];

/// What one value is gone through with.
#[derive(Clone, Copy)]
pub(super) struct Walk<'a> {
    pub(super) scanner: &'a Scanner,
    pub(super) marker: &'a Marker,
    pub(super) treatments: &'a Treatments,
    pub(super) names: &'a Names,
}

impl Walk<'_> {
    /// A value without what is to be taken out. `meaning` is what its name says.
    pub(super) fn value(self, value: &Value, meaning: Meaning, depth: usize) -> Value {
        match value {
            Value::Null | Value::Bool(_) => value.clone(),
            _ if depth >= MAX_DEPTH => Value::from(TOO_DEEP),
            _ if self.is_secret(value, meaning) => self.secret(value),
            Value::Number(number) => {
                let text = number.to_string();
                match self.scanned(&text, meaning) {
                    Cow::Borrowed(_) => value.clone(),
                    Cow::Owned(text) => Value::from(text),
                }
            }
            Value::String(text) => Value::from(self.text(text, meaning, depth).into_owned()),
            Value::Array(items) => self.array(items, meaning, depth),
            Value::Object(object) => self.object(object, meaning, depth),
        }
    }

    /// A text without what is to be taken out. JSON in it is written anew when something was.
    pub(super) fn text(self, text: &str, meaning: Meaning, depth: usize) -> Cow<'_, str> {
        if is_json(text)
            && let Ok(value) = serde_json::from_str::<Value>(text)
            && !value.is_number()
        {
            if depth + TEXT_DEPTH > MAX_DEPTH {
                return Cow::Borrowed(TOO_DEEP);
            }
            let sanitized = self.value(&value, meaning, depth + TEXT_DEPTH);
            if sanitized != value {
                return Cow::Owned(sanitized.to_string());
            }
            // What a name that stands twice hides from the reader is still in the text.
        }
        self.scanned(text, meaning)
    }

    fn scanned(self, text: &str, meaning: Meaning) -> Cow<'_, str> {
        let spans = self.scanner.spans(text, meaning, self.names, self.treatments);
        if spans.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut out = String::with_capacity(text.len());
        let mut at = 0;
        for span in spans {
            let (Some(before), Some(found)) =
                (text.get(at..span.start), text.get(span.start..span.end))
            else {
                // Cannot be: spans are on character boundaries. Nothing is let through by it.
                return Cow::Owned(self.marker.of(span.kind, Treatment::Redact, text));
            };
            out.push_str(before);
            self.marker.push(&mut out, span.kind, self.treatments.of(span.kind), found);
            at = span.end;
        }
        out.push_str(text.get(at..).unwrap_or_default());
        Cow::Owned(out)
    }

    fn array(self, items: &[Value], meaning: Meaning, depth: usize) -> Value {
        // The value of an option stands after it: `["--password", "hunter2"]`.
        let mut is_option = false;
        let item = |item: &Value| {
            let is_value = std::mem::take(&mut is_option);
            if let Value::String(text) = item {
                is_option = is_option_name(text) && means_secret(text, self.names);
                if is_value && !text.starts_with('-') && !self.treatments.keeps(Kind::Key) {
                    return self.secret(item);
                }
            }
            self.value(item, meaning, depth + 1)
        };
        items.iter().map(item).collect()
    }

    pub(super) fn object(
        self,
        object: &Map<String, Value>,
        meaning: Meaning,
        depth: usize,
    ) -> Value {
        let pair = PAIR_NAMES.iter().find_map(|name| object.get(*name)?.as_str());
        let pair = pair.map_or(Meaning::Plain, |name| self.names.meaning(name));
        let mut counts: HashMap<String, usize> = HashMap::new();
        let mut out = Map::with_capacity(object.len());
        for (name, value) in object {
            let own = match self.names.meaning(name) {
                Meaning::Secret if is_directory(name, value.as_str()) => Meaning::Plain,
                Meaning::Plain if PAIR_VALUES.contains(&name.as_str()) => pair,
                own => own,
            };
            let inherited = if own == Meaning::Plain { meaning } else { own };
            let value = self.value(value, inherited, depth + 1);
            let mut name = self.scanned(name, Meaning::Plain).into_owned();
            if out.contains_key(&name) {
                // Two names became one: the others are numbered.
                let count = counts.entry(name.clone()).or_insert(1);
                let base = name;
                name = loop {
                    *count += 1;
                    let numbered = format!("{base} #{count}");
                    if !out.contains_key(&numbered) {
                        break numbered;
                    }
                };
            }
            out.insert(name, value);
        }
        Value::Object(out)
    }

    /// Whether a value is a secret because its name says so.
    fn is_secret(self, value: &Value, meaning: Meaning) -> bool {
        if self.treatments.keeps(Kind::Key) {
            return false;
        }
        match meaning {
            Meaning::Secret => true,
            Meaning::SecretText => match value {
                Value::Number(_) => false,
                Value::String(text) => text.parse::<u32>().is_err(),
                _ => true,
            },
            _ => false,
        }
    }

    /// What stands for a secret; for one that was taken out before, that.
    fn secret(self, value: &Value) -> Value {
        let text = match value {
            Value::String(text) if text.is_empty() || is_marker(text) => return value.clone(),
            Value::String(text) => Cow::Borrowed(text.as_str()),
            other => Cow::Owned(other.to_string()),
        };
        Value::from(self.marker.of(Kind::Key, self.treatments.of(Kind::Key), &text))
    }
}

/// Whether a text is the name of an option without its value.
fn is_option_name(text: &str) -> bool {
    text.starts_with('-') && !text.contains(|c: char| c == '=' || c.is_whitespace())
}

/// Whether a text may hold a JSON object, array or string.
fn is_json(text: &str) -> bool {
    let text = text.trim();
    [('{', '}'), ('[', ']'), ('"', '"')]
        .iter()
        .any(|(open, close)| text.len() >= 2 && text.starts_with(*open) && text.ends_with(*close))
}
