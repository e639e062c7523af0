//! As much of a message as the transport must know: whom it answers, and that it fits on a line. Everything
//! else is read strictly by those it is handed to.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::mcp::Id;

#[derive(Deserialize)]
struct Envelope<'a> {
    id: Option<Value>,
    #[serde(borrow)]
    method: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

/// Whether a text is the answer to this request.
pub(super) fn answers(text: &[u8], id: &Id) -> bool {
    serde_json::from_slice::<Envelope>(text).is_ok_and(|envelope| {
        envelope.method.is_none()
            && envelope.id.as_ref().and_then(Id::from_value).as_ref() == Some(id)
    })
}

/// The error response in a text, as the answer to this request. Servers leave out the id of a request that
/// they refuse before they read it.
pub(super) fn as_error(text: &[u8], id: &Id) -> Option<Vec<u8>> {
    let envelope: Envelope = serde_json::from_slice(text).ok()?;
    let error =
        envelope.error.filter(|error| envelope.method.is_none() && error.get().starts_with('{'))?;
    match envelope.id.as_ref() {
        Some(found) if Id::from_value(found).as_ref() == Some(id) => Some(text.to_vec()),
        Some(Value::Null) | None => {
            let (id, error) = (id.to_value(), error.get());
            Some(format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#).into_bytes())
        }
        Some(_) => None,
    }
}

/// The revision that the answer to `initialize` agrees on.
pub(super) fn agreed_revision(text: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Answer {
        result: Agreed,
    }
    #[derive(Deserialize)]
    struct Agreed {
        #[serde(rename = "protocolVersion")]
        version: String,
    }
    serde_json::from_slice::<Answer>(text).ok().map(|answer| answer.result.version)
}

/// The text on one line: line ends between the tokens of JSON become spaces. One within a string stays, so that
/// what is no JSON does not become some.
pub(super) fn on_one_line(mut text: Vec<u8>) -> Vec<u8> {
    if memchr::memchr2(b'\r', b'\n', &text).is_none() {
        return text;
    }
    let (mut in_string, mut escaped) = (false, false);
    for byte in &mut text {
        match *byte {
            b'\n' | b'\r' if !in_string => *byte = b' ',
            b'"' if !escaped => in_string = !in_string,
            _ => {}
        }
        escaped = in_string && *byte == b'\\' && !escaped;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_known_by_its_id() {
        let one = Id::Number(1);
        assert!(answers(br#"{"jsonrpc":"2.0","id":1,"result":{"id":2}}"#, &one));
        for other in [
            r#"{"jsonrpc":"2.0","id":"1","result":{}}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":null,"error":{}}"#,
            r#"{"id":1,"id":1,"result":{}}"#,
            r#"[{"id":1,"result":{}}]"#,
            "",
        ] {
            assert!(!answers(other.as_bytes(), &one), "{other}");
        }
    }

    #[test]
    fn an_error_without_an_id_becomes_the_answer() {
        let id = Id::String("a\"".into());
        let error = |text: &str| as_error(text.as_bytes(), &id);
        let told = error(r#"{"jsonrpc":"2.0","error":{"code":-32000,"message":"x"},"id":null}"#);
        let told = told.expect("an error");
        assert!(answers(&told, &id), "{}", String::from_utf8_lossy(&told));
        let own = r#"{"id":"a\"", "error":{"code":-32601,"message":"x"}}"#;
        assert_eq!(error(own).as_deref(), Some(own.as_bytes()));
        assert!(error(r#"{"id":"b","error":{}}"#).is_none());
        assert!(error(r#"{"error":"not found"}"#).is_none());
        assert!(error(r#"{"result":{}}"#).is_none());
    }

    #[test]
    fn the_revision_is_read() {
        let answer = br#"{"id":1,"result":{"protocolVersion":"2025-06-18","x":1}}"#;
        assert_eq!(agreed_revision(answer).as_deref(), Some("2025-06-18"));
        assert_eq!(agreed_revision(br#"{"id":1,"error":{}}"#), None);
    }

    #[test]
    fn only_line_ends_between_tokens_go() {
        let line = |text: &str| String::from_utf8(on_one_line(text.into())).expect("text");
        assert_eq!(line("{\r\n \"a\\\"\\\\\": \"b\"\n}"), r#"{   "a\"\\": "b" }"#);
        assert_eq!(line("{\"a\\\\\":\n1}"), r#"{"a\\": 1}"#);
        assert_eq!(line("{\"a\nb\":\n1}"), "{\"a\nb\": 1}", "not made valid");
    }
}
