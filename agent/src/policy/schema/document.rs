//! A schema document: its size, its dialect, and where its references lead.

use std::collections::HashMap;

use jsonschema::Draft;
use serde_json::Value;

use super::SchemaError;
use super::explain::clip;

/// How many values a schema may hold, how many bytes of text, and how deep they may be nested.
const MAX_VALUES: usize = 20_000;
const MAX_TEXT: usize = 1 << 20;
const MAX_DEPTH: usize = 64;

/// The dialects' own schemas, which the validator carries with it.
const META: [&str; 2] = ["json-schema.org/draft-0", "json-schema.org/draft/20"];

/// A bounded document of one dialect.
pub(super) struct Document<'a> {
    pub(super) root: &'a Value,
    pub(super) draft: Draft,
    id: Option<&'a str>,
    anchors: HashMap<&'a str, &'a Value>,
    /// Where a dynamic reference of that name may lead.
    dynamic: HashMap<&'a str, Vec<&'a Value>>,
}

/// Where a reference leads.
pub(super) enum Target<'a> {
    /// To one place or, for a dynamic reference, to any of these.
    Schemas(Vec<&'a Value>),
    /// To a dialect's own schema, which describes every schema.
    Meta,
}

impl<'a> Document<'a> {
    /// Measures a document and finds its anchors.
    pub(super) fn new(root: &'a Value) -> Result<Self, SchemaError> {
        let draft = match root {
            Value::Bool(_) => Draft::Draft202012,
            Value::Object(object) => dialect(object.get("$schema"))?,
            _ => return Err(SchemaError::Invalid("it is neither an object nor a boolean".into())),
        };
        let key = if draft == Draft::Draft4 { "id" } else { "$id" };
        let id = root.get(key).and_then(Value::as_str).map(|id| id.trim_end_matches('#'));
        let mut document =
            Self { root, draft, id, anchors: HashMap::new(), dynamic: HashMap::new() };
        document.survey()?;
        Ok(document)
    }

