//! Streamable HTTP in front: clients of both eras on TCP, with or without TLS, and on Unix sockets
//! (MCP 2025-11-25 and 2026-07-28, section Streamable HTTP).
//!
//! A request passes, in this order: the bounds of hyper and of the [`lobby`]; headers that count stand once;
//! `Host` and `Origin`; the path's server; the caller; its rate; the body; the message, strictly; and what
//! the era wants of headers. Whatever fails is answered with an HTTP status and a JSON-RPC error that
//! names its audit record. What passes goes to the session as the client's own bytes.

mod agree;
mod body;
mod certificate;
mod desk;
mod examine;
mod exchange;
mod front;
mod guard;
mod handshake;
mod listener;
mod lobby;
mod rate;
mod refusal;
mod session;
mod sse;
mod streams;
mod table;
mod tls;

pub use certificate::ClientCertificate;
pub use desk::{Complaint, Desk, Peer, TurnedAway, Visit};
pub use examine::examine;
pub use front::Front;
pub use listener::{ListenError, Listener, Manner};
pub use tls::{TlsError, check_tls};
