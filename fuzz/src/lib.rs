//! What must hold for any bytes: no panic, no hang, no ALLOW on an error.
//!
//! Each target is a plain function. cargo-fuzz drives it with coverage (`cargo +nightly fuzz run
//! --features libfuzzer NAME`); the smoke test drives it with mutated seeds on any toolchain.
#![forbid(unsafe_code)]
#![allow(clippy::expect_used, clippy::missing_panics_doc, reason = "a violation is a panic")]

mod framing;

use std::path::Path;
use std::sync::OnceLock;

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value, json};
use warrantd::audit::Sanitizer;
use warrantd::config::{Action, ListenerConfig, PolicyFile, SanitizeConfig, Source};
use warrantd::mcp::list::shorten_tools;
use warrantd::mcp::{Message, ParamHeader, ToolCall, header_value};
use warrantd::names::Asked;
use warrantd::policy::pin::Definition;
use warrantd::policy::url::host_name;
use warrantd::policy::{Call, Policy, absolute, decide};
use warrantd::transport::http::examine;
use warrantd::transport::upstream::{Event, EventTooLarge, Events};

pub use framing::lines;

/// What takes any bytes and panics when a property does not hold.
pub type Target = fn(&[u8]);

/// All targets by name.
pub const TARGETS: [(&str, Target); 11] = [
    ("dns", dns),
    ("http", http),
    ("lines", lines),
    ("list", list),
    ("message", message),
    ("policy", policy),
    ("path", path),
    ("sanitize", sanitize),
    ("sql", sql),
    ("sse", sse),
    ("url", url),
];

/// DNS queries. Only what is a query is answered, and a name that is judged has one form.
pub fn dns(data: &[u8]) {
    match Asked::read(data) {
        Asked::Nothing => {
            let answer = data.get(2).is_some_and(|flags| flags & 0x80 != 0);
            assert!(data.len() < 12 || answer, "dropped");
        }
        Asked::Refused { question, .. } => {
            assert!(question.is_none_or(|question| question.id.to_be_bytes() == data[..2]));
        }
        Asked::Question(question) => {
            assert_eq!(data[4..10], [0, 1, 0, 0, 0, 0], "one question and nothing else");
            assert!(!question.shown().contains(char::is_control));
            if let Some(name) = question.name {
                assert_eq!(host_name(&name).as_ref(), Some(&name));
                assert!(name.parse::<std::net::IpAddr>().is_err(), "{name}");
            }
        }
    }
}

/// Headers, an empty line, and the body of a POST. What passes is for this host, says each thing once, and
/// says in its headers what its message says.
pub fn http(data: &[u8]) {
    let mut headers = HeaderMap::new();
    let mut rest = data;
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let line = rest.get(..end).unwrap_or_default();
        rest = rest.get(end + 1..).unwrap_or_default();
        if line.is_empty() {
            break;
        }
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let (Some(name), Some(value)) = (parts.next(), parts.next()) else { continue };
        let parsed = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value));
        if let (Ok(name), Ok(value)) = parsed {
            headers.append(name, value);
        }
    }
    let wanted =
        ParamHeader { name: "mcp-param-path".into(), path: vec!["path".into()], integer: false };
    let local = "127.0.0.1:8080".parse().ok();
    let Ok(message) = examine(&ListenerConfig::default(), local, &headers, rest, &[wanted]) else {
        return;
    };
    let only = |name: &str| {
        let mut values = headers.get_all(name).iter();
        let first = values.next().map(|value| value.to_str().expect("ASCII").trim());
        assert!(values.next().is_none(), "{name} stands twice");
        first
    };
    let host = only("host").expect("a host").to_ascii_lowercase();
    let own = ["localhost", "127.", "[::1]", "::1", "[::ffff:127."]
        .iter()
        .any(|own| host.starts_with(own));
    assert!(own, "{host}");
    let Message::Request { method, params, .. } = message else { return };
    if only("mcp-protocol-version") != Some("2026-07-28") {
        return;
    }
    let said = |name: &str| only(name).map(|value| header_value::decode(value).expect("valid"));
    assert_eq!(said("mcp-method").as_deref(), Some(method.as_str()));
    if method == "tools/call" {
        assert_eq!(said("mcp-name").as_deref(), params.get("name").and_then(Value::as_str));
        let path = params.get("arguments").and_then(|arguments| arguments.get("path"));
        if let Some(Value::String(path)) = path {
            assert_eq!(said("mcp-param-path").as_deref(), Some(path.as_str()));
        }
    }
}

/// JSON-RPC messages. What is accepted is what a reference parser reads.
pub fn message(data: &[u8]) {
    let Ok(message) = Message::parse(data) else { return };
    let reference: Value = serde_json::from_slice(data).expect("the reference parser agrees");
    if let Message::Request { method, params, .. } = message {
        assert_eq!(reference.get("method").and_then(Value::as_str), Some(method.as_str()));
        let same = reference.get("params").cloned().unwrap_or_else(|| json!({}));
        assert_eq!(same, Value::Object(params.clone()));
        let _ = ToolCall::from_params(params);
    }
}

