//! The way to a server and back: its standard input and output, or HTTP.

use serde_json::Value;
use tokio::process::ChildStdout;
use tokio::sync::{mpsc, oneshot};

use super::clients::ClientKey;
use super::server::Server;
use super::terms::revision;
use crate::mcp::{Id, Message};
use crate::transport::upstream::{Outgoing, Sends, Terms};
use crate::transport::{Line, LineReader, LineWriter, UpstreamLink};

/// Messages of HTTP servers that wait to be judged.
const QUEUE: usize = 16;

/// Carries messages to a server.
#[derive(Debug)]
pub(super) enum Link {
    /// Its standard input, a line a message.
    Lines(LineWriter),
    /// HTTP.
    Upstream(UpstreamLink),
}

impl Link {
    /// Sends a message, waiting for room; on a stream it is held until [`Link::flush`].
    pub(super) async fn send(&self, server: &Server, text: Vec<u8>) {
        match self {
            Self::Lines(lines) => lines.hold(text),
            Self::Upstream(link) => {
                let Ok(message) = Message::parse_lenient(&text) else { return };
                let (sends, terms) = (Sends::of(&message), terms(server, &message));
                link.send(Outgoing { text, sends, terms }).await;
            }
        }
    }

    /// Sends what was held, waiting for room.
    pub(super) async fn flush(&self) {
        if let Self::Lines(lines) = self {
            lines.flush().await;
        }
    }

    /// Ends a request for which nobody waits any more, where that takes more than a notification.
    pub(super) fn cancel(&self, id: &Id) {
        if let Self::Upstream(link) = self {
            link.cancel(id);
        }
    }

    /// Whether a message can be sent without waiting.
    pub(super) fn has_room(&self) -> bool {
        match self {
            Self::Lines(lines) => lines.has_room(),
            Self::Upstream(link) => link.has_room(),
        }
    }

    /// Waits until there is room.
    pub(super) async fn room(&self) {
        match self {
            Self::Lines(lines) => lines.room().await,
            Self::Upstream(link) => link.room().await,
        }
    }
}

/// The terms in which a message goes over HTTP: those of the revision that it names.
fn terms(server: &Server, message: &Message) -> Terms {
    let Message::Request { method, params, .. } = message else {
        return Terms::Handshake;
    };
    let Some(revision) = revision(params) else { return Terms::Handshake };
    let word = |key: &str| params.get(key).and_then(Value::as_str).map(str::to_owned);
    let name = match method.as_str() {
        "tools/call" | "prompts/get" => word("name"),
        "resources/read" => word("uri"),
        _ => None,
    };
    let mut repeated = Vec::new();
    if let ("tools/call", Some(tool), Some(Value::Object(arguments))) =
        (method.as_str(), &name, params.get("arguments"))
    {
        for header in server.param_headers(tool) {
            if let Some(value) = header.value(arguments) {
                repeated.push((header.name.clone(), value.into_owned()));
            }
        }
    }
    Terms::Modern { revision: revision.to_owned(), name, params: repeated }
}

/// What a server sent.
#[derive(Debug)]
pub(super) enum Sent {
    /// A message, of the client on whose connection it came, where each has its own.
    Message(Option<ClientKey>, Vec<u8>),
    /// One that was too long; it was thrown away.
    TooLong,
    /// It has ended the session of this client, or of all.
    Lost(Option<ClientKey>),
}

/// Where a server's messages come from.
#[derive(Debug)]
pub(super) enum FromServer {
    /// Its standard output.
    Lines(LineReader<ChildStdout>),
    /// HTTP. The process that warrantd runs, if it does, is gone when the other end of `gone` is dropped.
    Upstream {
        /// What comes on any connection.
        messages: mpsc::Receiver<Sent>,
        /// When its process ends.
        gone: Option<oneshot::Receiver<()>>,
    },
}

impl FromServer {
    /// Whether what came last had been read together with what came before.
    pub(super) fn came_with_the_last(&self) -> bool {
        match self {
            Self::Lines(lines) => !lines.is_fresh(),
            Self::Upstream { .. } => false,
        }
    }

    /// Whether something else has come already.
    pub(super) fn has_next(&self) -> bool {
        match self {
            Self::Lines(lines) => lines.has_line(),
            Self::Upstream { messages, .. } => !messages.is_empty(),
        }
    }

    /// What comes next; `None` when the server has ended. Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> Option<Sent> {
        match self {
            Self::Lines(lines) => match lines.next().await {
                Ok(Some(Line::Whole(line))) => Some(Sent::Message(None, line)),
                Ok(Some(Line::TooLong)) => Some(Sent::TooLong),
                Ok(None) | Err(_) => None,
            },
            Self::Upstream { messages, gone } => tokio::select! {
                biased;
                Some(sent) = messages.recv() => Some(sent),
                () = ended(gone) => None,
            },
        }
    }
}

async fn ended(gone: &mut Option<oneshot::Receiver<()>>) {
    match gone {
        Some(gone) => drop(gone.await), // Nothing is ever sent.
        None => std::future::pending().await,
    }
}

/// Opens connections to a server over HTTP.
#[derive(Debug)]
pub(super) struct Opener {
    sent: mpsc::Sender<Sent>,
}

impl Opener {
    /// With where the messages of all connections come out.
    pub(super) fn new() -> (Self, mpsc::Receiver<Sent>) {
        let (sent, messages) = mpsc::channel(QUEUE);
        (Self { sent }, messages)
    }

    /// A connection for one client, or for all.
    pub(super) fn open(&self, server: &Server, client: Option<ClientKey>) -> Option<Link> {
        let (link, mut messages) = server.upstream()?.link();
        let (sent, lost) = (self.sent.clone(), link.session_lost());
        tokio::spawn(async move {
            let mut lost = std::pin::pin!(lost);
            let mut whole = true;
            loop {
                let next = tokio::select! {
                    biased;
                    message = messages.recv() => match message {
                        Some(message) => Sent::Message(client, message.text),
                        None => return,
                    },
                    () = &mut lost, if whole => {
                        whole = false;
                        Sent::Lost(client)
                    }
                };
                if sent.send(next).await.is_err() {
                    return;
                }
            }
        });
        Some(Link::Upstream(link))
    }
}
