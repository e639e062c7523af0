//! What a JSON Schema says of each key.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use serde_json::{Map, Value};

/// A schema as schemars makes it.
pub(super) struct Schema {
    whole: Value,
    /// How often each definition is referred to.
    uses: BTreeMap<String, usize>,
}

/// A key, and all that is known of it.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Key {
    /// From the root or the shared section on, such as `servers[].id`.
    pub(super) path: String,
    /// In words, such as `list of texts`.
    pub(super) kind: String,
    /// The section that says more, by its definition.
    pub(super) section: Option<String>,
    pub(super) required: bool,
    pub(super) default: Option<String>,
    pub(super) meaning: String,
    /// The values that it may have, with what each means.
    pub(super) values: Vec<(String, String)>,
    /// What else a value must be.
    pub(super) rules: Vec<String>,
}

/// What a value is, with its references followed.
struct Kind {
    words: String,
    /// The definition of a map with fixed keys, and how its keys continue the path.
    inner: Option<(String, &'static str)>,
    values: Vec<(String, String)>,
    rules: Vec<String>,
}

impl Kind {
    fn of(words: impl Into<String>) -> Self {
        Self { words: words.into(), inner: None, values: Vec::new(), rules: Vec::new() }
    }
}

impl Schema {
    pub(super) fn new(whole: Value) -> Self {
        let mut uses = BTreeMap::new();
        count(&whole, &mut uses);
        Self { whole, uses }
    }

    /// What stands above a definition.
    pub(super) fn description_of(&self, definition: &str) -> &str {
        self.whole["$defs"][definition]["description"].as_str().unwrap_or_default()
    }

    /// The keys of the root, each with those below it.
    pub(super) fn sections(&self) -> anyhow::Result<Vec<Vec<Key>>> {
        let properties = self.whole["properties"].as_object().context("no properties")?;
        let mut sections = Vec::new();
        for name in properties.keys() {
            let mut keys = Vec::new();
            self.key(&self.whole, "", name, &mut keys)?;
            sections.push(keys);
        }
        Ok(sections)
    }

    /// The keys of a definition that stands in several places.
    pub(super) fn shared(&self, definition: &str) -> anyhow::Result<Vec<Key>> {
        let mut keys = Vec::new();
        self.inside(definition, "", &mut keys)?;
        Ok(keys)
    }

    fn inside(&self, definition: &str, path: &str, keys: &mut Vec<Key>) -> anyhow::Result<()> {
        let schema = &self.whole["$defs"][definition];
        for name in schema["properties"].as_object().into_iter().flat_map(Map::keys) {
            self.key(schema, path, name, keys)?;
        }
        Ok(())
    }

    /// A key of a map, and those below it.
    fn key(&self, of: &Value, path: &str, name: &str, keys: &mut Vec<Key>) -> anyhow::Result<()> {
        let schema = &of["properties"][name];
        let path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        let kind = self.kind(schema).with_context(|| path.clone())?;
        let required =
            of["required"].as_array().is_some_and(|all| all.iter().any(|one| one == name));
        let default = schema.get("default").filter(|value| !value.is_null()).map(Value::to_string);
        // Maps with keys that have defaults of their own have that of these.
        let default = default.filter(|_| kind.inner.is_none());
        let shared = kind.inner.as_ref().filter(|(name, _)| self.is_shared(name));
        keys.push(Key {
            kind: kind.words,
            section: shared.map(|(name, _)| name.clone()),
            required,
            default: default.map(|text| text.trim_matches('"').to_owned()),
            meaning: schema["description"].as_str().unwrap_or_default().to_owned(),
            values: kind.values,
            rules: kind.rules,
            path: path.clone(),
        });
        match kind.inner {
            Some((definition, more)) if !self.is_shared(&definition) => {
                self.inside(&definition, &format!("{path}{more}"), keys)
            }
            _ => Ok(()),
        }
    }

    /// Whether a definition has a section of its own.
    fn is_shared(&self, definition: &str) -> bool {
        self.uses.get(definition).is_some_and(|uses| *uses > 1)
    }