    /// The key by which a schema names itself.
    pub(super) fn id_key(&self) -> &'static str {
        if self.draft == Draft::Draft4 { "id" } else { "$id" }
    }

    /// Whether `$ref` makes its neighbours void (up to draft 7).
    pub(super) fn is_ref_alone(&self) -> bool {
        matches!(self.draft, Draft::Draft4 | Draft::Draft6 | Draft::Draft7)
    }

    /// Whether `$schema` of a schema within is that of the document.
    pub(super) fn check_dialect(&self, named: &Value) -> Result<(), SchemaError> {
        if dialect(Some(named))? == self.draft {
            return Ok(());
        }
        Err(SchemaError::Dialect(clip(named.as_str().unwrap_or("?"))))
    }

    /// Resolves `$ref`.
    pub(super) fn resolve(&self, reference: &str) -> Result<Target<'a>, SchemaError> {
        let (base, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        if !base.is_empty() && !self.is_own(base) {
            let plain = base.strip_prefix("https://").or_else(|| base.strip_prefix("http://"));
            return match plain {
                Some(plain) if META.iter().any(|meta| plain.starts_with(meta)) => Ok(Target::Meta),
                _ => Err(SchemaError::External(clip(reference))),
            };
        }
        let target = if fragment.is_empty() {
            Some(self.root)
        } else if fragment.starts_with('/') {
            let decoded = percent_decode(fragment);
            decoded.and_then(|pointer| self.root.pointer(&pointer))
        } else {
            self.anchors.get(fragment).copied()
        };
        match target {
            Some(target) => Ok(Target::Schemas(vec![target])),
            None => Err(SchemaError::Dangling(clip(reference))),
        }
    }

    /// Resolves `$dynamicRef` to all that it may mean, and `$recursiveRef` likewise.
    pub(super) fn resolve_dynamic(&self, reference: &str) -> Result<Target<'a>, SchemaError> {
        let Target::Schemas(mut targets) = self.resolve(reference)? else {
            return Ok(Target::Meta);
        };
        let name = reference.rsplit('#').next().unwrap_or("");
        targets.extend(self.dynamic.get(name).into_iter().flatten());
        Ok(Target::Schemas(targets))
    }

    fn is_own(&self, base: &str) -> bool {
        let Some(id) = self.id else { return false };
        if base == id {
            return true;
        }
        let joined = ::url::Url::parse(id).ok().and_then(|id| Some((id.join(base).ok()?, id)));
        joined.is_some_and(|(joined, id)| joined == id)
    }

    /// Visits every value once, whatever it means: an anchor that is none is never referred to.
    fn survey(&mut self) -> Result<(), SchemaError> {
        let mut left = vec![(self.root, 0)];
        let (mut values, mut text) = (0, 0);
        while let Some((value, depth)) = left.pop() {
            values += 1;
            text += value.as_str().map_or(0, str::len);
            match value {
                Value::Object(object) => {
                    text += object.keys().map(String::len).sum::<usize>();
                    left.extend(object.values().map(|value| (value, depth + 1)));
                    self.find_anchors(value)?;
                }
                Value::Array(items) => left.extend(items.iter().map(|item| (item, depth + 1))),
                _ => {}
            }
            if values + left.len() > MAX_VALUES {
                return Err(SchemaError::TooLarge("more than 20,000 values"));
            }
            if text > MAX_TEXT {
                return Err(SchemaError::TooLarge("more than 1 MiB of text"));
            }
            if depth > MAX_DEPTH {
                return Err(SchemaError::TooLarge("more than 64 levels"));
            }
        }
        Ok(())
    }

    fn find_anchors(&mut self, value: &'a Value) -> Result<(), SchemaError> {
        let text = |key| value.get(key).and_then(Value::as_str);
        let old =
            text(self.id_key()).and_then(|id| id.strip_prefix('#')).filter(|id| !id.is_empty());
        for anchor in [text("$anchor"), text("$dynamicAnchor"), old].into_iter().flatten() {
            if self.anchors.insert(anchor, value).is_some_and(|first| !std::ptr::eq(first, value)) {
                let why = format!("the anchor `{}` stands twice", clip(anchor));
                return Err(SchemaError::Invalid(why));
            }
        }
        if let Some(anchor) = text("$dynamicAnchor") {
            self.dynamic.entry(anchor).or_default().push(value);
        }
        if value.get("$recursiveAnchor") == Some(&Value::Bool(true)) {
            self.dynamic.entry("").or_default().push(value);
        }
        Ok(())
    }
}

/// The dialect that `$schema` names; 2020-12 without one.
fn dialect(named: Option<&Value>) -> Result<Draft, SchemaError> {
    let Some(named) = named else { return Ok(Draft::Draft202012) };
    let text = named.as_str().ok_or_else(|| SchemaError::Dialect(clip(&named.to_string())))?;
    let bare = text.strip_suffix('#').unwrap_or(text);
    let bare = bare.strip_prefix("https://").or_else(|| bare.strip_prefix("http://"));
    match bare {
        Some("json-schema.org/draft-04/schema") => Ok(Draft::Draft4),
        Some("json-schema.org/draft-06/schema") => Ok(Draft::Draft6),
        Some("json-schema.org/draft-07/schema") => Ok(Draft::Draft7),
        Some("json-schema.org/draft/2019-09/schema") => Ok(Draft::Draft201909),
        Some("json-schema.org/draft/2020-12/schema") => Ok(Draft::Draft202012),
        _ => Err(SchemaError::Dialect(clip(text))),
    }
}

/// Takes away percent escapes; `None` when what is left is not UTF-8 or an escape is broken.
fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(if byte == b'%' {
            let mut digit = || bytes.next().and_then(|d| char::from(d).to_digit(16));
            u8::try_from(digit()? * 16 + digit()?).ok()?
        } else {
            byte
        });
    }
    String::from_utf8(decoded).ok()
}
