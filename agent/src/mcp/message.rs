//! JSON-RPC 2.0 messages as MCP uses them.

use std::fmt;

use serde_json::{Map, Value};

use super::json::{self, JsonError, Numbers};

/// The keys of a JSON-RPC envelope.
const ENVELOPE: [&str; 6] = ["jsonrpc", "id", "method", "params", "result", "error"];
/// The keys of `params` that steer a call.
const PARAMS: [&str; 13] = [
    "name",
    "arguments",
    "_meta",
    "uri",
    "cursor",
    "task",
    "taskId",
    "requestState",
    "inputResponses",
    "ref",
    "argument",
    "context",
    "notifications",
];

/// A request id: a string or an integer (MCP forbids null).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Id {
    /// An integer.
    Number(i64),
    /// A string.
    String(String),
}

impl Id {
    /// The id as it stands in a message.
    pub fn to_value(&self) -> Value {
        match self {
            Self::Number(n) => Value::from(*n),
            Self::String(s) => Value::from(s.clone()),
        }
    }

    /// The id that a value is, if it is one.
    pub fn from_value(value: &Value) -> Option<Self> {
        Self::read(value).ok()
    }

    fn read(value: &Value) -> Result<Self, MessageError> {
        match value {
            Value::String(s) => Ok(Self::String(s.clone())),
            Value::Number(n) => n.as_i64().map(Self::Number).ok_or(MessageError::Id),
            _ => Err(MessageError::Id),
        }
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(n) => n.fmt(f),
            Self::String(s) => s.fmt(f),
        }
    }
}

/// One message of either direction.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// Wants an answer.
    Request {
        /// Joins the answer to the request.
        id: Id,
        /// What is asked.
        method: String,
        /// Empty when absent.
        params: Map<String, Value>,
    },
    /// Wants none.
    Notification {
        /// What is told.
        method: String,
        /// Empty when absent.
        params: Map<String, Value>,
    },
    /// Answers a request.
    Response {
        /// The request's id; `None` where the peer could not read it.
        id: Option<Id>,
        /// The result, or the error object.
        result: Result<Value, Value>,
    },
}

/// Why a text is not a message. `id` of the message can be recovered by [`readable_id`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// Not unambiguous JSON.
    #[error("not unambiguous JSON: {0}")]
    Json(#[from] JsonError),
    /// An array: batching left MCP with revision 2025-06-18.
    #[error("batches are not accepted; send each message on its own line")]
    Batch,
    /// Not an object.
    #[error("a JSON-RPC message is an object")]
    NotAnObject,
    /// `jsonrpc` is missing or another version.
    #[error("\"jsonrpc\" must be \"2.0\"")]
    Version,
    /// An id that is neither string nor integer.
    #[error("\"id\" must be a string or an integer")]
    Id,
    /// A key that some parsers would take for a key of the protocol.
    #[error("key {0:?} could be mistaken for a key of the protocol")]
    DisguisedKey(String),
    /// Two keys that some parsers would take for one.
    #[error("keys {0:?} and {1:?} differ only in case")]
    CaseCollision(String, String),
    /// Parts that do not go together.
    #[error("{0}")]
    Shape(&'static str),
}

impl Message {
    /// Reads one message whose content policy reads. The text is the whole message, without its
    /// line feed.
    pub fn parse(text: &[u8]) -> Result<Self, MessageError> {
        Self::read(text, Numbers::Exact)
    }

    /// Reads one message of which only the envelope counts, and in which a result may hold numbers
    /// of any length.
    pub fn parse_lenient(text: &[u8]) -> Result<Self, MessageError> {
        Self::read(text, Numbers::Any)
    }

    fn read(text: &[u8], numbers: Numbers) -> Result<Self, MessageError> {
        let mut object = match json::parse(text, numbers)? {
            Value::Object(object) => object,
            Value::Array(_) => return Err(MessageError::Batch),
            _ => return Err(MessageError::NotAnObject),
        };
        if let Some(key) = json::disguised_key(&object, &ENVELOPE) {
            return Err(MessageError::DisguisedKey(key.to_owned()));
        }
        if object.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
            return Err(MessageError::Version);
        }
        match object.remove("method") {
            Some(Value::String(method)) => Self::call(method, object),
            Some(_) => Err(MessageError::Shape("\"method\" must be a string")),
            None => Self::response(object),
        }
    }

    fn call(method: String, mut object: Map<String, Value>) -> Result<Self, MessageError> {
        if object.contains_key("result") || object.contains_key("error") {
            return Err(MessageError::Shape("a message is a request or a response, not both"));
        }
        let params = match object.remove("params") {
            None => Map::new(),
            Some(Value::Object(params)) => params,
            Some(_) => return Err(MessageError::Shape("\"params\" must be an object")),
        };
        if let Some(key) = json::disguised_key(&params, &PARAMS) {
            return Err(MessageError::DisguisedKey(key.to_owned()));
        }
        if let Some((a, b)) = json::case_collision(&params) {
            return Err(MessageError::CaseCollision(a.to_owned(), b.to_owned()));
        }
        Ok(match object.get("id") {
            Some(id) => Self::Request { id: Id::read(id)?, method, params },
            None => Self::Notification { method, params },
        })
    }

    fn response(mut object: Map<String, Value>) -> Result<Self, MessageError> {
        let id = match object.get("id") {
            None | Some(Value::Null) => None,
            Some(id) => Some(Id::read(id)?),
        };
        let result = match (object.remove("result"), object.remove("error")) {
            (Some(result), None) if id.is_some() => Ok(result),
            (None, Some(error)) => Err(error),
            _ => {
                return Err(MessageError::Shape(
                    "a message needs \"method\", or an \"id\" with one of \"result\" and \"error\"",
                ));
            }
        };
        Ok(Self::Response { id, result })
    }
}

