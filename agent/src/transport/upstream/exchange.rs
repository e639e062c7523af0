//! One POST and what comes of it.

use http::StatusCode;
use http::header::CONTENT_ENCODING;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::mcp::Id;

use super::Failure;
use super::body::read;
use super::envelope::{agreed_revision, answers, as_error, on_one_line};
use super::event_stream::{EventStream, Resume, media_type};
use super::limits::{ACCEPT_WITHIN, DELETE_WITHIN, EPILOGUE, MAX_HEAD, MAX_MESSAGE, MAX_RESUMES};
use super::message::{FromServer, Outgoing, Sends, Terms};
use super::pool::Answer;
use super::request::{self, Body};
use super::session::Session;
use super::shared::Shared;

/// A request on its way.
pub(super) struct Asking<'a> {
    shared: &'a Shared,
    id: &'a Id,
    /// It is the `initialize` that begins a session.
    begins: bool,
    /// A broken stream can be asked for again.
    resumable: bool,
    /// The session that it is asked in.
    session: Session,
    /// Dropped or sent: the next message may be sent.
    go_on: Option<oneshot::Sender<()>>,
}

impl<'a> Asking<'a> {
    pub(super) fn new(
        shared: &'a Shared,
        id: &'a Id,
        outgoing: &Outgoing,
        go_on: oneshot::Sender<()>,
    ) -> Self {
        let session = shared.session();
        let resumable = outgoing.terms == Terms::Handshake;
        Self {
            shared,
            id,
            begins: outgoing.begins_session(),
            resumable,
            session,
            go_on: Some(go_on),
        }
    }

    /// Sends the request and hands over what comes on its stream, its answer or an error last. Returns the
    /// stream if there may be more on it.
    pub(super) async fn ask(mut self, outgoing: Outgoing) -> Option<EventStream> {
        match self.attempt(outgoing).await {
            Ok(stream) => stream,
            Err(failure) => {
                let server = &self.shared.upstream.server;
                tracing::warn!(server, id = %self.id, "a request failed: {failure}");
                let (text, about) = (failure.line(self.id), Some(self.id.clone()));
                self.go_on = None;
                self.shared.hand(FromServer { text, about, failure: Some(failure) }).await;
                None
            }
        }
    }

