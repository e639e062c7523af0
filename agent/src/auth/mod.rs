//! Who is calling: API keys and peer credentials.
#![forbid(unsafe_code)]

mod api_key;
mod generate;

use schemars::JsonSchema;
use serde::Serialize;

pub use api_key::ApiKeys;
pub use generate::{GenerateError, generate};

/// An authenticated caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The actor, as policies name it.
    pub actor: String,
    /// How it proved so.
    pub method: Method,
    /// The user id of the peer process, where there is one.
    pub uid: Option<u32>,
}

/// How a caller proved who it is; the audit record's `auth_method`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// By an API key.
    ApiKey,
    /// By the user id of the peer of a Unix socket.
    PeerUid,
    /// By a client certificate.
    ClientCertificate,
    /// By having connected to a listener that is bound to the actor.
    Listener,
    /// By having started warrantd itself, with the server on standard input and output.
    Invoker,
}