    fn kind(&self, schema: &Value) -> anyhow::Result<Kind> {
        if let Some(definition) = reference(schema) {
            return self.defined(definition);
        }
        if let Some(any) = schema["anyOf"].as_array() {
            let own = any.iter().filter(|one| one["type"] != "null");
            let kinds: Vec<_> = own.map(|one| self.kind(one)).collect::<Result<_, _>>()?;
            return Ok(joined(kinds));
        }
        let types: Vec<&str> = match &schema["type"] {
            Value::String(one) => vec![one],
            Value::Array(all) => {
                all.iter().filter_map(Value::as_str).filter(|t| *t != "null").collect()
            }
            _ => vec![],
        };
        let mut kinds = Vec::new();
        for kind in types {
            kinds.push(match kind {
                "string" => Kind::of("text"),
                "integer" | "number" => Kind { rules: range(schema), ..Kind::of("number") },
                "boolean" => Kind::of("`true` or `false`"),
                "array" => self.list(&schema["items"])?,
                "object" => self.map(schema)?,
                other => bail!("a type of `{other}`"),
            });
        }
        if kinds.is_empty() {
            return Ok(Kind::of("any value"));
        }
        let mut kind = joined(kinds);
        if let Some(pattern) = schema["pattern"].as_str() {
            kind.rules.push(format!("must match `{pattern}`"));
        }
        Ok(kind)
    }

    /// A value by its definition.
    fn defined(&self, definition: &str) -> anyhow::Result<Kind> {
        let schema = &self.whole["$defs"][definition];
        if let Some(values) = values(schema) {
            return Ok(Kind { values, ..Kind::of("one of these words") });
        }
        if schema.get("properties").is_some() {
            let inner = Some((definition.to_owned(), ""));
            return Ok(Kind { inner, ..Kind::of("map") });
        }
        match definition {
            "Size" => return Ok(Kind::of("size, such as `64MiB`")),
            "Span" => return Ok(Kind::of("time, such as `60s`, `24h`, `90d`")),
            _ => {}
        }
        self.kind(schema)
    }

    fn list(&self, items: &Value) -> anyhow::Result<Kind> {
        if items.is_null() {
            return Ok(Kind::of("list"));
        }
        let kind = self.kind(items)?;
        let words = match kind.words.as_str() {
            "text" => "list of texts".to_owned(),
            "number" => "list of numbers".to_owned(),
            "map" => "list of maps".to_owned(),
            "one of these words" => "list of these words".to_owned(),
            other => format!("list, each item {other}"),
        };
        let inner = kind.inner.map(|(name, _)| (name, "[]"));
        Ok(Kind { words, inner, ..kind })
    }

