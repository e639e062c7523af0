//! JSON that every parser reads alike (RFC 8259, narrowed to I-JSON, RFC 7493).
//!
//! Two parsers that disagree about one message are a way around policy: warrantd would judge one
//! value and the server act on another. So a text is refused when it has duplicate keys, lone
//! surrogates, invalid UTF-8, deep nesting, numbers that a double cannot hold, or anything after
//! the value.

use std::fmt;

use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Objects and arrays may be nested this deep.
pub const MAX_DEPTH: usize = 64;

/// Integers beyond this magnitude are not exact in an IEEE 754 double (RFC 7493, section 2.2).
const MAX_EXACT: u64 = 1 << 53;

/// Why a text was refused. The message says what and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct JsonError(String);

/// Whether numbers that a double cannot hold are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbers {
    /// They are refused: policy reads the value.
    Exact,
    /// They are rounded: policy does not read the value, and the original text is forwarded.
    Any,
}

/// Reads one JSON value that every conforming parser reads alike.
pub fn parse(text: &[u8], numbers: Numbers) -> Result<Value, JsonError> {
    let text = std::str::from_utf8(text)
        .map_err(|e| JsonError(format!("not UTF-8 at byte {}", e.valid_up_to())))?;
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = Strict { depth: 0, numbers }
        .deserialize(&mut reader)
        .map_err(|e| JsonError(e.to_string()))?;
    reader.end().map_err(|e| JsonError(e.to_string()))?;
    Ok(value)
}

/// Folds a key the way the most lenient parsers in use do (Go's `encoding/json` matches keys under
/// Unicode simple case folding, where U+017F equals `s` and U+212A equals `k`).
pub fn fold(key: &str) -> String {
    folded(key).collect()
}

fn folded(key: &str) -> impl Iterator<Item = char> {
    key.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase)
}

/// Two keys of `object` that a case-insensitive parser would take for one, if there are such.
pub fn case_collision(object: &Map<String, Value>) -> Option<(&str, &str)> {
    let mut seen = std::collections::HashMap::with_capacity(object.len());
    object
        .keys()
        .find_map(|key| seen.insert(fold(key), key.as_str()).map(|first| (first, key.as_str())))
}

/// A key of `object` that is not one of `names` but that a case-insensitive parser would take for
/// one.
pub fn disguised_key<'a>(object: &'a Map<String, Value>, names: &[&str]) -> Option<&'a str> {
    object
        .keys()
        .map(String::as_str)
        .find(|key| !names.contains(key) && names.iter().any(|name| folded(name).eq(folded(key))))
}

/// Builds a [`Value`] while refusing what parsers disagree about.
#[derive(Clone, Copy)]
struct Strict {
    depth: usize,
    numbers: Numbers,
}

impl Strict {
    fn deeper<E: de::Error>(&self) -> Result<Self, E> {
        if self.depth == MAX_DEPTH {
            return Err(E::custom(format_args!("nested deeper than {MAX_DEPTH} levels")));
        }
        Ok(Self { depth: self.depth + 1, ..*self })
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, v: bool) -> Result<Value, E> {
        Ok(Value::Bool(v))
    }

    fn visit_u64<E: de::Error>(self, v: u64) -> Result<Value, E> {
        if self.numbers == Numbers::Exact && v > MAX_EXACT {
            return Err(inexact());
        }
        Ok(Value::Number(v.into()))
    }

    fn visit_i64<E: de::Error>(self, v: i64) -> Result<Value, E> {
        if self.numbers == Numbers::Exact && v.unsigned_abs() > MAX_EXACT {
            return Err(inexact());
        }
        Ok(Value::Number(v.into()))
    }

    fn visit_f64<E: de::Error>(self, v: f64) -> Result<Value, E> {
        // An integer too long for 64 bits arrives here, rounded.
        #[allow(clippy::cast_precision_loss)] // 2^53 is exact.
        if self.numbers == Numbers::Exact && v.abs() > MAX_EXACT as f64 {
            return Err(inexact());
        }
        Number::from_f64(v).map(Value::Number).ok_or_else(inexact)
    }

    fn visit_str<E>(self, v: &str) -> Result<Value, E> {
        Ok(Value::String(v.to_owned()))
    }

    fn visit_string<E>(self, v: String) -> Result<Value, E> {
        Ok(Value::String(v))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(self.deeper()?)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = map.next_key_seed(Key)? {
            if object.contains_key(&key) {
                return Err(de::Error::custom(format_args!("duplicate key {key:?}")));
            }
            let value = map.next_value_seed(self.deeper()?)?;
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        String::deserialize(deserializer)
    }
}

fn inexact<E: de::Error>() -> E {
    E::custom("a number that an IEEE 754 double does not hold exactly; send it as a string")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn strict(text: &[u8]) -> Result<Value, JsonError> {
        parse(text, Numbers::Exact)
    }

    #[test]
    fn numbers_that_policy_does_not_read_may_be_long() {
        assert!(parse(b"[9007199254740993, -123456789012345678901]", Numbers::Any).is_ok());
        assert!(parse(b"{\"a\":1,\"a\":2}", Numbers::Any).is_err());
    }

    #[test]
    fn ambiguous_texts_are_refused_and_their_twins_pass() {
        let deep = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        let cases: [(&str, &str); 8] = [
            (r#"{"a":1,"a":2}"#, r#"{"a":1,"b":2}"#),
            (r#"{"a":{"b":1,"\u0062":2}}"#, r#"{"a":{"b":1,"c":2}}"#),
            (r#""\ud800""#, r#""\ud83d\ude00""#),
            (r#"{"a":1} {"#, r#"{"a":1} "#),
            ("9007199254740993", "9007199254740992"),
            ("123456789012345678901234567890", "0.1"),
            (&deep(65), &deep(64)),
            ("[1,]", "[1]"),
        ];
        for (bad, good) in cases {
            assert!(strict(bad.as_bytes()).is_err(), "accepted {bad}");
            assert!(strict(good.as_bytes()).is_ok(), "refused {good}");
        }
        assert!(strict(b"\"\xff\"").is_err());
        assert!(strict(b"\xef\xbb\xbf{}").is_err(), "a byte order mark is not JSON");
    }

    #[test]
    fn keys_that_lenient_parsers_confuse_are_found() {
        let object = |text: &str| match strict(text.as_bytes()) {
            Ok(Value::Object(map)) => map,
            other => panic!("{other:?}"),
        };
        assert!(case_collision(&object(r#"{"path":1,"PATH":2}"#)).is_some());
        assert!(case_collision(&object("{\"params\":1,\"param\u{17f}\":2}")).is_some());
        assert!(case_collision(&object(r#"{"path":1,"paths":2}"#)).is_none());
        assert_eq!(disguised_key(&object(r#"{"Method":"x"}"#), &["method"]), Some("Method"));
        assert_eq!(disguised_key(&object(r#"{"method":"x"}"#), &["method"]), None);
        assert_eq!(disguised_key(&object(r#"{"taskID":"x"}"#), &["taskId"]), Some("taskID"));
        assert_eq!(disguised_key(&object(r#"{"taskId":"x"}"#), &["taskId"]), None);
    }

    proptest! {
        #[test]
        fn agrees_with_the_reference_parser_on_what_it_accepts(text in ".{0,64}") {
            if let Ok(value) = strict(text.as_bytes()) {
                prop_assert_eq!(value, serde_json::from_str::<Value>(&text)?);
            }
        }
    }
}