/// The id of a text that was refused, when it can be read at all, so that the refusal reaches the
/// caller that waits for it.
pub fn readable_id(text: &[u8]) -> Option<Id> {
    // Not by way of a `Value`, which takes certain objects of one key for what a text in them says.
    #[derive(serde::Deserialize)]
    #[serde(untagged)]
    enum Readable {
        Number(i64),
        String(String),
    }
    #[derive(serde::Deserialize)]
    struct Envelope {
        id: Readable,
    }
    let envelope: Envelope = serde_json::from_slice(text).ok()?;
    Some(match envelope.id {
        Readable::Number(number) => Id::Number(number),
        Readable::String(text) => Id::String(text),
    })
}

/// The request that a text which was refused answers, when that can be read at all.
pub fn readable_answer(text: &[u8]) -> Option<Id> {
    #[derive(serde::Deserialize)]
    struct Envelope {
        method: Option<serde::de::IgnoredAny>,
    }
    let envelope: Envelope = serde_json::from_slice(text).ok()?;
    if envelope.method.is_some() { None } else { readable_id(text) }
}

/// The parameters of `tools/call`.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolCall {
    /// The tool.
    pub name: String,
    /// Its arguments; empty when absent.
    pub arguments: Map<String, Value>,
    /// `_meta`; empty when absent.
    pub meta: Map<String, Value>,
    /// The caller asks for a task (MCP 2025-11-25, section Tasks).
    pub task: bool,
    /// The `requestState` of an answer that asked for more input (MCP 2026-07-28).
    pub state: Option<String>,
}

impl ToolCall {
    /// Takes the parameters of `tools/call` apart.
    pub fn from_params(mut params: Map<String, Value>) -> Result<Self, MessageError> {
        let Some(Value::String(name)) = params.remove("name") else {
            return Err(MessageError::Shape("tools/call needs a \"name\""));
        };
        let mut object = |key: &'static str, error| match params.remove(key) {
            None => Ok(Map::new()),
            Some(Value::Object(object)) => Ok(object),
            Some(_) => Err(MessageError::Shape(error)),
        };
        let arguments = object("arguments", "\"arguments\" must be an object")?;
        if let Some((a, b)) = json::case_collision(&arguments) {
            return Err(MessageError::CaseCollision(a.to_owned(), b.to_owned()));
        }
        let meta = object("_meta", "\"_meta\" must be an object")?;
        let task = match params.get("task") {
            None => false,
            Some(Value::Object(_)) => true,
            Some(_) => return Err(MessageError::Shape("\"task\" must be an object")),
        };
        let state = match params.remove("requestState") {
            None => None,
            Some(Value::String(state)) => Some(state),
            Some(_) => return Err(MessageError::Shape("\"requestState\" must be a string")),
        };
        Ok(Self { name, arguments, meta, task, state })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_each_shape_are_read() {
        let request = Message::parse(br#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#);
        assert!(matches!(request, Ok(Message::Request { id: Id::Number(1), .. })));
        let note = Message::parse(br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        assert!(matches!(note, Ok(Message::Notification { .. })));
        let response = Message::parse(br#"{"jsonrpc":"2.0","id":"a","result":{}}"#);
        assert!(matches!(response, Ok(Message::Response { result: Ok(_), .. })));
    }

    #[test]
    fn disguised_and_contradictory_messages_are_refused() {
        for text in [
            r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#,
            r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/call"}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","Name":"b"}}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{}}"#,
            r#"{"jsonrpc":"2.0","id":1}"#,
        ] {
            assert!(Message::parse(text.as_bytes()).is_err(), "accepted {text}");
        }
    }

    #[test]
    fn arguments_that_differ_in_case_are_refused() {
        let params = |text: &str| match json::parse(text.as_bytes(), Numbers::Exact) {
            Ok(Value::Object(map)) => map,
            other => panic!("{other:?}"),
        };
        let twice = params(r#"{"name":"read","arguments":{"path":"a","Path":"b"}}"#);
        assert!(ToolCall::from_params(twice).is_err());
        let once = params(r#"{"name":"read","arguments":{"path":"a","Root":"b"}}"#);
        assert!(ToolCall::from_params(once).is_ok());
    }
}
