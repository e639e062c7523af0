//! The two ends by which a session knows its client, whatever carries the messages.
//!
//! A stream (standard input and output, a Unix socket) is read and written by the session itself, a line
//! a message. Where several streams make one conversation, as in Streamable HTTP, the transport holds
//! the other ends of two queues.

use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

use super::{Line, LineReader, LineWriter};
use crate::mcp::Id;

/// A message from a client.
#[derive(Debug, Default)]
pub struct Arrival {
    /// The message, as it came.
    pub text: Vec<u8>,
    /// What its transport says of it.
    pub notes: Notes,
}

/// What a transport knows of a message, for the audit record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notes {
    /// Where it came from, on a network.
    pub source_ip: Option<IpAddr>,
    /// The headers that configuration asks for: name in lower case, value.
    pub headers: Vec<(String, String)>,
}

/// Which of a client's streams a message belongs on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// The answer to this request of the client.
    Answer(Id),
    /// Something about this request of the client, before its answer.
    About(Id),
    /// About no request in particular.
    General,
}

/// A message for a client.
#[derive(Debug)]
pub struct Departure {
    /// The message.
    pub text: Vec<u8>,
    /// Where it belongs.
    pub route: Route,
}

/// Where a session's messages from its client come from.
pub enum Inbox {
    /// A stream, a line a message.
    Lines(LineReader<Box<dyn AsyncRead + Send + Unpin>>),
    /// A transport; closed when the client has left.
    Queue(mpsc::Receiver<Arrival>),
}

impl Inbox {
    /// A stream of which a line may have `limit` bytes.
    pub fn lines(stream: impl AsyncRead + Send + Unpin + 'static, limit: usize) -> Self {
        Self::Lines(LineReader::new(Box::new(stream), limit))
    }

    /// Whether another message has come already.
    pub fn has_next(&self) -> bool {
        match self {
            Self::Lines(lines) => lines.has_line(),
            Self::Queue(queue) => !queue.is_empty(),
        }
    }

    /// The next message; `None` when the client has left. Dropping the future loses nothing.
    pub async fn next(&mut self) -> std::io::Result<Option<Heard>> {
        match self {
            Self::Lines(lines) => Ok(lines.next().await?.map(|line| match line {
                Line::Whole(text) => Heard::Message(Arrival { text, notes: Notes::default() }),
                Line::TooLong => Heard::TooLong,
            })),
            Self::Queue(queue) => Ok(queue.recv().await.map(Heard::Message)),
        }
    }
}

/// What came from a client.
#[derive(Debug)]
pub enum Heard {
    /// A message.
    Message(Arrival),
    /// One that was too long; it was thrown away.
    TooLong,
}

/// Where a session's messages for its client go.
#[derive(Debug)]
pub enum Outbox {
    /// A stream.
    Lines(LineWriter),
    /// A transport, which must be told where a message belongs, and what is held for it.
    Queue(mpsc::Sender<Departure>, Mutex<Vec<Departure>>),
}

impl Outbox {
    /// A stream. At most `depth` lines wait.
    pub fn lines(stream: impl AsyncWrite + Send + Unpin + 'static, depth: usize) -> Self {
        Self::Lines(LineWriter::new(stream, depth))
    }

    /// A transport's queue.
    pub fn queue(queue: mpsc::Sender<Departure>) -> Self {
        Self::Queue(queue, Mutex::default())
    }

    /// Keeps a message for the next [`Outbox::flush`].
    pub fn hold(&self, text: Vec<u8>, route: Route) {
        match self {
            Self::Lines(lines) => lines.hold(text),
            Self::Queue(_, held) => lock(held).push(Departure { text, route }),
        }
    }

    /// Sends what was held, waiting for room. Does nothing when the client is gone.
    pub async fn flush(&self) {
        match self {
            Self::Lines(lines) => lines.flush().await,
            Self::Queue(queue, held) => {
                let held = std::mem::take(&mut *lock(held));
                for departure in held {
                    let _ = queue.send(departure).await; // The client is gone.
                }
            }
        }
    }

    /// Throws away what was held.
    pub fn discard(&self) {
        match self {
            Self::Lines(lines) => lines.discard(),
            Self::Queue(_, held) => lock(held).clear(),
        }
    }

    /// Whether a message can be sent without waiting.
    pub fn has_room(&self) -> bool {
        match self {
            Self::Lines(lines) => lines.has_room(),
            Self::Queue(queue, _) => queue.capacity() > 0 || queue.is_closed(),
        }
    }

    /// Waits until there is room.
    pub async fn room(&self) {
        match self {
            Self::Lines(lines) => lines.room().await,
            Self::Queue(queue, _) => {
                let _ = queue.reserve().await; // Closed means that nothing need wait.
            }
        }
    }

    /// Delivers what is queued and closes.
    pub async fn finish(self) {
        match self {
            Self::Lines(lines) => lines.finish().await,
            Self::Queue(..) => self.flush().await,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic leaves messages that are held or not.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl std::fmt::Debug for Inbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Lines(_) => "Inbox::Lines",
            Self::Queue(_) => "Inbox::Queue",
        })
    }
}
