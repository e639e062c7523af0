//! Ids as the server sees them.
//!
//! Where one client has a connection to the server of its own, its messages travel as they are. Where
//! clients share one, two may use the same id: then each request gets an id of warrantd's, and its
//! answer the client's again. The same goes for progress tokens. No other byte changes.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use memchr::{memchr, memmem};
use serde_json::{Map, Value, json};

use super::clients::{ClientKey, Key};
use super::conversation::Conversation;
use super::request::Request;
use crate::mcp::{Id, Splice};

/// Where a request says its progress token.
const TOKEN: [&str; 3] = ["params", "_meta", "progressToken"];

/// Given-up requests whose late answers are told apart.
const OWED: usize = 1024;

/// The ids of requests on a shared connection.
#[derive(Debug, Default)]
pub(super) struct Wire {
    last: i64,
    keys: HashMap<i64, Key>,
    ids: HashMap<Key, i64>,
    /// Requests that were given up and that the server may still answer, where ids are the clients' own.
    owed: VecDeque<Key>,
}

impl Wire {
    /// A new id, which no request of a client has.
    pub(super) fn next(&mut self) -> i64 {
        self.last += 1;
        self.last
    }

    fn assign(&mut self, key: &Key) -> i64 {
        let id = self.next();
        self.keys.insert(id, key.clone());
        self.ids.insert(key.clone(), id);
        id
    }

    /// Notes that a request was given up before its answer.
    pub(super) fn owe(&mut self, key: &Key) {
        if self.owed.len() == OWED {
            self.owed.pop_front();
        }
        self.owed.push_back(key.clone());
    }

    /// Whether an answer to a request of before would be taken for that to a new one of this id.
    pub(super) fn owes(&self, key: &Key) -> bool {
        self.owed.contains(key)
    }

    /// Notes that the answer came after all.
    pub(super) fn paid(&mut self, key: &Key) {
        self.owed.retain(|owed| owed != key);
    }

    fn key(&self, id: &Value) -> Option<&Key> {
        self.keys.get(&id.as_i64()?)
    }

    fn release(&mut self, key: &Key) -> Option<i64> {
        let id = self.ids.remove(key)?;
        self.keys.remove(&id);
        Some(id)
    }
}

/// Whether a request may say a progress token: most say none, which is seen without reading them once more.
fn may_name_token(line: &[u8]) -> bool {
    // A key may be written with escapes.
    memmem::find(line, b"progressToken").is_some() || memchr(b'\\', line).is_some()
}

impl Conversation {
    /// Puts a request in flight; gives it as the server is to get it.
    pub(super) fn begin(&mut self, key: &Key, mut request: Request, line: &[u8]) -> Vec<u8> {
        let mut splice = Splice::new(line);
        request.modern = self.clients.get(&key.client).is_some_and(|client| client.modern);
        request.own_link = self.shared && !self.shares_link(key.client);
        request.line = (request.method == "initialize").then(|| line.to_vec());
        request.progress =
            may_name_token(line).then(|| splice.get(&TOKEN).map(str::to_owned)).flatten();
        let method = request.method.clone();
        self.gate.begin(key.clone(), request, Instant::now());
        if !self.shares_link(key.client) {
            return line.to_vec();
        }
        let uri =
            splice.get(&["params", "uri"]).and_then(|uri| serde_json::from_str::<String>(uri).ok());
        match (method.as_str(), uri.as_deref()) {
            ("resources/subscribe", Some(uri)) => self.subscriptions.add(key.client, uri),
            ("resources/unsubscribe", Some(uri)) => self.subscriptions.remove(key.client, uri),
            _ => {}
        }
        let id = self.wire.assign(key);
        splice.set_id(&["id"], &Id::Number(id));
        splice.set(&TOKEN, id.to_string());
        splice.finish()
    }

    /// Puts a request in flight and forwards it.
    pub(super) async fn forward_request(&mut self, key: Key, request: Request, line: Vec<u8>) {
        let text = self.begin(&key, request, &line);
        self.forward(key.client, text).await;
    }

    /// Sends the server what is from a client.
    pub(super) async fn forward(&self, client: ClientKey, text: Vec<u8>) {
        let own = self.clients.get(&client).and_then(|client| client.link.as_ref());
        if let Some(link) = own.or(self.link.as_ref()) {
            link.send(&self.context.server, text).await;
        }
    }

    /// Forwards a notification. On a shared connection only what is about a request has a meaning.
    pub(super) async fn forward_notification(&mut self, client: ClientKey, line: Vec<u8>) {
        if !self.shares_link(client) {
            return self.forward(client, line).await;
        }
        let mut splice = Splice::new(&line);
        let about = splice.get(&["params", "requestId"]);
        let id = about.and_then(|id| Id::from_value(&serde_json::from_str(id).ok()?));
        if let Some(wire) = id.and_then(|id| self.wire.release(&Key { client, id })) {
            splice.set(&["params", "requestId"], wire.to_string());
            let line = splice.finish();
            self.forward(client, line).await;
        }
    }