    async fn attempt(&mut self, outgoing: Outgoing) -> Result<Option<EventStream>, Failure> {
        // What follows `initialize` needs to know what it brings.
        let taken = if self.begins { None } else { self.go_on.take() };
        let endpoint = &self.shared.upstream.endpoint;
        let what = (&outgoing.sends, &outgoing.terms);
        let request =
            request::post(endpoint, &self.session, what, Body::new(outgoing.text, taken))?;
        let answer = self.shared.upstream.pool.send(request).await?;
        let (status, headers) = (answer.response.status(), answer.response.headers());
        if headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
            return Err(Failure::Encoded);
        }
        let media = media_type(headers);
        if !status.is_success() {
            if status == StatusCode::NOT_FOUND && self.resumable && self.session.has_id() {
                self.shared.lose_session();
                return Err(Failure::SessionGone);
            }
            return self.refused(answer, &media).await.map(|()| None);
        }
        if self.begins {
            self.shared.set_session(Session::begun(headers)?);
            self.shared.lost.send_replace(false);
        }
        match &*media {
            "application/json" => self.whole(answer).await.map(|()| None),
            "text/event-stream" => self.follow(EventStream::new(answer)).await,
            _ if matches!(status, StatusCode::ACCEPTED | StatusCode::NO_CONTENT) => {
                Err(Failure::NoAnswer(status.as_u16()))
            }
            _ => Err(Failure::ContentType),
        }
    }

    /// A status that is no success, with a JSON-RPC error in its body or not.
    async fn refused(&mut self, answer: Answer, media: &str) -> Result<(), Failure> {
        let status = answer.response.status().as_u16();
        if media == "application/json"
            && let Ok(text) = read(answer, MAX_MESSAGE).await
            && let Some(text) = as_error(&text, self.id)
        {
            self.hand(on_one_line(text)).await;
            return Ok(());
        }
        Err(Failure::Status(status))
    }

    /// An answer of one piece.
    async fn whole(&mut self, answer: Answer) -> Result<(), Failure> {
        let text = read(answer, MAX_MESSAGE).await?;
        let text = if answers(&text, self.id) {
            text
        } else {
            as_error(&text, self.id).ok_or(Failure::Foreign)?
        };
        self.hand(on_one_line(text)).await;
        Ok(())
    }

    /// A stream, over all its interruptions.
    async fn follow(&mut self, mut stream: EventStream) -> Result<Option<EventStream>, Failure> {
        let (mut resume, mut tries) = (Resume::default(), 0);
        loop {
            loop {
                match stream.next().await {
                    Ok(Some(text)) => {
                        tries = 0;
                        let last = answers(&text, self.id);
                        if !self.hand(text).await || last {
                            return Ok(Some(stream));
                        }
                    }
                    Ok(None) | Err(Failure::Cut) => break,
                    Err(failure) => return Err(failure),
                }
            }
            resume.note(&stream);
            stream = loop {
                tries += 1;
                if !self.resumable || !resume.is_possible() || tries > MAX_RESUMES {
                    return Err(Failure::Cut);
                }
                tokio::time::sleep(resume.wait(tries)).await;
                match EventStream::open(self.shared, &resume).await {
                    Ok(stream) => break stream,
                    Err(Failure::SessionGone) => {
                        self.shared.lose_session();
                        return Err(Failure::SessionGone);
                    }
                    Err(Failure::Unreachable(_) | Failure::Cut | Failure::Busy) => {}
                    Err(_) => return Err(Failure::Cut),
                }
            };
        }
    }

    /// Hands over what came on the request's stream.
    async fn hand(&mut self, text: Vec<u8>) -> bool {
        if self.begins && answers(&text, self.id) {
            if let Some(revision) = agreed_revision(&text) {
                self.shared.agree(&revision);
            }
            self.go_on = None;
        }
        let about = Some(self.id.clone());
        self.shared.hand(FromServer { text, about, failure: None }).await
    }
}

impl Outgoing {
    /// Whether it is the request that begins a session.
    pub(super) fn begins_session(&self) -> bool {
        matches!(&self.sends, Sends::Request { method, .. } if method == "initialize")
            && self.terms == Terms::Handshake
    }
}

/// Reads a stream a little longer after its answer, so that its connection can be used again. What the server
/// still says on it is about no request any more.
pub(super) async fn read_on(shared: &Shared, mut stream: EventStream) {
    let reading = async {
        while let Ok(Some(text)) = stream.next().await {
            if !shared.hand(FromServer { text, about: None, failure: None }).await {
                break;
            }
        }
    };
    let _ = timeout(EPILOGUE, reading).await; // Then the connection closes.
    stream.finish();
}

/// Sends a message that wants no answer.
pub(super) async fn tell(shared: &Shared, outgoing: Outgoing) -> Result<(), Failure> {
    let session = shared.session();
    let what = (&outgoing.sends, &outgoing.terms);
    let body = Body::new(outgoing.text, None);
    let request = request::post(&shared.upstream.endpoint, &session, what, body)?;
    let sending = timeout(ACCEPT_WITHIN, shared.upstream.pool.send(request)).await;
    let answer = sending.unwrap_or(Err(Failure::Stalled))?;
    match answer.response.status() {
        status if status.is_success() => {
            // There is nothing in it; a server that writes more than a little loses the connection.
            let _ = timeout(EPILOGUE, read(answer, MAX_HEAD)).await;
            Ok(())
        }
        StatusCode::NOT_FOUND if outgoing.terms == Terms::Handshake && session.has_id() => {
            shared.lose_session();
            Err(Failure::SessionGone)
        }
        status => Err(Failure::Status(status.as_u16())),
    }
}

/// Ends a session. Servers may refuse that.
pub(super) async fn end(shared: &Shared, session: &Session) {
    if session.has_id() {
        let request = request::delete(&shared.upstream.endpoint, session);
        let sending = timeout(DELETE_WITHIN, shared.upstream.pool.send(request)).await;
        if let Ok(Err(failure)) = sending {
            tracing::debug!(server = shared.upstream.server, "a session was not ended: {failure}");
        }
    }
}
