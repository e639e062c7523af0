//! An HTTP server on loopback that does what a test says, and a link to it.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::config::UpstreamConfig;
use crate::mcp::{Id, Message};
use crate::transport::upstream::{FromServer, Outgoing, Sends, Terms, Upstream, UpstreamLink};

/// A request as the server got it.
#[derive(Debug, Clone)]
pub(super) struct Got {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Value,
}

impl Got {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("text"))
    }

    /// Its HTTP method and that of its message.
    pub(super) fn what(&self) -> String {
        let method = self.body.get("method").and_then(Value::as_str).unwrap_or_default();
        format!("{} {method}", self.method).trim_end().to_owned()
    }
}

/// A body: pieces, and whether it breaks off after them.
pub(super) struct Pieces(mpsc::Receiver<Result<Bytes, &'static str>>);

pub(super) type Feed = mpsc::Sender<Result<Bytes, &'static str>>;

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        self.0.poll_recv(context).map(|next| next.map(|piece| piece.map(Frame::data)))
    }
}

pub(super) type Reply = Response<Pieces>;

/// A reply with an empty body.
pub(super) fn status(status: u16) -> Reply {
    reply(status, "", "")
}

/// A reply of one piece.
pub(super) fn reply(status: u16, media: &str, body: &str) -> Reply {
    let (feed, pieces) = mpsc::channel(1);
    if !body.is_empty() {
        feed.try_send(Ok(Bytes::from(body.to_owned()))).expect("room");
    }
    let mut reply = Response::new(Pieces(pieces));
    *reply.status_mut() = StatusCode::from_u16(status).expect("a status");
    if !media.is_empty() {
        reply.headers_mut().insert("content-type", media.parse().expect("a value"));
    }
    reply
}

/// A JSON reply.
pub(super) fn json(body: &str) -> Reply {
    reply(200, "application/json; charset=utf-8", body)
}

/// The answer to a request, with an empty result.
pub(super) fn answer(got: &Got) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{}}}}"#, got.body["id"])
}

/// A stream that goes on as long as the feed is kept.
pub(super) fn stream() -> (Feed, Reply) {
    let (feed, pieces) = mpsc::channel(8);
    let mut reply = Response::new(Pieces(pieces));
    reply.headers_mut().insert("content-type", "text/event-stream".parse().expect("a value"));
    (feed, reply)
}

/// An event of a stream.
pub(super) fn event(data: &str) -> Bytes {
    Bytes::from(format!("event: message\r\ndata: {data}\r\n\r\n"))
}

/// A stream that holds this and breaks off or ends.
pub(super) fn stream_of(text: &str, breaks: bool) -> Reply {
    let (feed, pieces) = mpsc::channel(1);
    feed.try_send(Ok(Bytes::from(text.to_owned()))).expect("room");
    if breaks {
        // When the text has been taken; an error at once would take its place.
        tokio::spawn(async move { feed.send(Err("broken off")).await });
    }
    let mut reply = Response::new(Pieces(pieces));
    reply.headers_mut().insert("content-type", "text/event-stream".parse().expect("a value"));
    reply
}

/// A running server.
pub(super) struct Server {
    pub(super) url: String,
    pub(super) got: Arc<Mutex<Vec<Got>>>,
    pub(super) connections: Arc<AtomicUsize>,
}

impl Server {
    /// Answers each request as `behave` says.
    pub(super) async fn start(behave: impl Fn(&Got) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/mcp?a=b", listener.local_addr().expect("an address"));
        let (server, serve) = Self::new(url, behave);
        let connections = Arc::clone(&server.connections);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(serve.clone().serve(stream));
            }
        });
        server
    }

    /// A server without a socket, and what serves a connection.
    pub(super) fn new(
        url: String,
        behave: impl Fn(&Got) -> Reply + Send + Sync + 'static,
    ) -> (Self, Serve) {
        let got = Arc::new(Mutex::new(Vec::new()));
        let serve = Serve { behave: Arc::new(behave), got: Arc::clone(&got) };
        (Self { url, got, connections: Arc::default() }, serve)
    }

    /// What came, one word or two for each request.
    pub(super) fn heard(&self) -> Vec<String> {
        self.got.lock().expect("got").iter().map(Got::what).collect()
    }

    pub(super) fn request(&self, index: usize) -> Got {
        self.got.lock().expect("got")[index].clone()
    }

    pub(super) fn link(&self) -> (UpstreamLink, mpsc::Receiver<FromServer>) {
        self.upstream("").link()
    }

    /// An upstream with more configuration.
    pub(super) fn upstream(&self, more: &str) -> Arc<Upstream> {
        open(&format!("{{url: '{}'{more}}}", self.url))
    }
}

pub(super) fn open(config: &str) -> Arc<Upstream> {
    let config: UpstreamConfig = serde_yaml::from_str(config).expect("a configuration");
    Upstream::open("test", &config, std::path::Path::new("/"), false).expect("an upstream")
}

type Behave = dyn Fn(&Got) -> Reply + Send + Sync;

#[derive(Clone)]
pub(super) struct Serve {
    behave: Arc<Behave>,
    got: Arc<Mutex<Vec<Got>>>,
}

impl Serve {
    pub(super) async fn serve<S>(self, stream: S)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let answer = service_fn(|request| {
            let serve = self.clone();
            async move { Ok::<_, Infallible>(serve.answer(request).await) }
        });
        let serving = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), answer);
        let _ = serving.await; // Tests break connections.
    }

    async fn answer(self, request: Request<Incoming>) -> Reply {
        let (head, body) = request.into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        let got = Got {
            method: head.method,
            path: head.uri.to_string(),
            headers: head.headers,
            body: serde_json::from_slice(&body).unwrap_or_default(),
        };
        self.got.lock().expect("got").push(got.clone());
        (self.behave)(&got)
    }
}

/// A message in the terms of the handshake era.
pub(super) fn handshake(text: &str) -> Outgoing {
    in_terms(text, Terms::Handshake)
}

pub(super) fn in_terms(text: &str, terms: Terms) -> Outgoing {
    let message = Message::parse(text.as_bytes()).expect("a message");
    Outgoing { text: text.into(), sends: Sends::of(&message), terms }
}

/// A request without parameters.
pub(super) fn request(id: i64, method: &str) -> Outgoing {
    handshake(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}"}}"#))
}

pub(super) fn notification(method: &str) -> Outgoing {
    handshake(&format!(r#"{{"jsonrpc":"2.0","method":"{method}"}}"#))
}

/// The next message and the request that it came for.
pub(super) async fn next(from: &mut mpsc::Receiver<FromServer>) -> (Value, Option<i64>) {
    let message = from.recv().await.expect("a message");
    let about = message.about.map(|id| match id {
        Id::Number(number) => number,
        Id::String(text) => panic!("{text}"),
    });
    (serde_json::from_slice(&message.text).expect("JSON"), about)
}