    /// Tells the server that nobody waits for a request any more. One that does not read its input
    /// cannot be told.
    pub(super) async fn tell_cancelled(&mut self, key: &Key, reason: &str) {
        let id = match self.wire.release(key) {
            Some(id) => Value::from(id),
            // The server has not seen it.
            None if self.shares_link(key.client) => return,
            None => key.id.to_value(),
        };
        let own = self.clients.get(&key.client).and_then(|client| client.link.as_ref());
        if let (Some(link), Some(id)) = (own.or(self.link.as_ref()), Id::from_value(&id)) {
            link.cancel(&id);
        }
        let cancel = json!({
            "jsonrpc": "2.0",
            "method": "notifications/cancelled",
            "params": { "requestId": id, "reason": reason },
        });
        self.answer_server(Some(key.client), cancel.to_string().into_bytes()).await;
    }

    /// Sends the server something of warrantd's own, if it reads.
    pub(super) async fn answer_server(&self, from: Option<ClientKey>, text: Vec<u8>) {
        let own = from.and_then(|client| self.clients.get(&client)?.link.as_ref());
        if let Some(link) = own.or(self.link.as_ref())
            && link.has_room()
        {
            link.send(&self.context.server, text).await;
        }
    }

    /// The request that the server's answer is meant for.
    pub(super) fn meant(&self, from: Option<ClientKey>, id: &Id) -> Option<Key> {
        if self.shared && from.is_none() {
            return self.wire.key(&id.to_value()).cloned();
        }
        let client = from.or_else(|| self.clients.keys().next().copied())?;
        Some(Key { client, id: id.clone() })
    }

    /// The server's answer to a request as its client is to get it.
    pub(super) fn restored(&mut self, key: &Key, line: Vec<u8>) -> Vec<u8> {
        if self.wire.release(key).is_none() {
            return line;
        }
        let mut splice = Splice::new(&line);
        splice.set_id(&["id"], &key.id);
        splice.finish()
    }

    /// The request in flight that a progress notification is about, and the notification as its client
    /// is to get it.
    pub(super) fn progress(
        &self,
        from: Option<ClientKey>,
        params: &Map<String, Value>,
        line: &[u8],
    ) -> Option<(Key, Vec<u8>)> {
        let token = params.get("progressToken")?;
        if self.shared && from.is_none() {
            let key = self.wire.key(token)?;
            let mut splice = Splice::new(line);
            splice.set(&["params", "progressToken"], self.gate.request(key)?.progress.clone()?);
            return Some((key.clone(), splice.finish()));
        }
        let client = from.or_else(|| self.clients.keys().next().copied())?;
        let is = |request: &Request| {
            let own = request.progress.as_ref().and_then(|own| serde_json::from_str(own).ok());
            own.is_some_and(|own: Value| own == *token)
        };
        let mut of_client = self.gate.of_client(client);
        let key = of_client.find(|(_, request)| is(request)).map(|(key, _)| key.clone());
        key.map(|key| (key, line.to_vec()))
    }

    /// Whether a client shares its connection to the server with others.
    pub(super) fn shares_link(&self, client: ClientKey) -> bool {
        self.shared && self.clients.get(&client).is_none_or(|client| client.link.is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_looked_for_where_there_may_be_one() {
        assert!(may_name_token(br#"{"params":{"_meta":{"progressToken":1}}}"#));
        assert!(may_name_token(br#"{"params":{"_meta":{"progress\u0054oken":1}}}"#));
        assert!(!may_name_token(br#"{"params":{"name":"read"}}"#));
    }

    #[test]
    fn ids_are_given_once_and_taken_back() {
        let mut wire = Wire::default();
        let (a, b) = (Key::of(1), Key { client: ClientKey(1), id: Id::Number(1) });
        let (x, y) = (wire.assign(&a), wire.assign(&b));
        assert_ne!(x, y);
        assert_eq!(wire.key(&json!(x)), Some(&a));
        assert_eq!(wire.key(&json!(y)), Some(&b));
        assert_eq!(wire.key(&json!("1")), None);
        assert_eq!(wire.release(&a), Some(x));
        assert_eq!(wire.key(&json!(x)), None);
        assert_eq!(wire.release(&a), None);
        wire.owe(&a);
        assert!(wire.owes(&a) && !wire.owes(&b));
        wire.paid(&a);
        assert!(!wire.owes(&a));
    }
}