    fn map(&self, schema: &Value) -> anyhow::Result<Kind> {
        let values = &schema["additionalProperties"];
        if !values.is_object() {
            return Ok(Kind::of("map"));
        }
        let kind = self.kind(values)?;
        let words = match kind.words.as_str() {
            "map" => "map of maps".to_owned(),
            "text" => "map of texts".to_owned(),
            "one of these words" => "map, each value one of these words".to_owned(),
            other => format!("map, each value {other}"),
        };
        let names = schema["propertyNames"]["enum"].as_array();
        let words = names.map_or(words, |names| {
            let names: Vec<_> = names.iter().map(|name| format!("`{}`", plain(name))).collect();
            format!("map from {} to {}", names.join(", "), kind.words)
        });
        let inner = kind.inner.map(|(name, _)| (name, ".NAME"));
        Ok(Kind { words, inner, ..kind })
    }
}

/// One of several kinds.
fn joined(kinds: Vec<Kind>) -> Kind {
    let mut kinds = kinds.into_iter();
    let Some(mut all) = kinds.next() else { return Kind::of("any value") };
    for kind in kinds {
        all.words = format!("{}, or {}", all.words, kind.words);
        all.inner = all.inner.or(kind.inner);
        all.values.extend(kind.values);
        all.rules.extend(kind.rules);
    }
    all
}

/// The words of an enumeration, with their meaning.
fn values(schema: &Value) -> Option<Vec<(String, String)>> {
    if let Some(words) = schema["enum"].as_array() {
        return Some(words.iter().map(|word| (plain(word), String::new())).collect());
    }
    let mut values = Vec::new();
    for one in schema["oneOf"].as_array()? {
        let meaning = one["description"].as_str().unwrap_or_default();
        match (one.get("const"), one["enum"].as_array()) {
            (Some(word), _) => values.push((plain(word), meaning.to_owned())),
            (None, Some(words)) => {
                values.extend(words.iter().map(|word| (plain(word), String::new())));
            }
            // Alternatives of something else.
            (None, None) => return None,
        }
    }
    Some(values)
}

fn plain(word: &Value) -> String {
    word.as_str().map_or_else(|| word.to_string(), str::to_owned)
}

fn range(schema: &Value) -> Vec<String> {
    let bound = |key: &str| schema.get(key).filter(|value| **value != 0);
    let rules = [("at least", bound("minimum")), ("at most", bound("maximum"))];
    rules.iter().filter_map(|(words, bound)| Some(format!("{words} {}", (*bound)?))).collect()
}

fn reference(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str()?.strip_prefix("#/$defs/")
}

fn count(schema: &Value, uses: &mut BTreeMap<String, usize>) {
    if let Some(definition) = reference(schema) {
        *uses.entry(definition.to_owned()).or_default() += 1;
    }
    match schema {
        Value::Array(all) => all.iter().for_each(|one| count(one, uses)),
        Value::Object(map) => map.values().for_each(|one| count(one, uses)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> Schema {
        let shared = json!({"$ref": "#/$defs/Rate"});
        Schema::new(json!({
            "description": "A file.",
            "properties": {
                "dir": {"type": "string", "default": "/run", "description": "Where."},
                "servers": {"type": "array", "items": {"$ref": "#/$defs/Server"}},
                "rates": {"type": "object", "additionalProperties": shared},
                "all": {"anyOf": [shared, {"type": "null"}]},
            },
            "required": ["servers"],
            "$defs": {
                "Server": {"properties": {
                    "port": {"type": ["integer", "null"], "minimum": 1, "maximum": 65535},
                    "mode": {"$ref": "#/$defs/Mode"},
                }},
                "Mode": {"oneOf": [{"const": "on", "description": "It is."}, {"const": "off"}]},
                "Rate": {"properties": {"count": {"type": "integer", "default": 3}}},
            },
        }))
    }

    #[test]
    fn keys_have_paths_kinds_and_rules() {
        let sections = schema().sections().expect("a schema");
        let shown: Vec<Vec<_>> = sections
            .iter()
            .map(|keys| keys.iter().map(|key| (key.path.as_str(), key.kind.as_str())).collect())
            .collect();
        assert_eq!(shown[0], [("dir", "text")]);
        assert_eq!(
            shown[1],
            [
                ("servers", "list of maps"),
                ("servers[].port", "number"),
                ("servers[].mode", "one of these words"),
            ]
        );
        assert_eq!(sections[0][0].default.as_deref(), Some("/run"));
        assert!(sections[1][0].required && !sections[0][0].required);
        assert_eq!(sections[1][1].rules, ["at least 1", "at most 65535"]);
        let words = [("on".to_owned(), "It is.".to_owned()), ("off".to_owned(), String::new())];
        assert_eq!(sections[1][2].values, words);
    }

    #[test]
    fn what_stands_in_several_places_is_a_section() {
        let schema = schema();
        let sections = schema.sections().expect("a schema");
        for keys in &sections[2..] {
            assert_eq!((keys.len(), keys[0].section.as_deref()), (1, Some("Rate")));
        }
        let shared = schema.shared("Rate").expect("a section");
        assert_eq!((shared[0].path.as_str(), shared[0].default.as_deref()), ("count", Some("3")));
    }
}
