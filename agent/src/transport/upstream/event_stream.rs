//! A response that is a stream of events, and how to come back to one that broke.

use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use super::envelope::on_one_line;
use super::limits::{MAX_ID, MAX_MESSAGE, RETRY, RETRY_RANGE};
use super::pool::{Answer, Lease};
use super::shared::Shared;
use super::sse::Events;
use super::{Failure, request};

/// An open stream.
pub(super) struct EventStream {
    body: Incoming,
    lease: Lease,
    events: Events,
    ended: bool,
}

/// Where a stream broke off.
#[derive(Debug, Default)]
pub(super) struct Resume {
    last_id: Vec<u8>,
    retry: Option<Duration>,
}

impl EventStream {
    pub(super) fn new(answer: Answer) -> Self {
        let body = answer.response.into_body();
        Self { body, lease: answer.lease, events: Events::new(MAX_MESSAGE), ended: false }
    }

    /// Asks for the stream for what the server says by itself, or for what followed on the one that broke.
    pub(super) async fn open(shared: &Shared, from: &Resume) -> Result<Self, Failure> {
        let session = shared.session();
        let request = request::get(&shared.upstream.endpoint, &session, &from.last_id)?;
        let answer = shared.upstream.pool.send(request).await?;
        match answer.response.status() {
            StatusCode::OK if is_event_stream(answer.response.headers()) => Ok(Self::new(answer)),
            StatusCode::OK => Err(Failure::ContentType),
            StatusCode::NOT_FOUND if session.has_id() => Err(Failure::SessionGone),
            status => Err(Failure::Status(status.as_u16())),
        }
    }

    /// The next message; `None` when the stream has ended as it should. Once all of its bytes were read.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        loop {
            while let Some(event) = self.events.next_event() {
                if matches!(&event.kind[..], b"" | b"message") {
                    return Ok(Some(on_one_line(event.data)));
                }
            }
            match self.body.frame().await {
                None => {
                    self.ended = true;
                    return Ok(None);
                }
                Some(frame) => {
                    if let Ok(bytes) = frame?.into_data() {
                        self.events.feed(&bytes).map_err(|_| Failure::TooLarge)?;
                    }
                }
            }
        }
    }

    /// Keeps the connection, if the stream has ended as it should.
    pub(super) fn finish(self) {
        if self.ended {
            self.lease.give_back();
        }
    }
}

impl Resume {
    /// Notes how far a stream has come.
    pub(super) fn note(&mut self, stream: &EventStream) {
        let last = stream.events.last_id();
        if !last.is_empty() && last.len() <= MAX_ID {
            self.last_id = last.to_vec();
        }
        self.retry = stream.events.retry().or(self.retry);
    }

    /// Whether the server has said how to come back.
    pub(super) fn is_possible(&self) -> bool {
        !self.last_id.is_empty()
    }

    /// How long to wait before the `n`th attempt.
    pub(super) fn wait(&self, n: u32) -> Duration {
        let (least, most) = RETRY_RANGE;
        self.retry.unwrap_or(RETRY * n.max(1)).clamp(least, most)
    }
}

/// The media type, without parameters.
pub(super) fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    media_type(headers) == "text/event-stream"
}
