//! Bodies: requests that are read within bounds, and responses.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::refusal::Refusal;

/// What a response carries.
pub(super) type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Bytes of a body that is read although its request is refused, so that the refusal has its id.
const REFUSED_BODY: usize = 16 << 10;
/// How long that may take.
const REFUSED_PATIENCE: Duration = Duration::from_secs(1);
/// The unit in which memory for bodies is counted.
const PAGE: usize = 1 << 10;

/// A body that was read, and its share of the memory for bodies.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) bytes: Vec<u8>,
    room: Vec<OwnedSemaphorePermit>,
}

/// Memory for the bodies of all requests that are being read.
#[derive(Debug, Clone)]
pub(super) struct Room {
    pages: Arc<Semaphore>,
    bytes: Arc<AtomicUsize>,
}

impl Room {
    pub(super) fn new(bytes: usize) -> Self {
        Self { pages: Arc::new(Semaphore::new(bytes / PAGE)), bytes: Arc::new(bytes.into()) }
    }

    /// Has room for so many bytes from now on, if it had less.
    pub(super) fn grow(&self, bytes: usize) {
        let before = self.bytes.fetch_max(bytes, Ordering::Relaxed);
        self.pages.add_permits(bytes.saturating_sub(before) / PAGE);
    }
}

/// How large a body says that it is.
pub(super) fn declared(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Reads a body of at most `most` bytes that arrives within `patience`. One that says that it is larger is
/// refused before it is read.
pub(super) async fn read(
    headers: &HeaderMap,
    mut body: Incoming,
    most: usize,
    patience: Duration,
    room: &Room,
) -> Result<Read, Refusal> {
    let too_large = || {
        let text = format!("a body may have at most {most} bytes (`limits.body_bytes`)");
        Refusal::of_protocol(StatusCode::PAYLOAD_TOO_LARGE, text)
    };
    if declared(headers).is_some_and(|size| size > u64::try_from(most).unwrap_or(u64::MAX)) {
        return Err(too_large());
    }
    let slow = || {
        let seconds = patience.as_secs();
        let text = format!("the body did not arrive within {seconds} s");
        Refusal::of_protocol(StatusCode::REQUEST_TIMEOUT, text)
    };
    let deadline = Instant::now() + patience;
    let mut read = Read { bytes: Vec::new(), room: Vec::new() };
    let mut reserved = 0;
    loop {
        let frame = timeout_at(deadline, body.frame()).await.map_err(|_| slow())?;
        let Some(frame) = frame else { return Ok(read) };
        let frame = frame.map_err(|_| Refusal::bad("the body ended before its end"))?;
        // Trailers say nothing that counts.
        let Ok(data) = frame.into_data() else { continue };
        if read.bytes.len() + data.len() > most {
            return Err(too_large());
        }
        while reserved < read.bytes.len() + data.len() {
            let more = (read.bytes.len() + data.len() - reserved).div_ceil(PAGE);
            let permits = u32::try_from(more).unwrap_or(u32::MAX);
            let permit = timeout_at(deadline, room.pages.clone().acquire_many_owned(permits)).await;
            let permit = permit.map_err(|_| {
                Refusal::too_many(1, "too many large requests are being read; try again")
            })?;
            read.room.extend(permit);
            reserved += more * PAGE;
        }
        read.bytes.extend_from_slice(&data);
    }
}

/// The beginning of the body of a request that is refused, if it is short and there already.
pub(super) async fn glance(headers: &HeaderMap, body: Incoming) -> Option<Bytes> {
    let size = usize::try_from(declared(headers)?).ok()?;
    if size == 0 || size > REFUSED_BODY {
        return None;
    }
    let read = timeout_at(Instant::now() + REFUSED_PATIENCE, body.collect()).await;
    Some(read.ok()?.ok()?.to_bytes())
}

/// A response without body.
pub(super) fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Empty::new().boxed_unsync());
    *response.status_mut() = status;
    response
}

/// A response that is one message.
pub(super) fn json(status: StatusCode, text: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Full::new(text.into()).boxed_unsync());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
