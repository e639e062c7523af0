//! The HTTP requests of the transport and their headers.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderName, HeaderValue, USER_AGENT};
use http::{Method, Request};
use hyper::body::{Frame, SizeHint};
use tokio::sync::oneshot;

use super::Failure;
use super::message::{Sends, Terms};
use super::session::Session;
use super::target::Endpoint;
use crate::mcp::header_value;

pub(super) const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
const REVISION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// The body of a request, which can tell when it is taken to be written.
#[derive(Debug, Default)]
pub(super) struct Body {
    text: Option<Bytes>,
    taken: Option<oneshot::Sender<()>>,
}

impl Body {
    pub(super) fn new(text: Vec<u8>, taken: Option<oneshot::Sender<()>>) -> Self {
        Self { text: Some(text.into()), taken }
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(taken) = self.taken.take() {
            let _ = taken.send(()); // Whoever asked may have gone.
        }
        Poll::Ready(self.text.take().map(|text| Ok(Frame::data(text))))
    }

    fn is_end_stream(&self) -> bool {
        self.text.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.text.as_ref().map_or(0, |text| text.len() as u64))
    }
}

/// A message to the server.
pub(super) fn post(
    endpoint: &Endpoint,
    session: &Session,
    (sends, terms): (&Sends, &Terms),
    body: Body,
) -> Result<Request<Body>, Failure> {
    let mut request = begin(endpoint, Method::POST, body);
    let headers = request.headers_mut();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    match terms {
        Terms::Handshake => session.add_to(headers, &SESSION_ID, &REVISION),
        Terms::Modern { revision, name, params } => {
            headers.insert(REVISION, value(revision)?);
            if let Some(method) = sends.method() {
                headers.insert(METHOD, value(method)?);
            }
            if let Some(name) = name {
                headers.insert(NAME, value(name)?);
            }
            for (name, text) in params {
                let name = HeaderName::from_bytes(name.as_bytes());
                headers.insert(name.map_err(|error| unsendable(&error.into()))?, value(text)?);
            }
        }
    }
    Ok(request)
}

/// A stream: the one for what the server says by itself, or after `last_event` the one that it was on.
pub(super) fn get(
    endpoint: &Endpoint,
    session: &Session,
    last_event: &[u8],
) -> Result<Request<Body>, Failure> {
    let mut request = begin(endpoint, Method::GET, Body::default());
    let headers = request.headers_mut();
    headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
    session.add_to(headers, &SESSION_ID, &REVISION);
    if !last_event.is_empty() {
        let last = HeaderValue::from_bytes(last_event);
        headers.insert(LAST_EVENT_ID, last.map_err(|error| unsendable(&error.into()))?);
    }
    Ok(request)
}

/// The end of a session.
pub(super) fn delete(endpoint: &Endpoint, session: &Session) -> Request<Body> {
    let mut request = begin(endpoint, Method::DELETE, Body::default());
    session.add_to(request.headers_mut(), &SESSION_ID, &REVISION);
    request
}

fn begin(endpoint: &Endpoint, method: Method, body: Body) -> Request<Body> {
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = endpoint.path.clone();
    let headers = request.headers_mut();
    headers.insert(HOST, endpoint.host.clone());
    let agent = concat!("warrantd/", env!("CARGO_PKG_VERSION"));
    headers.insert(USER_AGENT, HeaderValue::from_static(agent));
    endpoint.headers.add_to(headers);
    request
}

fn value(text: &str) -> Result<HeaderValue, Failure> {
    HeaderValue::from_str(&header_value::encode(text)).map_err(|error| unsendable(&error.into()))
}

fn unsendable(error: &http::Error) -> Failure {
    Failure::Protocol(format!("what it asks for cannot stand in a header ({error})"))
}
