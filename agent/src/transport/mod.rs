//! Bytes in, messages out.
#![forbid(unsafe_code)]

mod lines;
mod port;
pub mod upstream;

pub use lines::{Line, LineReader, LineWriter};
pub use port::{Arrival, Departure, Heard, Inbox, Notes, Outbox, Route};
pub use upstream::{Upstream, UpstreamLink};
