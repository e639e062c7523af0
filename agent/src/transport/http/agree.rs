//! Headers and message of revision 2026-07-28 say the same (section Streamable HTTP, Request Metadata):
//! whoever routes by headers must not be told another thing than whoever reads the message.

use http::header::HeaderName;
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value};

use super::guard::{METHOD, NAME, VERSION, text};
use super::refusal::Refusal;
use crate::mcp::{Message, ParamHeader, code, era, header_value, param_header};

/// The key of `_meta` for what the client can do.
const CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";

/// Methods whose `Mcp-Name` repeats a parameter.
const NAMED: [(&str, &str); 3] =
    [("tools/call", "name"), ("prompts/get", "name"), ("resources/read", "uri")];

/// Methods of earlier revisions that 2026-07-28 does not have.
const GONE: [&str; 7] = [
    "initialize",
    "ping",
    "logging/setLevel",
    "resources/subscribe",
    "resources/unsubscribe",
    "tasks/list",
    "tasks/result",
];

/// Whether a request is one of the modern era: its header says so, or its message does.
pub(super) fn is_modern(headers: &HeaderMap, message: &Message) -> bool {
    let by_header = text(headers, &VERSION).is_some_and(|header| !era::HANDSHAKE.contains(&header));
    by_header
        || matches!(message, Message::Request { params, .. } if meta_version(params).is_some())
}

/// Whether a request without message is one of the modern era.
pub(super) fn names_modern(headers: &HeaderMap) -> bool {
    text(headers, &VERSION).is_some_and(|version| era::MODERN.contains(&version))
}

/// Refuses a revision that is not of the modern era.
pub(super) fn check_version(headers: &HeaderMap) -> Result<(), Refusal> {
    match text(headers, &VERSION) {
        Some(version) if !era::MODERN.contains(&version) => Err(Refusal::unsupported(version)),
        _ => Ok(()),
    }
}

/// Refuses a request whose headers do not say what its message says. `params` gives the headers that a
/// tool's arguments are repeated in.
pub(super) fn check(
    headers: &HeaderMap,
    method: &str,
    params: &Map<String, Value>,
    param_headers: impl FnOnce(&str) -> Vec<ParamHeader>,
) -> Result<(), Refusal> {
    let header = text(headers, &VERSION);
    let version = meta_version(params);
    match (header, version) {
        (Some(header), Some(Value::String(version))) if header == version => {}
        (Some(header), None) if era::Era::of(header).is_none() => {
            return Err(Refusal::unsupported(header));
        }
        (Some(_), None) => return Err(lacks(era::META_VERSION)),
        (None, _) => return Err(Refusal::mismatch("the header `MCP-Protocol-Version` is missing")),
        (Some(_), Some(_)) => {
            let key = era::META_VERSION;
            let message = format!("the header `MCP-Protocol-Version` is not `_meta[\"{key}\"]`");
            return Err(Refusal::mismatch(message));
        }
    }
    if !meta(params).is_some_and(|meta| meta.contains_key(CAPABILITIES)) {
        return Err(lacks(CAPABILITIES));
    }
    same(headers, &METHOD, "Mcp-Method", "the method", Some(method))?;
    if let Some((_, key)) = NAMED.iter().find(|(named, _)| *named == method) {
        let value = params.get(*key).and_then(Value::as_str);
        same(headers, &NAME, "Mcp-Name", &format!("`params.{key}`"), value)?;
    }
    let version = header.unwrap_or_default();
    if !era::MODERN.contains(&version) {
        return Err(Refusal::unsupported(version));
    }
    if GONE.contains(&method) {
        let message = format!("revision {version} has no method `{method}`");
        return Err(
            Refusal::of_protocol(StatusCode::NOT_FOUND, message).coded(code::METHOD_NOT_FOUND)
        );
    }
    if method == "tools/call" {
        check_arguments(headers, params, param_headers)?;
    }
    Ok(())
}

fn meta(params: &Map<String, Value>) -> Option<&Map<String, Value>> {
    params.get("_meta")?.as_object()
}

fn meta_version(params: &Map<String, Value>) -> Option<&Value> {
    meta(params)?.get(era::META_VERSION)
}

