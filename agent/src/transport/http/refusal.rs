//! A request that is not carried: its HTTP status, and a JSON-RPC error that says the same.

use http::header::{CONNECTION, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Response, StatusCode};
use serde_json::{Map, Value, json};

use super::body::{self, Body};
use crate::mcp::{Id, code};

/// Why a request is not carried.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    /// Of the JSON-RPC error.
    code: i64,
    /// A stable word for programs.
    reason: &'static str,
    /// One line for people.
    pub(super) message: String,
    /// More for the error's data.
    details: Vec<(&'static str, Value)>,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// The caller did not prove who it is.
    pub(super) authentication: bool,
}

impl Refusal {
    pub(super) fn new(
        status: StatusCode,
        code: i64,
        reason: &'static str,
        message: impl Into<String>,
    ) -> Self {
        let (details, headers) = (Vec::new(), Vec::new());
        let message = message.into();
        Self { status, code, reason, message, details, headers, authentication: false }
    }

    /// A request that is wrong in itself.
    pub(super) fn bad(message: impl Into<String>) -> Self {
        Self::of_protocol(StatusCode::BAD_REQUEST, message)
    }

    /// The same with another status.
    pub(super) fn of_protocol(status: StatusCode, message: impl Into<String>) -> Self {
        Self::new(status, code::INVALID_REQUEST, "protocol_error", message)
    }

    /// A request whose headers say something else than its message.
    pub(super) fn mismatch(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code::HEADER_MISMATCH, "header_mismatch", message)
    }

    /// A revision that is not served. The data is as MCP 2026-07-28 has it: revisions that a request can name, as
    /// `server/discover` tells them; earlier ones are agreed on by `initialize`.
    pub(super) fn unsupported(requested: &str) -> Self {
        let requested: String = requested.chars().take(64).collect();
        let served = [&crate::mcp::era::MODERN[..], &crate::mcp::era::HANDSHAKE[..]].concat();
        let message = format!("revision `{requested}` is not served; {} are", served.join(", "));
        let code = code::UNSUPPORTED_VERSION;
        let mut refusal = Self::new(StatusCode::BAD_REQUEST, code, "unsupported_version", message);
        refusal.details.push(("supported", json!(crate::mcp::era::MODERN)));
        refusal.details.push(("requested", json!(requested)));
        refusal
    }

    /// A caller that did not prove who it is (RFC 6750, section 3).
    pub(super) fn unauthenticated(message: impl Into<String>, presented: bool) -> Self {
        let challenge = if presented { r#"Bearer error="invalid_token""# } else { "Bearer" };
        let (status, code) = (StatusCode::UNAUTHORIZED, code::AUTHENTICATION);
        let mut refusal = Self::new(status, code, "authentication_failed", message)
            .with(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        refusal.authentication = true;
        refusal
    }

    /// A caller that has no business here.
    pub(super) fn forbidden(reason: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, code::DENIED, reason, message)
    }

    /// No such server or session.
    pub(super) fn not_found(reason: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code::NOT_FOUND, reason, message)
    }

    /// More than a limit allows. The client may come again.
    pub(super) fn too_many(seconds: u64, message: impl Into<String>) -> Self {
        let (status, code) = (StatusCode::TOO_MANY_REQUESTS, code::TOO_SOON);
        let mut refusal = Self::new(status, code, "rate_limited", message)
            .with(RETRY_AFTER, HeaderValue::from(seconds));
        refusal.details.push(("retry_after_seconds", json!(seconds)));
        refusal
    }

    /// Something here does not work.
    pub(super) fn unavailable(message: impl Into<String>) -> Self {
        let (status, code) = (StatusCode::SERVICE_UNAVAILABLE, code::SERVER_GONE);
        Self::new(status, code, "unavailable", message)
    }

    /// The server behind ended before it answered.
    pub(super) fn gone() -> Self {
        let message = "the server ended before it answered";
        Self::new(StatusCode::BAD_GATEWAY, code::SERVER_GONE, "server_gone", message)
    }

    /// The same with a header.
    pub(super) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The code of the JSON-RPC error.
    #[cfg(test)]
    pub(super) fn code(&self) -> i64 {
        self.code
    }

    /// The same with another JSON-RPC error code.
    pub(super) fn coded(self, code: i64) -> Self {
        Self { code, ..self }
    }

    /// The response. `id` is the request's, if it was read; `None` as correlation id says that the
    /// audit log could not be written.
    pub(super) fn into_response(
        self,
        id: Option<&Id>,
        correlation: Option<&str>,
    ) -> Response<Body> {
        let (mut status, mut code, mut reason) = (self.status, self.code, self.reason);
        let mut message = self.message;
        let details = self.details.into_iter().map(|(key, value)| (key.to_owned(), value));
        let mut data: Map<_, _> = details.collect();
        match correlation {
            Some(id) => _ = data.insert("correlation_id".to_owned(), json!(id)),
            None => {
                (status, code) = (StatusCode::SERVICE_UNAVAILABLE, code::AUDIT);
                reason = "audit_failed";
                "the audit log cannot be written".clone_into(&mut message);
            }
        }
        data.insert("reason".to_owned(), json!(reason));
        let error = json!({
            "jsonrpc": "2.0",
            "id": id.map_or(Value::Null, Id::to_value),
            "error": { "code": code, "message": message, "data": data },
        });
        let mut response = body::json(status, error.to_string().into_bytes());
        response.headers_mut().extend(self.headers);
        if let Some(Ok(correlation)) = correlation.map(HeaderValue::from_str) {
            response.headers_mut().insert(CORRELATION, correlation);
        }
        // What is left of the request is not read.
        if matches!(status, StatusCode::PAYLOAD_TOO_LARGE | StatusCode::REQUEST_TIMEOUT) {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// The header that joins a refusal to its audit record.
pub(super) const CORRELATION: HeaderName = HeaderName::from_static("x-correlation-id");
