//! Why a request has no answer.

use crate::mcp::{Id, RpcError, code};

/// Why a request has no answer. What it displays is for the client that waits: no address, no header, nothing
/// that the server wrote.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// No connection.
    #[error("the server cannot be reached: {0}")]
    Unreachable(String),
    /// Too much at once.
    #[error("too many requests wait for this server; wait for an answer")]
    Busy,
    /// The server answered with this HTTP status and no JSON-RPC error.
    #[error("the server answered with HTTP status {0}{hint}", hint = hint(*.0))]
    Status(u16),
    /// The server does not know the session any more (revision 2025-11-25, section Session Management).
    #[error("the server has ended the session; initialize a new one")]
    SessionGone,
    /// A success without an answer.
    #[error("the server took the request and sent no answer (HTTP status {0})")]
    NoAnswer(u16),
    /// A body that is neither JSON nor a stream of events.
    #[error("the server's answer is neither application/json nor text/event-stream")]
    ContentType,
    /// A body that would have to be unpacked.
    #[error("the server's answer is compressed, which was not asked for")]
    Encoded,
    /// A message over the limit.
    #[error("the server's answer has more than {} MiB", super::limits::MAX_MESSAGE >> 20)]
    TooLarge,
    /// A body that is not the answer to the request.
    #[error("the server's answer does not belong to the request")]
    Foreign,
    /// Something that is not HTTP, or not the bytes that were announced.
    #[error("the server does not speak HTTP as it should: {0}")]
    Protocol(String),
    /// The connection or stream ended before the answer.
    #[error("the server's stream ended before the answer")]
    Cut,
    /// Nothing came for too long.
    #[error("the server's answer stopped half-way")]
    Stalled,
    /// The link was closed.
    #[error("the connection to the server is closed")]
    Closed,
}

impl Failure {
    /// A stable word for programs.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "server_unreachable",
            Self::Busy => "server_busy",
            Self::Status(_) => "server_http_status",
            Self::SessionGone => "server_session_gone",
            Self::NoAnswer(_) | Self::Cut | Self::Closed => "server_no_answer",
            Self::Stalled => "server_stalled",
            Self::TooLarge => "server_answer_too_large",
            Self::ContentType | Self::Encoded | Self::Foreign | Self::Protocol(_) => {
                "server_protocol_error"
            }
        }
    }

    /// The error response that takes the place of the answer.
    pub(super) fn line(&self, id: &Id) -> Vec<u8> {
        RpcError::new(code::SERVER_GONE, self.to_string(), self.reason()).to_line(Some(id))
    }
}

/// What can be done about a status.
fn hint(status: u16) -> &'static str {
    match status {
        300..=399 => ": it is somewhere else; correct `upstream.url` (redirects are not followed)",
        401 | 407 => ": it wants credentials; give them in `upstream.headers`",
        403 => ": it does not accept warrantd's credentials",
        404 => ": there is no MCP endpoint at that path; correct `upstream.url`",
        405 => {
            ": it does not take messages there; correct `upstream.url` (HTTP+SSE of revision \
                2024-11-05 is not spoken)"
        }
        413 => ": the message is too large for it",
        429 => ": it was asked too often",
        _ => "",
    }
}

impl From<hyper::Error> for Failure {
    fn from(error: hyper::Error) -> Self {
        if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
            return Self::Cut;
        }
        match std::error::Error::source(&error) {
            // A connection that broke is a matter of the network, not of the protocol.
            Some(cause) if cause.is::<std::io::Error>() => Self::Cut,
            Some(cause) => Self::Protocol(cause.to_string()),
            None => Self::Protocol(error.to_string()),
        }
    }
}
