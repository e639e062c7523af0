//! Server-sent events (WHATWG HTML, section 9.2), one message an event.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Frame;
use tokio::time::{Interval, MissedTickBehavior, interval_at};

use super::body::Body;

/// How long a stream may be silent before a comment is sent, so that nobody on the way takes it for dead.
const SILENCE: Duration = Duration::from_secs(15);
/// What a client waits before it comes again.
const RETRY: Duration = Duration::from_secs(1);

/// An event as it is sent. A message is one line, unless a server breaks it where JSON allows it.
pub(super) fn event(id: Option<&str>, message: &[u8]) -> Bytes {
    let mut event = Vec::with_capacity(message.len() + 48);
    if let Some(id) = id {
        event.extend_from_slice(b"id: ");
        event.extend_from_slice(id.as_bytes());
        event.push(b'\n');
    }
    // A line ends at each of CR LF, LF and CR; between tokens of JSON they mean nothing.
    for line in message.split(|byte| matches!(byte, b'\n' | b'\r')) {
        if !line.is_empty() {
            event.extend_from_slice(b"data: ");
            event.extend_from_slice(line);
            event.push(b'\n');
        }
    }
    event.push(b'\n');
    event.into()
}

/// The event that a stream begins with where the revision knows it (MCP 2025-11-25): it has an id and no
/// message, so that a client can come again before anything was said.
pub(super) fn priming(id: &str) -> Bytes {
    format!("id: {id}\nretry: {}\ndata: \n\n", RETRY.as_millis()).into()
}

/// A source of events.
pub(super) trait Events: Send + 'static {
    /// The next event, encoded; `None` at the end.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>>;
}

/// A response that is a stream of events.
pub(super) fn response(events: impl Events) -> Response<Body> {
    let begin = tokio::time::Instant::now() + SILENCE;
    let mut silence = interval_at(begin, SILENCE);
    silence.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let body = EventBody { events: Box::new(events), silence, ended: false };
    let mut response = Response::new(body.boxed_unsync());
    *response.status_mut() = StatusCode::OK;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store, no-transform"));
    // Proxies that gather responses would hold events back (nginx's word for it).
    let (name, value) = (HeaderName::from_static("x-accel-buffering"), "no");
    headers.insert(name, HeaderValue::from_static(value));
    response
}

struct EventBody {
    events: Box<dyn Events>,
    silence: Interval,
    ended: bool,
}

impl hyper::body::Body for EventBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        match self.events.poll(cx) {
            Poll::Ready(Some(event)) => {
                self.silence.reset();
                Poll::Ready(Some(Ok(Frame::data(event))))
            }
            Poll::Ready(None) => {
                self.ended = true;
                Poll::Ready(None)
            }
            Poll::Pending => match self.silence.poll_tick(cx) {
                Poll::Ready(_) => Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b":\n\n"))))),
                Poll::Pending => Poll::Pending,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_event() {
        assert_eq!(event(None, b"{}"), "data: {}\n\n");
        assert_eq!(event(Some("0-1"), b"{}"), "id: 0-1\ndata: {}\n\n");
        assert_eq!(priming("3-0"), "id: 3-0\nretry: 1000\ndata: \n\n");
    }

    #[test]
    fn line_ends_in_a_message_cannot_end_or_forge_an_event() {
        let forged = event(None, b"{\"a\":\r\n\r\n1,\n\nevent: x\rdata: y}");
        assert_eq!(forged, "data: {\"a\":\ndata: 1,\ndata: event: x\ndata: data: y}\n\n");
    }
}
