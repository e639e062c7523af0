//! What a caller says of the circumstances of a call, as far as it is fit for a record.
//!
//! All of it is the caller's word. It is cut to a bounded size here and sanitized like arguments before it
//! is written; nothing is decided by it.

use serde_json::{Map, Value};

use crate::config::{ContextSection, ContextSource, Problem};

/// Most characters of one text.
const MAX_TEXT: usize = 256;
/// Most items of a list or an object, and how deep they may be nested.
const MAX_ITEMS: usize = 32;
const MAX_DEPTH: usize = 3;
/// Most bytes of a value, as JSON. A larger one is recorded by its size alone.
const MAX_BYTES: usize = 4096;

/// Where each value is looked for.
#[derive(Debug, Clone, Default)]
pub struct ContextRules {
    section: ContextSection,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CallContext {
    /// The human user behind the caller.
    pub end_user_id: Option<String>,
    /// The model output that led to the call.
    pub model_output_ref: Option<String>,
    /// What influenced the model.
    pub context_sources: Option<Value>,
    /// The trace that the call is part of (W3C Trace Context, `traceparent`).
    pub traceparent: Option<String>,
}

impl ContextRules {
    /// Checks the section.
    pub fn compile(section: &ContextSection) -> Result<Self, Problem> {
        let mut section = section.clone();
        for (name, source) in [
            ("end_user_id", &mut section.end_user_id),
            ("model_output_ref", &mut section.model_output_ref),
            ("context_sources", &mut section.context_sources),
            ("traceparent", &mut section.traceparent),
        ] {
            if source.meta.as_deref() == Some("") {
                let message = "an empty key is in no `_meta`; remove it";
                return Err(Problem::new(format!("context.{name}.meta"), message));
            }
            let Some(header) = &mut source.header else { continue };
            header.make_ascii_lowercase();
            let why = if !is_token(header) {
                "not a name that a header can have (RFC 9110, section 5.1)"
            } else if matches!(header.as_str(), "authorization" | "proxy-authorization" | "cookie")
            {
                "this header carries credentials, which do not belong in a log; name another"
            } else {
                continue;
            };
            return Err(Problem::new(format!("context.{name}.header"), why));
        }
        Ok(Self { section })
    }

    /// The headers that a transport has to keep, in lower case.
    pub fn headers(&self) -> impl Iterator<Item = &str> {
        self.sources().into_iter().filter_map(|source| source.header.as_deref())
    }

    /// What is said of a call by its `_meta` and its headers (names in lower case).
    pub fn read(&self, meta: &Map<String, Value>, headers: &[(String, String)]) -> CallContext {
        let find = |source| find(source, meta, headers);
        let id = |source| match find(source)? {
            Value::String(text) => Some(cut(&text)),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        let trace = find(&self.section.traceparent);
        let trace = trace.as_ref().and_then(Value::as_str).filter(|text| is_traceparent(text));
        CallContext {
            end_user_id: id(&self.section.end_user_id),
            model_output_ref: id(&self.section.model_output_ref),
            context_sources: find(&self.section.context_sources).map(|value| small(&value)),
            traceparent: trace.map(str::to_owned),
        }
    }

    fn sources(&self) -> [&ContextSource; 4] {
        let section = &self.section;
        [
            &section.end_user_id,
            &section.model_output_ref,
            &section.context_sources,
            &section.traceparent,
        ]
    }
}

/// The first place that has a value.
fn find(
    source: &ContextSource,
    meta: &Map<String, Value>,
    headers: &[(String, String)],
) -> Option<Value> {
    let said = source.meta.as_deref().and_then(|key| {
        // Keys of `_meta` have dots themselves, as `io.modelcontextprotocol/clientInfo`.
        meta.get(key).or_else(|| {
            let (first, rest) = key.split_once('.')?;
            rest.split('.').try_fold(meta.get(first)?, |value, part| value.get(part))
        })
    });
    if let Some(value) = said.filter(|value| !value.is_null()) {
        return Some(value.clone());
    }
    let name = source.header.as_deref()?;
    let header = headers.iter().find(|(header, _)| header == name);
    header.map(|(_, value)| Value::String(value.clone()))
}

/// A text of bounded length, without what steers a terminal.
fn cut(text: &str) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let mut short: String = text.chars().take(MAX_TEXT).map(plain).collect();
    if text.chars().nth(MAX_TEXT).is_some() {
        short.push('…');
    }
    short
}

/// A value, or how large it is when it is too large.
fn small(value: &Value) -> Value {
    let value = bounded(value, 0);
    match value.to_string().len() {
        bytes if bytes > MAX_BYTES => Value::from(format!("… ({bytes} bytes)")),
        _ => value,
    }
}

/// A value with bounded parts.
fn bounded(value: &Value, depth: usize) -> Value {
    match value {
        Value::String(text) => Value::String(cut(text)),
        Value::Array(_) | Value::Object(_) if depth == MAX_DEPTH => Value::from("…"),
        Value::Array(items) => {
            items.iter().take(MAX_ITEMS).map(|item| bounded(item, depth + 1)).collect()
        }
        Value::Object(items) => {
            let items = items.iter().take(MAX_ITEMS);
            items.map(|(key, item)| (cut(key), bounded(item, depth + 1))).collect()
        }
        plain => plain.clone(),
    }
}

/// Whether a text is a `traceparent` (W3C Trace Context, section 3.2): version, trace id, parent id and
/// flags, in lower-case hexadecimal; a version of the future may have more after them.
fn is_traceparent(text: &str) -> bool {
    let mut parts = text.split('-');
    let mut hex = |length: usize| {
        let part = parts.next()?;
        let digits = part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        (part.len() == length && digits).then_some(part)
    };
    let (Some(version), Some(trace), Some(parent), Some(_)) = (hex(2), hex(32), hex(16), hex(2))
    else {
        return false;
    };
    let all = |part: &str, digit: char| part.chars().all(|c| c == digit);
    let rest = text.len() > 55;
    version != "ff"
        && !all(trace, '0')
        && !all(parent, '0')
        && (version != "00" || !rest)
        && text.len() <= MAX_TEXT
        && !text.chars().any(char::is_control)
}

/// A field name (RFC 9110, section 5.6.2).
fn is_token(name: &str) -> bool {
    let extra = b"!#$%&'*+-.^_`|~";
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || extra.contains(&b))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn rules(text: &str) -> ContextRules {
        ContextRules::compile(&serde_yaml::from_str(text).expect("a section")).expect("compiles")
    }

