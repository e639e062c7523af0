//! Changing single values of a message without touching its other bytes.

use std::borrow::Cow;
use std::ops::Range;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::Id;

/// A member of an object: its key, and its value as it is written.
struct Member<'a>(Cow<'a, str>, &'a RawValue);

/// The members of an object, in their order.
struct Members<'a>(Vec<Member<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Vec<Member<'de>>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((key, value)) = map.next_entry::<Cow<'de, str>, &'de RawValue>()? {
                    members.push(Member(key, value));
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(Visitor).map(Members)
    }
}

/// A message that is being changed. It must be one that [`super::Message`] accepts: what is not found
/// is not changed.
#[derive(Debug)]
pub struct Splice<'a> {
    text: &'a str,
    changes: Vec<(Range<usize>, String)>,
}

impl<'a> Splice<'a> {
    /// A message without changes. Text that is not UTF-8 stays as it is.
    pub fn new(text: &'a [u8]) -> Self {
        Self { text: std::str::from_utf8(text).unwrap_or_default(), changes: Vec::new() }
    }

    /// The value at a path of keys, as it is written.
    pub fn get(&self, path: &[&str]) -> Option<&'a str> {
        let mut value = self.text;
        for key in path {
            let Members(members) = serde_json::from_str(value).ok()?;
            value = members.into_iter().find(|member| member.0 == *key)?.1.get();
        }
        Some(value)
    }

    /// Puts a JSON text in the place of the value at a path, if there is one.
    pub fn set(&mut self, path: &[&str], json: impl Into<String>) -> bool {
        let Some(value) = self.get(path) else { return false };
        let start = self.offset(value);
        self.changes.push((start..start + value.len(), json.into()));
        true
    }

    /// Puts an id in the place of the value at a path, if there is one.
    pub fn set_id(&mut self, path: &[&str], id: &Id) -> bool {
        self.set(path, id.to_value().to_string())
    }

    /// Puts members first into the object at a path, but for those whose key it has. At most once for each
    /// object. False when there is no object.
    pub fn insert(&mut self, path: &[&str], new: &[(&str, String)]) -> bool {
        let Some(object) = self.get(path) else { return false };
        let Ok(Members(members)) = serde_json::from_str(object) else { return false };
        let Some(brace) = object.find('{') else { return false };
        let at = self.offset(object) + brace + 1;
        let missing = new.iter().filter(|(key, _)| members.iter().all(|member| member.0 != *key));
        let written =
            |(key, json): &(&str, String)| format!("{}:{json}", serde_json::Value::from(*key));
        let mut text = missing.map(written).collect::<Vec<_>>().join(",");
        if !text.is_empty() && !members.is_empty() {
            text.push(',');
        }
        self.changes.push((at..at, text));
        true
    }

    /// Takes members out of the object at a path whose keys `go`. At most once for each object.
    pub fn remove(&mut self, path: &[&str], go: impl Fn(&str) -> bool) -> bool {
        let Some(object) = self.get(path) else { return false };
        let Ok(Members(members)) = serde_json::from_str(object) else { return false };
        let stay = members.iter().filter(|member| !go(&member.0));
        let written = |member: &Member| {
            format!("{}:{}", serde_json::Value::from(member.0.as_ref()), member.1.get())
        };
        let text = stay.map(written).collect::<Vec<_>>().join(",");
        self.set(path, format!("{{{text}}}"))
    }

    /// The message with its changes.
    pub fn finish(mut self) -> Vec<u8> {
        self.changes.sort_by_key(|(range, _)| range.start);
        let mut out = Vec::with_capacity(self.text.len() + 64);
        let mut at = 0;
        for (range, json) in &self.changes {
            out.extend_from_slice(self.text.get(at..range.start).unwrap_or_default().as_bytes());
            out.extend_from_slice(json.as_bytes());
            at = range.end;
        }
        out.extend_from_slice(self.text.get(at..).unwrap_or_default().as_bytes());
        out
    }

    /// Where a part of the text begins in it.
    fn offset(&self, part: &str) -> usize {
        part.as_ptr().addr() - self.text.as_ptr().addr()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = concat!(
        r#" { "jsonrpc":"2.0", "i\u0064" : "a\"b", "params":{ "_meta":{"progressToken": 7 ,"x":1.50},"#,
        r#""arguments":{"id":1,"n":123456789012345678901}} } "#
    );

    #[test]
    fn only_what_is_named_changes() {
        let mut splice = Splice::new(TEXT.as_bytes());
        assert_eq!(splice.get(&["id"]), Some(r#""a\"b""#));
        assert_eq!(splice.get(&["params", "_meta", "progressToken"]), Some("7"));
        assert!(splice.set_id(&["id"], &Id::Number(12)));
        assert!(splice.set(&["params", "_meta", "progressToken"], "\"t\""));
        assert!(!splice.set(&["params", "_meta", "none"], "0"));
        let changed = String::from_utf8(splice.finish()).expect("text");
        let expected = TEXT.replace(r#""a\"b""#, "12").replace(": 7 ,", r#": "t" ,"#);
        assert_eq!(changed, expected);
    }

    #[test]
    fn a_member_is_put_in_once() {
        let new = |key| (key, "2".to_owned());
        let mut splice = Splice::new(br#"{"result": {} ,"x":{"a":1}}"#);
        assert!(splice.insert(&["result"], &[new("r"), new("s")]));
        assert!(splice.insert(&["x"], &[new("b"), new("a")]));
        assert!(!splice.insert(&["y"], &[new("a")]));
        assert_eq!(splice.finish(), br#"{"result": {"r":2,"s":2} ,"x":{"b":2,"a":1}}"#);
        let mut splice = Splice::new(br#"{"x":{"a":1}}"#);
        assert!(splice.insert(&["x"], &[new("a")]) && splice.insert(&[], &[new("y")]));
        assert_eq!(splice.finish(), br#"{"y":2,"x":{"a":1}}"#);
    }

    #[test]
    fn members_go_and_the_others_keep_their_values() {
        let mut splice = Splice::new(br#"{"p":{"a/x":1, "b" : 1.50,"a/y":{}},"a/z":0}"#);
        assert!(splice.remove(&["p"], |key| key.starts_with("a/")));
        assert_eq!(splice.finish(), br#"{"p":{"b":1.50},"a/z":0}"#);
    }

    proptest! {
        #[test]
        fn an_id_comes_back(id in "\\PC{0,12}", n in any::<i64>()) {
            let id = Id::String(id);
            let text = serde_json::json!({"jsonrpc": "2.0", "id": id.to_value(), "method": "m"});
            let text = text.to_string();
            let mut there = Splice::new(text.as_bytes());
            prop_assert!(there.set_id(&["id"], &Id::Number(n)));
            let there = there.finish();
            prop_assert!(super::super::Message::parse(&there).is_ok() || n.unsigned_abs() > 1 << 53);
            let mut back = Splice::new(&there);
            prop_assert!(back.set_id(&["id"], &id));
            prop_assert_eq!(back.finish(), text.into_bytes());
        }
    }
}
