//! The client side of Streamable HTTP (revision 2025-11-25, section Transports, and revision 2026-07-28): how
//! warrantd speaks to MCP servers that are reached over HTTP.
//!
//! ```text
//! Upstream          one for each server: where it is, its headers, a pool of connections
//! └─ UpstreamLink   one for each conversation with it: a session of the handshake era, or none
//!    ├─ a POST for each message, answered by JSON or by a stream of events   (exchange)
//!    └─ the GET stream for what the server says by itself                    (listen)
//! ```
//!
//! A message is handed over when all its bytes have been read from the socket, and those of one stream in
//! their order: what the server's processes did before they wrote it is in the kernel's ring by then.

mod body;
mod connect;
mod envelope;
mod event_stream;
mod exchange;
mod failure;
mod headers;
mod limits;
mod link;
mod listen;
mod message;
mod pool;
mod request;
mod session;
mod shared;
mod sse;
mod target;
mod tls;

#[cfg(test)]
mod tests;

pub use failure::Failure;
pub use link::UpstreamLink;
pub use message::{FromServer, Outgoing, Sends, Terms};
pub use sse::{Event, EventTooLarge, Events};
pub use target::{Upstream, UpstreamError};
