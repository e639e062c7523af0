//! The clients of a conversation: one, where a session has a server's process of its own, or many that
//! share it.

use std::sync::Arc;

use tokio::time::Instant;

use super::call::Recorder;
use super::conversation::Conversation;
use super::link::Link;
use crate::mcp::{Id, RpcError};
use crate::transport::{Notes, Outbox, Route};

/// Names a client within its conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ClientKey(pub(super) u64);

/// Names a request within its conversation. Two clients may use the same ids.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) client: ClientKey,
    pub(super) id: Id,
}

impl Key {
    /// The key of a request of the only client.
    #[cfg(test)]
    pub(super) fn of(id: i64) -> Self {
        Self { client: ClientKey(0), id: Id::Number(id) }
    }
}

/// One client while it is connected.
#[derive(Debug)]
pub(super) struct Client {
    /// Who it is, for records.
    pub(super) who: Arc<Recorder>,
    /// Its records of beginning and end are written: it is not one of many requests that stand alone.
    pub(super) recorded: bool,
    pub(super) out: Outbox,
    /// Its own connection to the server, where clients do not share one.
    pub(super) link: Option<Link>,
    /// When it closed its side.
    pub(super) left: Option<Instant>,
    /// Its last request was of the modern era.
    pub(super) modern: bool,
    /// What its transport said of its last message.
    pub(super) notes: Notes,
}

impl Conversation {
    /// Who a client is.
    pub(super) fn who(&self, client: ClientKey) -> Arc<Recorder> {
        self.clients.get(&client).map_or_else(|| self.recorder.clone(), |c| c.who.clone())
    }

    /// Sends a client a message. One of many clients that does not read what it is sent loses its
    /// connection, so that it holds up nobody else.
    #[allow(clippy::unused_async)] // As everything that answers, which may have to wait for something else.
    pub(super) async fn send(&mut self, client: ClientKey, text: Vec<u8>, route: Route) {
        let Some(to) = self.clients.get(&client) else { return };
        if self.shared && !to.out.has_room() {
            tracing::warn!(server = self.context.server.id, "a client does not read; it is let go");
            self.gone.push(client);
            return;
        }
        to.out.hold(text, route);
        if !self.told.contains(&client) {
            self.told.push(client);
        }
    }

    /// Lets a client go whose session the server has ended: it must begin anew.
    pub(super) fn lose(&mut self, client: ClientKey) {
        self.gone.push(client);
    }

    /// Answers a request.
    pub(super) async fn answer(&mut self, key: &Key, text: Vec<u8>) {
        self.send(key.client, text, Route::Answer(key.id.clone())).await;
    }

    /// Answers a request with an error of warrantd's own.
    pub(super) async fn answer_error(&mut self, key: &Key, error: &RpcError) {
        self.answer(key, error.to_line(Some(&key.id))).await;
    }

    /// Whether every client has closed its side, and none can join.
    pub(super) fn deserted(&self) -> bool {
        !self.shared && self.clients.values().all(|client| client.left.is_some())
    }

    /// When the client of a session that is not shared closed its side.
    pub(super) fn client_left(&self) -> Option<Instant> {
        if self.shared { None } else { self.clients.values().find_map(|client| client.left) }
    }
}
