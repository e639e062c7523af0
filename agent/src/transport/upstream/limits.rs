//! Bounds of what a server can make warrantd hold or wait for. How long a call may take is policy's.

use std::time::Duration;

/// Bytes of one message from a server, the same as on a stream.
pub(super) const MAX_MESSAGE: usize = 64 << 20;
/// Requests of one link that may be waiting for their answers.
pub(super) const MAX_REQUESTS: usize = 128;
/// Connections to one server.
pub(super) const MAX_CONNECTIONS: usize = 1024;
/// Connections to one server that are kept for the next request.
pub(super) const MAX_IDLE: usize = 16;
/// How long one is kept. Servers close idle connections after five seconds (Node, uvicorn); a request that
/// meets the closing is lost.
pub(super) const IDLE_FOR: Duration = Duration::from_secs(2);
/// How long one may take to be ready again.
pub(super) const READY_WITHIN: Duration = Duration::from_millis(50);
/// Bytes of the head of a response.
pub(super) const MAX_HEAD: usize = 64 << 10;
/// Headers of a response.
pub(super) const MAX_HEADERS: usize = 100;
/// Bytes of a session id or event id.
pub(super) const MAX_ID: usize = 1024;
/// How long a connection may take to be made, TLS included.
pub(super) const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// How long a server may take to accept a message that wants no answer.
pub(super) const ACCEPT_WITHIN: Duration = Duration::from_secs(10);
/// How long the end of a session may take.
pub(super) const DELETE_WITHIN: Duration = Duration::from_secs(2);
/// How long the next bytes of a JSON answer may take.
pub(super) const QUIET: Duration = Duration::from_secs(60);
/// How long a stream is read on after its answer, for its connection to be used again.
pub(super) const EPILOGUE: Duration = Duration::from_millis(500);
/// How often a broken stream is asked for again without any event in between.
pub(super) const MAX_RESUMES: u32 = 5;
/// How long to wait before that, unless the server says.
pub(super) const RETRY: Duration = Duration::from_secs(1);
/// The least and the most that a server can say.
pub(super) const RETRY_RANGE: (Duration, Duration) =
    (Duration::from_millis(10), Duration::from_secs(30));
/// A stream that lasted this long did not fail, even if nothing came.
pub(super) const LASTED: Duration = Duration::from_secs(10);
