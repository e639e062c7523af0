//! Bytes in, messages out.
#![forbid(unsafe_code)]

pub mod activation;
pub mod http;
mod lines;
mod port;
pub mod upstream;

pub use lines::{Line, LineReader, LineWriter};
pub use port::{Arrival, Departure, Heard, Inbox, Notes, Outbox, Route};
pub use upstream::{Upstream, UpstreamLink};

/// Waits until `stop` becomes true or its sender is gone.
pub(crate) async fn stopped(stop: &mut tokio::sync::watch::Receiver<bool>) {
    // An error means that the sender is gone.
    let _ = stop.wait_for(|stop| *stop).await;
}
