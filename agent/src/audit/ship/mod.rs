//! Ships the log to other systems: each receiver has a task of its own, which reads the log's files from
//! its cursor on and never touches the path on which records are written. A receiver that is slow or dead
//! slows nobody and loses nothing: its cursor stays, and retention keeps what lies beyond it.
//!
//! Records arrive at least once and in order. A cursor moves on when records count as delivered:
//!
//! | receiver | delivered means |
//! |---|---|
//! | splunk | its indexer has acknowledged; without `ackId` in its answer, as for syslog from the time of its 200 on |
//! | elastic, http, otlp | it answered 2xx (elastic: for each event) |
//! | nats | `JetStream` acknowledged each event as stored |
//! | syslog over TCP and TLS | the receiver's kernel has acknowledged the bytes, and the connection stood for ten seconds after they were sent |
//! | syslog and journald over Unix sockets, syslog over UDP | this kernel took them, and nothing failed for ten seconds |
//!
//! Protocols without acknowledgement lose what a dying receiver had read and not stored. All that was sent in
//! the ten seconds before a connection broke is therefore sent again. Over UDP what is lost on the way stays
//! lost, and nobody notices.
//!
//! Every event has an id (`metadata.uid`, `event.id`, `_id`, `Nats-Msg-Id`) by which those that come twice are
//! told apart. An event that a receiver refuses for good is counted and passed over; the log has it.

mod batch;
mod cursor;
mod datagram;
mod elastic;
mod error;
mod http;
mod journald;
mod nats;
mod nats_wire;
mod otlp;
mod portions;
mod post;
mod progress;
mod shipper;
mod sink;
mod splunk;
mod stream;
mod syslog;
mod tls;
mod token;

pub(super) use cursor::{Mark, load, store};
pub use error::ShipError;
pub use progress::Progress;
pub use shipper::{LogPlace, Shipper};
