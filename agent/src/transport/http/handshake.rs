//! Requests of the handshake era (revisions up to 2025-11-25): `initialize` begins a session, and the
//! others belong to one.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::HeaderValue;
use http::{HeaderMap, Response, StatusCode};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::body::{self, Body};
use super::desk::Visit;
use super::front::{Caller, Front};
use super::guard::{LAST_EVENT, SESSION, VERSION, check_accept, text};
use super::refusal::Refusal;
use super::session::Session;
use super::sse::{self, Events};
use super::streams::{Item, Reader, StreamError, event_id, parse_event_id};
use crate::auth::Identity;
use crate::mcp::{Era, Id, Message};
use crate::transport::{Arrival, Route};

/// Messages of a client that wait for its session.
const ARRIVALS: usize = 4;
/// Messages of a session that wait to be put on its streams.
const DEPARTURES: usize = 16;
/// How long an answer is waited for before the response becomes a stream, which can be kept alive.
const UNDECIDED: Duration = Duration::from_secs(10);
/// The first revision whose clients understand an event without a message.
const PRIMED_FROM: &str = "2025-11-25";

/// Begins a session.
pub(super) async fn initialize(
    front: &Arc<Front>,
    caller: &Caller<'_>,
    identity: &Identity,
    id: Id,
    arrival: Arrival,
) -> Result<Response<Body>, Refusal> {
    let ticket = front.ticket(&identity.actor)?;
    let (to_server, arrivals) = mpsc::channel(ARRIVALS);
    let (departures, from_server) = mpsc::channel(DEPARTURES);
    let server = caller.server.to_owned();
    let session = Arc::new(Session::new(server.clone(), identity.actor.clone(), to_server));
    let mut reader = session.streams().open(id).map_err(|error| Refusal::bad(error.to_string()))?;
    let (identity, era) = (identity.clone(), Era::Handshake);
    front
        .desk
        .begin(Visit { server, identity, era, arrivals, departures })
        .map_err(Refusal::unavailable)?;
    let carried = session.clone().carry(
        from_server,
        Duration::from_secs(front.limits().idle_session_seconds),
        front.table.clone(),
        ticket,
    );
    tokio::spawn(carried);
    // A client that leaves before it knows its session's id leaves for good.
    let guard = Guard(Some(session.clone()));
    session.send(arrival).await.map_err(|_| Refusal::gone())?;
    let answer = loop {
        let item = reader.items.recv().await.ok_or_else(Refusal::gone)?;
        if item.last {
            break item.text;
        }
        // What comes before the client knows its session waits on the general stream.
        session.streams().place(&Route::General, item.text, Instant::now());
    };
    let mut response = body::json(StatusCode::OK, answer.clone());
    let Some(revision) = agreed(&answer) else { return Ok(response) };
    session.agree(revision);
    let key = front.table.enter(&session).map_err(|error| {
        Refusal::unavailable(format!("no random bytes for a session's id: {error}"))
    })?;
    if session.is_closed() {
        front.table.remove(&session);
        return Err(Refusal::gone());
    }
    let key = HeaderValue::from_str(&key).map_err(|_| Refusal::gone())?;
    response.headers_mut().insert(SESSION, key);
    guard.release();
    Ok(response)
}

/// Ends a session when it is dropped.
struct Guard(Option<Arc<Session>>);

impl Guard {
    fn release(mut self) {
        self.0 = None;
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(session) = &self.0 {
            session.close();
        }
    }
}

/// The revision in the answer to `initialize`, if it is no error.
fn agreed(answer: &[u8]) -> Option<String> {
    match Message::parse_lenient(answer) {
        Ok(Message::Response { result: Ok(result), .. }) => {
            Some(result.get("protocolVersion")?.as_str()?.to_owned())
        }
        _ => None,
    }
}

/// The session that a request belongs to.
pub(super) fn session(
    front: &Front,
    caller: &Caller<'_>,
    identity: &Identity,
    headers: &HeaderMap,
) -> Result<Arc<Session>, Refusal> {
    let Some(key) = text(headers, &SESSION) else {
        let message = "the header `Mcp-Session-Id` is missing; `initialize` answers with it";
        return Err(Refusal::bad(message));
    };
    let found = front.table.find(key);
    // Another's session looks like none.
    let own = |session: &Arc<Session>| {
        session.server == caller.server && session.actor == identity.actor && !session.is_closed()
    };
    let Some(session) = found.filter(own) else {
        let message = "there is no such session, or it has ended; begin anew with `initialize`";
        return Err(Refusal::not_found("session_not_found", message));
    };
    let agreed = session.revision().unwrap_or_default();
    match text(headers, &VERSION) {
        // Clients of revision 2025-03-26 and older do not send it.
        None => {}
        Some(version) if version == agreed => {}
        Some(version) if Era::of(version).is_none() => return Err(Refusal::unsupported(version)),
        Some(_) => {
            let message =
                format!("`MCP-Protocol-Version` is not {agreed}, as `initialize` agreed upon");
            return Err(Refusal::bad(message));
        }
    }
    session.touch();
    Ok(session)
}

