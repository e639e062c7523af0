//! A page about the keys of a file.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::keys::{Key, Schema};

/// Stands in pages that are made.
pub(super) const NOTE: &str = "<!-- Made by `cargo xtask docs` from the types. Change the comments there, not this page. -->\n\n";

/// The whole page: its head, a section for each key of the root, and one for what stands in several places.
pub(super) fn render(head: &str, schema: &Schema, of_record: bool) -> anyhow::Result<String> {
    let mut page = format!("{NOTE}{}\n", head.trim_end());
    let sections = schema.sections()?;
    let mut shared = Vec::new();
    let (simple, deep): (Vec<_>, Vec<_>) = sections.iter().partition(|keys| keys.len() == 1);
    let mut out = Page { text: &mut page, shared: &mut shared, of_record };
    if !simple.is_empty() {
        out.heading(if of_record {
            "Fields of the first level"
        } else {
            "Keys of the first level"
        });
        out.keys(simple.into_iter().flatten());
    }
    for keys in deep {
        let Some((first, rest)) = keys.split_first() else { continue };
        out.heading(&format!("`{}`", first.path));
        out.paragraph(first);
        out.keys(rest);
    }
    // Sections can name others.
    let mut told = BTreeSet::new();
    while let Some(definition) = next(&shared, &told) {
        told.insert(definition.clone());
        let keys = schema.shared(&definition)?;
        let mut out = Page { text: &mut page, shared: &mut shared, of_record };
        out.heading(&title(&definition));
        let meaning = schema.description_of(&definition);
        if !meaning.is_empty() {
            let _ = writeln!(out.text, "\n{}", prose(meaning));
        }
        out.keys(&keys);
    }
    Ok(page)
}

fn next(shared: &[String], told: &BTreeSet<String>) -> Option<String> {
    shared.iter().find(|definition| !told.contains(*definition)).cloned()
}

struct Page<'a> {
    text: &'a mut String,
    /// The sections that were named, in the order in which they were.
    shared: &'a mut Vec<String>,
    of_record: bool,
}

impl Page<'_> {
    fn heading(&mut self, text: &str) {
        let _ = writeln!(self.text, "\n## {text}");
    }

    /// What a key that is a section of its own is.
    fn paragraph(&mut self, key: &Key) {
        let facts = self.facts(key);
        let _ = writeln!(self.text, "\n{} ({facts})", prose(&key.meaning));
        self.values(key, "");
    }

    fn keys<'k>(&mut self, keys: impl IntoIterator<Item = &'k Key>) {
        let _ = writeln!(self.text);
        for key in keys {
            let facts = self.facts(key);
            let _ = writeln!(self.text, "- **`{}`**: {facts}.", key.path);
            if !key.meaning.is_empty() {
                let _ = writeln!(self.text, "  {}", prose(&key.meaning));
            }
            self.values(key, "  ");
        }
    }

    fn values(&mut self, key: &Key, indent: &str) {
        if !key.values.is_empty() && indent.is_empty() {
            let _ = writeln!(self.text);
        }
        for (word, meaning) in &key.values {
            let meaning =
                if meaning.is_empty() { String::new() } else { format!(": {}", prose(meaning)) };
            let _ = writeln!(self.text, "{indent}- `{word}`{meaning}");
        }
    }

    /// Type, default and rules, in one line.
    fn facts(&mut self, key: &Key) -> String {
        let mut facts = vec![key.kind.clone()];
        if let Some(definition) = &key.section {
            let title = title(definition);
            let anchor = title.to_lowercase().replace(' ', "-");
            facts.push(format!("see [{title}](#{anchor})"));
            self.shared.push(definition.clone());
        }
        facts.extend(key.rules.iter().cloned());
        match (&key.default, key.required) {
            // Of a record every field is always there.
            _ if self.of_record => {}
            (_, true) => facts.push("**required**".to_owned()),
            (Some(default), false) => facts.push(format!("default `{default}`")),
            (None, false) => {}
        }
        facts.join(", ")
    }
}

/// `Tool effects` of `ToolEffects`; what the type is in the code besides does not count.
fn title(definition: &str) -> String {
    let name = definition.strip_suffix("Section").or(definition.strip_suffix("Config"));
    let mut words = String::new();
    for c in name.unwrap_or(definition).chars() {
        if c.is_uppercase() && !words.is_empty() {
            words.push(' ');
            words.extend(c.to_lowercase());
        } else {
            words.push(c);
        }
    }
    words
}

/// A comment of the code as a paragraph.
fn prose(text: &str) -> String {
    escaped(&text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Text of the code in Markdown: what is no code could be taken for HTML.
pub(super) fn escaped(text: &str) -> String {
    let parts = text.split('`').enumerate();
    let parts =
        parts.map(|(n, part)| if n % 2 == 0 { part.replace('<', "&lt;") } else { part.to_owned() });
    parts.collect::<Vec<_>>().join("`")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_page_has_a_section_for_each_key_with_others_below() {
        let schema = json!({
            "properties": {
                "dir": {"type": "string", "default": "/run", "description": "Where\n<it> is `<x>`."},
                "limits": {"$ref": "#/$defs/LimitsConfig", "description": "How much."},
            },
            "$defs": {"LimitsConfig": {"properties": {
                "calls": {"type": "integer", "minimum": 1, "description": "Calls."},
                "who": {"enum": ["all"]},
            }, "required": ["who"]}},
        });
        let page = render("# File\n", &Schema::new(schema), false).expect("a page");
        let expected = "# File

## Keys of the first level

- **`dir`**: text, default `/run`.
  Where &lt;it> is `<x>`.

## `limits`

How much. (map)

- **`limits.calls`**: number, at least 1.
  Calls.
- **`limits.who`**: any value, **required**.
";
        assert_eq!(page.strip_prefix(NOTE), Some(expected));
    }

    #[test]
    fn a_title_is_in_words() {
        assert_eq!(title("ToolEffects"), "Tool effects");
        assert_eq!(title("MethodsSection"), "Methods");
    }
}