/// Lists of tools. What is left of one is what was to be left, and everything around it stays; what is said of
/// a tool reads back as it was.
pub fn list(data: &[u8]) {
    let Ok(Message::Response { result: Ok(mut result), .. }) = Message::parse_lenient(data) else {
        return;
    };
    let text = std::str::from_utf8(data).expect("JSON is UTF-8");
    let Some(tools) = result.get_mut("tools").and_then(Value::as_array_mut) else {
        assert!(shorten_tools(text, &[]).is_err());
        return;
    };
    for tool in tools.iter() {
        if let Ok(definition) = Definition::read(tool) {
            assert_eq!(Definition::from_text(&definition.text()).as_ref(), Ok(&definition));
        }
    }
    // Any pattern will do: here, the one that the sizes of the tools make.
    let keep: Vec<_> = tools.iter().map(|tool| tool.to_string().len() % 2 == 0).collect();
    let shorter = shorten_tools(text, &keep).expect("it has tools");
    let mut keep = keep.iter();
    tools.retain(|_| keep.next() == Some(&true));
    let read = Message::parse_lenient(shorter.as_bytes()).expect("still a message");
    assert!(matches!(read, Message::Response { result: Ok(left), .. } if left == result));
}

/// Policy files. A broken one has a place; a good one compiles or says why not.
pub fn policy(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let source = Source::new(Path::new("fuzz.yaml"), text.to_owned());
    match source.parse::<PolicyFile>() {
        Err(error) => assert!(error.line > 0, "no place: {error}"),
        Ok(file) => {
            if let Err(problem) = Policy::compile(&file, "/srv") {
                assert!(source.error(problem).line > 0);
            }
        }
    }
}

/// Paths under a policy that allows `/srv/data/**` without `.env`.
pub fn path(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if allowed("read", "path", text) {
        let lexical = absolute(text, "/srv").expect("an allowed path can be judged");
        assert!(lexical == "/srv/data" || lexical.starts_with("/srv/data/"), "{lexical}");
        assert!(!lexical.ends_with("/.env"), "{lexical}");
    }
}

/// URLs under a policy that allows any public one.
pub fn url(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if allowed("fetch", "url", text) {
        let lower = text.to_ascii_lowercase();
        assert!(lower.starts_with("http://") || lower.starts_with("https://"), "{text}");
        assert!(!text.contains(['\\', '\0', '\n', '\t', ' ']), "{text}");
    }
}

/// SQL under a policy that allows `SELECT` from `users`.
pub fn sql(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if allowed("query", "sql", text) {
        let lower = text.to_ascii_lowercase();
        let reads = ["select", "values", "table", "with", "("];
        assert!(reads.iter().any(|word| lower.contains(word)), "{text}");
    }
}

/// Server-sent events. Cut anywhere, a stream reads as the same events, none of which is over the limit.
pub fn sse(data: &[u8]) {
    const LIMIT: usize = 256;
    fn read(pieces: &[&[u8]]) -> Result<(Vec<Event>, Vec<u8>), EventTooLarge> {
        let mut events = Events::new(LIMIT);
        pieces.iter().try_for_each(|piece| events.feed(piece))?;
        let all = std::iter::from_fn(|| events.next_event()).collect();
        Ok((all, events.last_id().to_vec()))
    }
    let Ok(whole) = read(&[data]) else { return };
    for event in &whole.0 {
        assert!(!event.data.is_empty() && event.data.len() < LIMIT);
        assert!(!event.data.contains(&b'\r'), "line ends are line feeds");
    }
    // A line that is cut is kept, and may then be over the limit.
    let (first, rest) =
        data.split_at(usize::from(data.first().copied().unwrap_or(0)) % (data.len() + 1));
    for pieces in [vec![first, rest], data.chunks(1).collect()] {
        assert!(
            read(&pieces).is_ok_and(|cut| cut == whole) || data.len() > LIMIT,
            "cut, it differs"
        );
    }
}

/// Sanitizing keeps the shape of values, and the value of a sensitive key never stays.
pub fn sanitize(data: &[u8]) {
    static SANITIZER: OnceLock<Sanitizer> = OnceLock::new();
    let Ok(text) = std::str::from_utf8(data) else { return };
    let sanitizer = SANITIZER.get_or_init(|| {
        let key = vec![7; 32].into();
        Sanitizer::new(&SanitizeConfig::default(), key).expect("the built-in rules")
    });
    let value = serde_json::from_str(text).unwrap_or_else(|_| json!({ "text": text }));
    let once = sanitizer.value(None, &value);
    if let (Value::Array(before), Value::Array(after)) = (&value, &once) {
        assert_eq!(before.len(), after.len());
    }
    let password = json!({ "password": text });
    let after = sanitizer.value(None, &password).to_string();
    assert!(text.len() < 16 || !after.contains(text), "{after}");
}

fn allowed(tool: &str, argument: &str, text: &str) -> bool {
    static POLICY: OnceLock<Policy> = OnceLock::new();
    let policy = POLICY.get_or_init(|| {
        let text = "
actors: [{id: a, allowed_tools: [read, fetch, query]}]
constraints:
  read: {allowed_paths: ['/srv/data/**'], denied_paths: ['**/.env']}
  fetch: {allowed_urls: ['https://**', 'http://**']}
  query: {dialect: postgres, allowed_operations: [SELECT], allowed_tables: [users]}
";
        let source = Source::new(Path::new("policy.yaml"), text.to_owned());
        let file: PolicyFile = source.parse().expect("a policy");
        Policy::compile(&file, "/srv").expect("a valid policy")
    });
    let arguments = Map::from_iter([(argument.to_owned(), Value::from(text))]);
    let arguments = &arguments;
    let call = Call { actor: "a", tool, arguments, resolve: &str::to_owned, schema: None };
    decide(policy, call).action == Action::Allow
}
