//! JSON-RPC errors that warrantd itself answers with.

use std::time::Duration;

use serde_json::{Value, json};

use super::Id;

/// Error codes. Those of warrantd lie outside the range that JSON-RPC 2.0 (section 5.1) and MCP
/// reserve, -32768 to -32000.
pub mod code {
    /// The text is not (unambiguous) JSON. JSON-RPC 2.0, section 5.1.
    pub const PARSE: i64 = -32700;
    /// The value is not a JSON-RPC message. JSON-RPC 2.0, section 5.1.
    pub const INVALID_REQUEST: i64 = -32600;
    /// The method's parameters are not what it takes. JSON-RPC 2.0, section 5.1.
    pub const INVALID_PARAMS: i64 = -32602;
    /// The method is not there. JSON-RPC 2.0, section 5.1.
    pub const METHOD_NOT_FOUND: i64 = -32601;
    /// HTTP headers and message say different things. MCP 2026-07-28, section Streamable HTTP.
    pub const HEADER_MISMATCH: i64 = -32020;
    /// The client lacks a capability that the request needs. MCP 2026-07-28.
    pub const MISSING_CAPABILITY: i64 = -32021;
    /// The request's revision is not served. MCP 2026-07-28, section Versioning.
    pub const UNSUPPORTED_VERSION: i64 = -32022;
    /// The client has cancelled its request. Of the Language Server Protocol, whose code MCP's own libraries use
    /// where a response must end a stream.
    pub const CANCELLED: i64 = -32800;
    /// The caller is not authenticated.
    pub const AUTHENTICATION: i64 = -31001;
    /// Policy denies the call.
    pub const DENIED: i64 = -31003;
    /// There is no such server or session.
    pub const NOT_FOUND: i64 = -31004;
    /// The caller calls too often.
    pub const TOO_SOON: i64 = -31029;
    /// The server took too long.
    pub const TIMEOUT: i64 = -31008;
    /// The call ran, and its response is withheld.
    pub const WITHHELD: i64 = -31009;
    /// The server ended or could not be reached.
    pub const SERVER_GONE: i64 = -31010;
    /// The session is frozen for investigation, so nothing is done.
    pub const FROZEN: i64 = -31012;
    /// The audit log cannot be written, so nothing is done.
    pub const AUDIT: i64 = -31011;
}

/// A JSON-RPC error response (JSON-RPC 2.0, section 5).
#[derive(Debug, Clone, PartialEq)]
pub struct RpcError {
    /// One of [`code`].
    pub code: i64,
    /// One line for people and models.
    pub message: String,
    /// A stable word for programs, such as `policy_denied`.
    pub reason: String,
    /// Joins the error to its audit record.
    pub correlation_id: Option<String>,
    /// When to come again.
    pub retry_after: Option<Duration>,
}

impl RpcError {
    /// An error without more to say.
    pub fn new(code: i64, message: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            reason: reason.into(),
            correlation_id: None,
            retry_after: None,
        }
    }

    /// With the id that joins it to its audit record.
    #[must_use]
    pub fn with_correlation(mut self, id: impl Into<String>) -> Self {
        self.correlation_id = Some(id.into());
        self
    }

    /// The response as one line without the line feed. `id` is null where it could not be read.
    pub fn to_line(&self, id: Option<&Id>) -> Vec<u8> {
        let id = id.map_or(Value::Null, Id::to_value);
        let mut data = json!({ "reason": self.reason });
        if let Some(correlation) = &self.correlation_id {
            data["correlation_id"] = Value::String(correlation.clone());
        }
        if let Some(wait) = self.retry_after {
            // Rounded up: whoever waits so long is let through.
            data["retry_after_seconds"] = Value::from(wait.as_secs() + 1);
        }
        json!({
            "jsonrpc": "2.0",
            "id": id,
            "error": { "code": self.code, "message": self.message, "data": data },
        })
        .to_string()
        .into_bytes()
    }
}