fn lacks(key: &str) -> Refusal {
    Refusal::bad(format!("`params._meta` needs \"{key}\"")).coded(code::INVALID_PARAMS)
}

/// Refuses a header that is not what the message has.
fn same(
    headers: &HeaderMap,
    name: &HeaderName,
    shown: &str,
    what: &str,
    value: Option<&str>,
) -> Result<(), Refusal> {
    match (text(headers, name), value) {
        (None, None) => Ok(()),
        (None, Some(_)) => Err(Refusal::mismatch(format!("the header `{shown}` is missing"))),
        (Some(sent), value) => match header_value::decode(sent) {
            None => Err(Refusal::mismatch(format!("the header `{shown}` is no valid Base64"))),
            Some(sent) if Some(sent.as_ref()) == value => Ok(()),
            Some(_) => Err(Refusal::mismatch(format!("the header `{shown}` is not {what}"))),
        },
    }
}

fn check_arguments(
    headers: &HeaderMap,
    params: &Map<String, Value>,
    param_headers: impl FnOnce(&str) -> Vec<ParamHeader>,
) -> Result<(), Refusal> {
    let none = Map::new();
    let arguments = params.get("arguments").and_then(Value::as_object).unwrap_or(&none);
    let sent = headers.keys().any(|name| name.as_str().starts_with(param_header::PREFIX));
    if arguments.is_empty() && !sent {
        return Ok(());
    }
    let Some(tool) = params.get("name").and_then(Value::as_str) else { return Ok(()) };
    for wanted in param_headers(tool) {
        let mut values = headers.get_all(&wanted.name).iter();
        let (first, second) = (values.next(), values.next());
        let shown = &wanted.name;
        if second.is_some() {
            let message = format!("the header `{shown}` stands more than once");
            return Err(Refusal::mismatch(message));
        }
        let value = match first.map(|value| value.to_str()) {
            None => None,
            Some(Ok(value)) => Some(value.trim_matches([' ', '\t'])),
            Some(Err(_)) => {
                let message = format!("the header `{shown}` has characters that are not ASCII");
                return Err(Refusal::mismatch(message));
            }
        };
        if !wanted.agrees(value, arguments) {
            let path = wanted.path.join(".");
            let message = format!("the header `{shown}` is not the argument `{path}`");
            return Err(Refusal::mismatch(message));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const REVISION: &str = "2026-07-28";

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&str, &str)| {
            let value = HeaderValue::from_str(value).expect("a value");
            (name.parse::<HeaderName>().expect("a name"), value)
        };
        pairs.iter().map(pair).collect()
    }

    fn params(more: &Value) -> Map<String, Value> {
        let mut params = more.as_object().cloned().expect("an object");
        let meta = json!({era::META_VERSION: REVISION, CAPABILITIES: {}});
        params.insert("_meta".to_owned(), meta);
        params
    }

    fn code_of(pairs: &[(&str, &str)], method: &str, params: &Map<String, Value>) -> Option<i64> {
        let region = ParamHeader {
            name: "mcp-param-region".into(),
            path: vec!["region".into()],
            integer: false,
        };
        check(&headers(pairs), method, params, |_| vec![region]).err().map(|refusal| refusal.code())
    }

    #[test]
    fn what_is_said_twice_is_the_same() {
        let version = ("mcp-protocol-version", REVISION);
        let list = params(&json!({}));
        assert_eq!(code_of(&[version, ("mcp-method", "tools/list")], "tools/list", &list), None);
        for wrong in [
            &[version][..],
            &[version, ("mcp-method", "TOOLS/LIST")],
            &[("mcp-method", "tools/list")],
        ] {
            assert_eq!(
                code_of(wrong, "tools/list", &list),
                Some(code::HEADER_MISMATCH),
                "{wrong:?}"
            );
        }
        let call = params(&json!({"name": "größe", "arguments": {}}));
        let method = ("mcp-method", "tools/call");
        assert_eq!(
            code_of(
                &[version, method, ("mcp-name", " =?base64?Z3LDtsOfZQ==?= ")],
                "tools/call",
                &call
            ),
            None
        );
        for wrong in ["other", "=?base64?Z3LDtsOfZQ?=", ""] {
            let code = code_of(&[version, method, ("mcp-name", wrong)], "tools/call", &call);
            assert_eq!(code, Some(code::HEADER_MISMATCH), "{wrong}");
        }
        let read = params(&json!({"uri": "file:///a"}));
        let pairs = [version, ("mcp-method", "resources/read"), ("mcp-name", "file:///a")];
        assert_eq!(code_of(&pairs, "resources/read", &read), None);
        let nameless = params(&json!({}));
        assert_eq!(
            code_of(&[version, method], "tools/call", &nameless),
            None,
            "the session says so"
        );
        assert_eq!(
            code_of(&[version, method, ("mcp-name", "a")], "tools/call", &nameless),
            Some(code::HEADER_MISMATCH)
        );
    }

    #[test]
    fn arguments_are_repeated_where_the_tool_wants_it() {
        let common =
            [("mcp-protocol-version", REVISION), ("mcp-method", "tools/call"), ("mcp-name", "t")];
        let call = params(&json!({"name": "t", "arguments": {"region": "eu"}}));
        let with = |value: &[(&'static str, &'static str)]| [&common[..], value].concat();
        assert_eq!(code_of(&with(&[("Mcp-Param-Region", "eu")]), "tools/call", &call), None);
        for wrong in [with(&[]), with(&[("mcp-param-region", "us")])] {
            assert_eq!(code_of(&wrong, "tools/call", &call), Some(code::HEADER_MISMATCH));
        }
        let mut twice = headers(&with(&[("mcp-param-region", "eu")]));
        twice.append("mcp-param-region", HeaderValue::from_static("eu"));
        let region = ParamHeader {
            name: "mcp-param-region".into(),
            path: vec!["region".into()],
            integer: false,
        };
        assert!(check(&twice, "tools/call", &call, |_| vec![region]).is_err());
    }

    #[test]
    fn revisions_and_envelopes_are_checked() {
        let pairs = |version| [("mcp-protocol-version", version), ("mcp-method", "ping")];
        let bare = Map::new();
        assert_eq!(code_of(&pairs(REVISION), "ping", &bare), Some(code::INVALID_PARAMS));
        assert_eq!(code_of(&pairs("2099-01-01"), "ping", &bare), Some(code::UNSUPPORTED_VERSION));
        let mut future = params(&json!({}));
        future["_meta"][era::META_VERSION] = json!("2099-01-01");
        assert_eq!(code_of(&pairs("2099-01-01"), "ping", &future), Some(code::UNSUPPORTED_VERSION));
        assert_eq!(code_of(&pairs(REVISION), "ping", &future), Some(code::HEADER_MISMATCH));
        let pairs = [("mcp-protocol-version", "2025-11-25"), ("mcp-method", "ping")];
        assert_eq!(code_of(&pairs, "ping", &params(&json!({}))), Some(code::HEADER_MISMATCH));
        let pairs = |version| [("mcp-protocol-version", version), ("mcp-method", "ping")];
        let gone = pairs(REVISION);
        assert_eq!(code_of(&gone, "ping", &params(&json!({}))), Some(code::METHOD_NOT_FOUND));
        let mut bare = params(&json!({}));
        bare["_meta"].as_object_mut().expect("an object").remove(CAPABILITIES);
        assert_eq!(code_of(&pairs(REVISION), "ping", &bare), Some(code::INVALID_PARAMS));
    }

    proptest! {
        #[test]
        fn a_name_agrees_with_itself_alone(name in ".{0,20}", other in ".{0,20}") {
            let call = params(&json!({"name": name}));
            let pairs = |name: &str| {
                let name = header_value::encode(name).into_owned();
                headers(&[("mcp-protocol-version", REVISION), ("mcp-method", "tools/call"), ("mcp-name", &name)])
            };
            prop_assert!(check(&pairs(&name), "tools/call", &call, |_| Vec::new()).is_ok());
            prop_assert_eq!(check(&pairs(&other), "tools/call", &call, |_| Vec::new()).is_ok(), name == other);
        }
    }
}