    fn meta(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(map) => map,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn a_trace_is_recorded_without_being_asked_for() {
        let rules = rules("{}");
        let none = ContextSection::default();
        assert_eq!(rules.section, none);
        let header = [("traceparent".to_owned(), TRACE.to_owned())];
        for (said, headers) in [(json!({"traceparent": TRACE}), &[][..]), (json!({}), &header[..])]
        {
            assert_eq!(rules.read(&meta(said), headers).traceparent.as_deref(), Some(TRACE));
        }
        assert_eq!(rules.headers().collect::<Vec<_>>(), ["traceparent"]);
        for bad in [
            "",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
            "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            let said = meta(json!({"traceparent": bad}));
            assert_eq!(rules.read(&said, &[]), CallContext::default(), "{bad}");
        }
        let future = format!("{}-more", TRACE.replacen("00", "01", 1));
        assert!(is_traceparent(&future));
    }

    #[test]
    fn keys_are_literal_first_and_paths_then() {
        let rules = rules(
            "{end_user_id: {meta: com.example/user, header: X-User}, model_output_ref: {meta: a.b}, \
             context_sources: {meta: sources}}",
        );
        let said = json!({
            "com.example/user": "ada",
            "a": {"b": 7},
            "sources": ["web", {"doc": "x"}],
        });
        let header = [("x-user".to_owned(), "grace".to_owned())];
        let found = rules.read(&meta(said), &header);
        assert_eq!(found.end_user_id.as_deref(), Some("ada"));
        assert_eq!(found.model_output_ref.as_deref(), Some("7"));
        assert_eq!(found.context_sources, Some(json!(["web", {"doc": "x"}])));
        let found = rules.read(&meta(json!({"com.example/user": null})), &header);
        assert_eq!(found.end_user_id.as_deref(), Some("grace"));
    }

    #[test]
    fn headers_with_credentials_and_names_that_are_none_are_refused() {
        for bad in ["Authorization", "cookie", "x user", ""] {
            let text = format!("{{end_user_id: {{header: '{bad}'}}}}");
            let section = serde_yaml::from_str(&text).expect("a section");
            let problem = ContextRules::compile(&section).expect_err(bad);
            assert_eq!(problem.key, "context.end_user_id.header");
        }
    }

    proptest! {
        #[test]
        fn what_is_recorded_is_bounded(text in ".{0,600}", items in 0_usize..80) {
            let rules = rules("{end_user_id: {meta: u}, context_sources: {meta: s}}");
            let nested = json!([text, [[text]]]);
            let list: Vec<Value> = (0..items).map(|_| nested.clone()).collect();
            let found = rules.read(&meta(json!({"u": text, "s": list})), &[]);
            prop_assert!(found.end_user_id.is_some_and(|id| id.chars().count() <= MAX_TEXT + 1));
            let sources = found.context_sources.expect("some");
            prop_assert!(sources.to_string().len() <= MAX_BYTES);
        }
    }
}