/// A message in a session.
pub(super) async fn post(
    session: &Arc<Session>,
    message: &Message,
    arrival: Arrival,
) -> Result<Response<Body>, Refusal> {
    let Message::Request { id, .. } = message else {
        session.send(arrival).await.map_err(|_| Refusal::gone())?;
        if let Some(id) = cancelled(message) {
            session.cancel(id);
        }
        return Ok(body::empty(StatusCode::ACCEPTED));
    };
    let opened = session.streams().open(id.clone());
    let mut reader = opened.map_err(|error| match error {
        StreamError::TooMany => Refusal::too_many(1, error.to_string()),
        _ => Refusal::bad(error.to_string()),
    })?;
    session.send(arrival).await.map_err(|_| Refusal::gone())?;
    let first = match timeout(UNDECIDED, reader.items.recv()).await {
        Ok(None) => return Err(Refusal::gone()),
        Ok(Some(item)) if item.last => return Ok(body::json(StatusCode::OK, item.text)),
        Ok(Some(item)) => Some(item),
        Err(_) => None,
    };
    // From here on the client may have an id of this stream.
    session.streams().make_resumable(reader.stream);
    let primed = session.revision().is_some_and(|revision| revision >= PRIMED_FROM);
    reader.backlog.extend(first);
    Ok(stream(session, reader, primed.then_some(0)))
}

/// The request that a client does not want any more (MCP 2025-11-25, section Cancellation).
fn cancelled(message: &Message) -> Option<Id> {
    match message {
        Message::Notification { method, params } if method == "notifications/cancelled" => {
            Id::from_value(params.get("requestId")?)
        }
        _ => None,
    }
}

/// A client that listens to what is about no request, or comes again for the rest of a stream.
pub(super) fn get(session: &Arc<Session>, headers: &HeaderMap) -> Result<Response<Body>, Refusal> {
    check_accept(headers, &["text/event-stream"])?;
    let Some(last) = text(headers, &LAST_EVENT) else {
        let reader = session.streams().attach_general();
        let reader = reader
            .map_err(|error| Refusal::of_protocol(StatusCode::CONFLICT, error.to_string()))?;
        return Ok(stream(session, reader, None));
    };
    let Some((number, after)) = parse_event_id(last) else {
        return Err(Refusal::bad("`Last-Event-ID` is none that was sent"));
    };
    let resumed = session.streams().resume(number, after);
    let reader = resumed.map_err(|error| Refusal::bad(error.to_string()))?;
    Ok(stream(session, reader, None))
}

/// A response that is a stream. With `primed` it begins with an event of that number and no message.
fn stream(session: &Arc<Session>, reader: Reader, primed: Option<u64>) -> Response<Body> {
    let priming = primed.map(|number| sse::priming(&event_id(reader.stream, number)));
    let Reader { backlog, items, .. } = reader;
    sse::response(SessionEvents { session: session.clone(), priming, backlog, items, held: None })
}

struct SessionEvents {
    session: Arc<Session>,
    priming: Option<Bytes>,
    backlog: VecDeque<Item>,
    items: mpsc::Receiver<Item>,
    /// The item that is being sent. Its share of the memory is given back with the next one.
    held: Option<Item>,
}

impl Events for SessionEvents {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if let Some(priming) = self.priming.take() {
            return Poll::Ready(Some(priming));
        }
        if self.held.take().is_some_and(|held| held.last) {
            return Poll::Ready(None);
        }
        let item = match self.backlog.pop_front() {
            Some(item) => Some(item),
            None => match self.items.poll_recv(cx) {
                Poll::Ready(item) => item,
                Poll::Pending => return Poll::Pending,
            },
        };
        self.session.touch();
        Poll::Ready(item.map(|item| {
            let event = sse::event(Some(&item.event_id()), &item.text);
            self.held = Some(item);
            event
        }))
    }
}
