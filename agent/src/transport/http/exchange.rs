//! Requests of the modern era (revision 2026-07-28): each stands alone, and its response is its end. When
//! the client closes the connection it does not want the answer any more.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::body::{self, Body};
use super::desk::Visit;
use super::front::{Caller, Front};
use super::refusal::Refusal;
use super::sse::{self, Events};
use super::table::Ticket;
use crate::auth::Identity;
use crate::mcp::{Era, code};
use crate::transport::{Arrival, Departure, Route};

/// Messages that wait for a slow reader.
const DEPARTURES: usize = 16;
/// How long an answer is waited for before the response becomes a stream, which can be kept alive.
const UNDECIDED: Duration = Duration::from_secs(10);

/// Carries a request to its answer.
pub(super) async fn exchange(
    front: &Arc<Front>,
    caller: &Caller<'_>,
    identity: &Identity,
    arrival: Arrival,
) -> Result<Response<Body>, Refusal> {
    let ticket = front.ticket(&identity.actor)?;
    let (to_server, arrivals) = mpsc::channel(1);
    let (departures, mut from_server) = mpsc::channel(DEPARTURES);
    let (identity, server, era) = (identity.clone(), caller.server.to_owned(), Era::Modern);
    front
        .desk
        .begin(Visit { server, identity, era, arrivals, departures })
        .map_err(Refusal::unavailable)?;
    to_server.send(arrival).await.map_err(|_| Refusal::gone())?;
    let first = match timeout(UNDECIDED, from_server.recv()).await {
        Ok(None) => return Err(Refusal::gone()),
        Ok(Some(Departure { text, route: Route::Answer(_) })) => return Ok(answer(text)),
        Ok(Some(departure)) => Some(departure),
        Err(_) => None,
    };
    let held = Held { _to_server: to_server, _ticket: ticket };
    Ok(sse::response(Exchange { first, from_server, held: Some(held) }))
}

/// An answer that comes first: its status is that of its error (MCP 2026-07-28, section Streamable HTTP).
fn answer(text: Vec<u8>) -> Response<Body> {
    #[derive(Deserialize)]
    struct Answer {
        error: Option<Error>,
    }
    #[derive(Deserialize)]
    struct Error {
        code: i64,
        data: Option<Data>,
    }
    #[derive(Deserialize)]
    struct Data {
        retry_after_seconds: Option<u64>,
    }
    let read: Option<Answer> = serde_json::from_slice(&text).ok();
    let error = read.and_then(|answer| answer.error);
    let status = match error.as_ref().map(|error| error.code) {
        Some(
            code::PARSE
            | code::INVALID_REQUEST
            | code::INVALID_PARAMS
            | code::HEADER_MISMATCH
            | code::MISSING_CAPABILITY
            | code::UNSUPPORTED_VERSION,
        ) => StatusCode::BAD_REQUEST,
        Some(code::METHOD_NOT_FOUND) => StatusCode::NOT_FOUND,
        Some(code::DENIED) => StatusCode::FORBIDDEN,
        Some(code::TOO_SOON) => StatusCode::TOO_MANY_REQUESTS,
        _ => StatusCode::OK,
    };
    let mut response = body::json(status, text);
    let wait = error.and_then(|error| error.data).and_then(|data| data.retry_after_seconds);
    if let (StatusCode::TOO_MANY_REQUESTS, Some(wait)) = (status, wait) {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait));
    }
    response
}

/// What ends with the response.
struct Held {
    /// Closed, it tells the server's side that nobody waits any more.
    _to_server: mpsc::Sender<Arrival>,
    _ticket: Ticket,
}

struct Exchange {
    first: Option<Departure>,
    from_server: mpsc::Receiver<Departure>,
    held: Option<Held>,
}

impl Events for Exchange {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if self.held.is_none() {
            return Poll::Ready(None);
        }
        let departure = match self.first.take() {
            Some(departure) => Some(departure),
            None => match self.from_server.poll_recv(cx) {
                Poll::Ready(departure) => departure,
                Poll::Pending => return Poll::Pending,
            },
        };
        Poll::Ready(departure.map(|departure| {
            if matches!(departure.route, Route::Answer(_)) {
                self.held = None;
            }
            sse::event(None, &departure.text)
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_the_status_of_its_error() {
        let status = |error: &str| {
            let text = format!(r#"{{"jsonrpc":"2.0","id":1,"error":{error}}}"#);
            answer(text.into_bytes()).status().as_u16()
        };
        assert_eq!(answer(br#"{"jsonrpc":"2.0","id":1,"result":{}}"#.to_vec()).status(), 200);
        for (code, wanted) in
            [(-32601, 404), (-32602, 400), (-32022, 400), (-31003, 403), (-32603, 200)]
        {
            assert_eq!(status(&format!(r#"{{"code":{code},"message":"m"}}"#)), wanted, "{code}");
        }
        let soon = br#"{"jsonrpc":"2.0","id":1,"error":{"code":-31029,"message":"m","data":{"retry_after_seconds":7}}}"#;
        let soon = answer(soon.to_vec());
        assert_eq!(soon.status(), 429);
        assert_eq!(soon.headers().get(RETRY_AFTER), Some(&HeaderValue::from(7)));
    }
}
