//! What goes to a server and what comes from it.

use crate::mcp::{Id, Message};

use super::Failure;

/// A message for a server.
#[derive(Debug)]
pub struct Outgoing {
    /// The message.
    pub text: Vec<u8>,
    /// What it is.
    pub sends: Sends,
    /// The era in whose terms it is sent.
    pub terms: Terms,
}

/// What a message for a server is. It must say of the text what the text says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sends {
    /// A request, whose id no other request of the link has that waits for its answer.
    Request {
        /// Its id.
        id: Id,
        /// Its method.
        method: String,
    },
    /// A notification.
    Notification {
        /// Its method.
        method: String,
    },
    /// The response to a request of the server.
    Response,
}

/// The era in whose terms a message is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Terms {
    /// Up to revision 2025-11-25: the link keeps the session and the revision that `initialize` agreed on.
    Handshake,
    /// From revision 2026-07-28 on: the headers repeat what the message says.
    Modern {
        /// The revision that the message's `_meta` names, for `MCP-Protocol-Version`.
        revision: String,
        /// The tool, prompt or URI, for `Mcp-Name`.
        name: Option<String>,
        /// The headers `Mcp-Param-…` by their whole names. Values that cannot stand in a header are
        /// encoded here.
        params: Vec<(String, String)>,
    },
}

impl Sends {
    /// What a message is.
    pub fn of(message: &Message) -> Self {
        match message {
            Message::Request { id, method, .. } => {
                Self::Request { id: id.clone(), method: method.clone() }
            }
            Message::Notification { method, .. } => Self::Notification { method: method.clone() },
            Message::Response { .. } => Self::Response,
        }
    }

    pub(super) fn method(&self) -> Option<&str> {
        match self {
            Self::Request { method, .. } | Self::Notification { method } => Some(method),
            Self::Response => None,
        }
    }
}

/// A message from a server, or what takes the place of an answer that does not come.
#[derive(Debug)]
pub struct FromServer {
    /// The message, on one line.
    pub text: Vec<u8>,
    /// The request on whose stream it came; its answer is the last such message. `None` on the stream for
    /// what the server says by itself.
    pub about: Option<Id>,
    /// Why there is no answer. `text` is then an error response by warrantd.
    pub failure: Option<Failure>,
}
