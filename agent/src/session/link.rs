//! The way to a server and back: its standard input and output.

use tokio::process::ChildStdout;

use super::clients::ClientKey;
use crate::transport::{Line, LineReader, LineWriter};

/// Carries messages to a server.
#[derive(Debug)]
pub(super) enum Link {
    /// Its standard input, a line a message.
    Lines(LineWriter),
}

impl Link {
    /// Sends a message, waiting for room.
    pub(super) async fn send(&self, text: Vec<u8>) {
        match self {
            Self::Lines(lines) => lines.send(text).await,
        }
    }

    /// Whether a message can be sent without waiting.
    pub(super) fn has_room(&self) -> bool {
        match self {
            Self::Lines(lines) => lines.has_room(),
        }
    }

    /// Waits until there is room.
    pub(super) async fn room(&self) {
        match self {
            Self::Lines(lines) => lines.room().await,
        }
    }
}

/// Where a server's messages come from.
#[derive(Debug)]
pub(super) enum FromServer {
    /// Its standard output.
    Lines(LineReader<ChildStdout>),
}

impl FromServer {
    /// The next message, and the client on whose connection it came, where each has its own; no message
    /// where one was too long. `None` when the server has ended. Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> Option<(Option<ClientKey>, Option<Vec<u8>>)> {
        match self {
            Self::Lines(lines) => match lines.next().await {
                Ok(Some(Line::Whole(line))) => Some((None, Some(line))),
                Ok(Some(Line::TooLong)) => Some((None, None)),
                Ok(None) | Err(_) => None,
            },
        }
    }
}
