//! Who is at the other end of a Unix socket.
//!
//! The caller may send one line before its first message, the notification
//! `{"jsonrpc":"2.0","method":"warrantd/authenticate","params":{"api_key":"…"}}`. A key that is
//! sent must be right. Without a key, the user id of the peer counts, where the server's
//! configuration says so.

use std::time::Duration;

use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::Value;
use tokio::io::AsyncRead;
use tokio::time::timeout;
use zeroize::Zeroize;

use super::load::LoadedServer;
use crate::auth::{Identity, Method};
use crate::mcp::{Id, Message};
use crate::transport::{Line, LineReader};

/// The method of the line that carries the key.
pub const AUTHENTICATE: &str = "warrantd/authenticate";

/// How long a caller has for its first message.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the first lines told.
pub(super) enum Outcome {
    /// Who it is. Its first message is still to be read.
    Known(Identity),
    /// Nobody who may come in. The first request's id, if there was one, to answer.
    Unknown(Option<Id>),
}

/// Reads up to the caller's first message and says who it is.
pub(super) async fn authenticate<R: AsyncRead + Unpin>(
    server: &LoadedServer,
    uid: u32,
    reader: &mut LineReader<R>,
) -> Outcome {
    let Ok(Ok(Some(Line::Whole(mut first)))) = timeout(PATIENCE, reader.next()).await else {
        return Outcome::Unknown(None);
    };
    let mut identity = None;
    if let Some(key) = key_of(&first) {
        first.zeroize();
        let keys = server.keys.current();
        if let Some(actor) = keys.actor_of(&key, Timestamp::now()) {
            let actor = actor.to_owned();
            return Outcome::Known(Identity { actor, method: Method::ApiKey, uid: Some(uid) });
        }
        // The refusal answers the request that waits for an answer.
        match timeout(PATIENCE, reader.next()).await {
            Ok(Ok(Some(Line::Whole(line)))) => first = line,
            _ => return Outcome::Unknown(None),
        }
    } else if let Some(actor) = server.uids.get(&uid) {
        let actor = actor.clone();
        identity = Some(Identity { actor, method: Method::PeerUid, uid: Some(uid) });
    }
    match identity {
        Some(identity) => {
            reader.put_back(first);
            Outcome::Known(identity)
        }
        None => Outcome::Unknown(match Message::parse(&first) {
            Ok(Message::Request { id, .. }) => Some(id),
            _ => None,
        }),
    }
}

/// The key, if the line is the notification that carries it.
fn key_of(line: &[u8]) -> Option<SecretString> {
    match Message::parse(line) {
        Ok(Message::Notification { method, mut params }) if method == AUTHENTICATE => {
            match params.remove("api_key") {
                Some(Value::String(key)) => Some(key.into()),
                _ => Some(SecretString::default()),
            }
        }
        _ => None,
    }
}
