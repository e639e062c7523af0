//! How a client and a server of different eras come to terms.
//!
//! A client that has a server's process of its own comes to terms with it itself, as long as both are of
//! one era. Otherwise, and where clients share a connection, warrantd comes to terms with the server, and
//! with each client: it answers `initialize` and `server/discover` from what the server said of itself,
//! and adds to single messages what the other era asks for.
//!
//! Sources: MCP 2025-11-25, section Lifecycle; MCP 2026-07-28, sections Discovery and Versioning.

use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use super::clients::{ClientKey, Key};
use super::conversation::{Conversation, SessionError};
use super::request::Request;
use crate::config::ProtocolChoice;
use crate::mcp::era::{self, META_VERSION};
use crate::mcp::{Era, Id, RpcError, code};

/// How long a server may take to say whether it is of the modern era. One of before may not answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// The client that warrantd itself is.
pub(super) const SELF: ClientKey = ClientKey(0);

/// What a server says of itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct About {
    pub(super) capabilities: Value,
    pub(super) info: Value,
    pub(super) instructions: Option<Value>,
    /// The revisions it speaks, or the one that was agreed on.
    pub(super) versions: Vec<String>,
}

/// Where coming to terms has got to.
#[derive(Debug, Default)]
pub(super) enum Terms {
    /// Client and server do it themselves.
    #[default]
    Theirs,
    /// warrantd has asked the server. Clients are not listened to until it has answered.
    Asked {
        /// The request.
        id: Id,
        /// Until when it may answer; then it counts as one of the handshake era.
        until: Option<Instant>,
        /// A client's message that waits, and what the server has answered to it, if it has.
        held: Option<Held>,
    },
    /// The server's era is known, and what it said of itself.
    Known(Era, About),
    /// It does not work.
    Failed(String),
}

/// A client's message that waits until the server's era is known.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) key: Key,
    pub(super) line: Vec<u8>,
    /// The server's own answer to it, to be given if there is no better one.
    pub(super) refused: Option<Vec<u8>>,
}

impl Terms {
    /// Whether clients have to wait.
    pub(super) fn are_open(&self) -> bool {
        matches!(self, Self::Asked { .. })
    }

    /// When the server is taken for one that does not answer.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Asked { until, .. } => *until,
            _ => None,
        }
    }
}

/// The revision that a request says it is of, if it says so.
pub(super) fn revision(params: &Map<String, Value>) -> Option<&str> {
    params.get("_meta")?.get(META_VERSION)?.as_str()
}

impl Conversation {
    /// Comes to terms with a server that clients share.
    pub(super) async fn come_to_terms(&mut self) {
        match self.context.server.protocol {
            ProtocolChoice::Handshake => self.shake_hands(None).await,
            ProtocolChoice::Auto | ProtocolChoice::Modern => self.ask_for_era(None).await,
        }
    }

    /// Asks the server whether it is of the modern era.
    pub(super) async fn ask_for_era(&mut self, held: Option<Held>) {
        let meta = modern_meta();
        let until = Instant::now().checked_add(PATIENCE);
        self.ask("server/discover", &json!({ "_meta": meta }), until, held).await;
    }

    /// Begins the handshake with a server of that era.
    async fn shake_hands(&mut self, held: Option<Held>) {
        let [newest, ..] = era::HANDSHAKE;
        let params = json!({
            "protocolVersion": newest,
            "capabilities": {},
            "clientInfo": own_info(),
        });
        self.ask("initialize", &params, None, held).await;
    }

    async fn ask(
        &mut self,
        method: &str,
        params: &Value,
        until: Option<Instant>,
        held: Option<Held>,
    ) {
        let id = Id::String(format!("warrantd/{}", super::call::new_id()));
        let line =
            json!({ "jsonrpc": "2.0", "id": id.to_value(), "method": method, "params": params });
        let key = Key { client: self.own_key(), id: id.clone() };
        let request = Request::new(self.recorder.clone(), method.to_owned(), Instant::now(), None);
        self.terms = Terms::Asked { id, until, held };
        self.forward_request(key, request, line.to_string().into_bytes()).await;
    }

    /// As whom warrantd asks the server: as the client whose connection it is, or as one more.
    fn own_key(&self) -> ClientKey {
        if self.shared { SELF } else { self.clients.keys().next().copied().unwrap_or(SELF) }
    }

    /// Whether an answer is to warrantd's own question.
    pub(super) fn is_own(&self, key: &Key) -> bool {
        matches!(&self.terms, Terms::Asked { id, .. } if *id == key.id)
    }

    /// Whether a server that refuses a handshake may be of the modern era.
    pub(super) fn may_be_modern(&self) -> bool {
        !self.shared && !self.answered && matches!(self.terms, Terms::Theirs)
    }

    /// Takes the server's answer to warrantd's own question; no answer in time is an error as well.
    pub(super) async fn take_terms(
        &mut self,
        method: &str,
        result: Result<Value, Value>,
    ) -> Result<(), SessionError> {
        let Terms::Asked { held, .. } = std::mem::take(&mut self.terms) else { return Ok(()) };
        self.answered = true;
        match (method, result) {
            ("server/discover", Ok(result)) if speaks_modern(&result) => {
                self.terms = self.known(Era::Modern, &result, held.as_ref());
            }
            ("server/discover", _) if held.as_ref().is_some_and(|held| held.refused.is_some()) => {
                // It refused the handshake as well: the client is told what the server said.
                self.terms = Terms::Theirs;
                if let Some(Held { key, refused: Some(answer), .. }) = held {
                    self.answer(&key, answer).await;
                }
                return Ok(());
            }
            ("server/discover", _) if self.context.server.protocol != ProtocolChoice::Modern => {
                self.shake_hands(held).await;
                return Ok(());
            }
            ("initialize", Ok(result)) => {
                let line = br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
                self.forward(self.own_key(), line.to_vec()).await;
                self.terms = self.known(Era::Handshake, &result, None);
            }
            (_, result) => {
                let error = result.err().unwrap_or_default();
                let why = error.get("message").and_then(Value::as_str);
                let why = why.unwrap_or("it knows none of those of warrantd");
                let why: String = why.chars().filter(|c| !c.is_control()).take(200).collect();
                tracing::error!(server = self.context.server.id, "no handshake: {why}");
                self.terms = Terms::Failed(why);
            }
        }
        match held {
            Some(held) => Box::pin(self.hear_client(held.key.client, held.line)).await,
            None => Ok(()),
        }
    }

    fn known(&self, era: Era, result: &Value, held: Option<&Held>) -> Terms {
        // Of one era, and not sharing: they understand each other.
        if era == Era::Modern && !self.shared && held.is_some_and(|held| held.refused.is_none()) {
            return Terms::Theirs;
        }
        Terms::Known(era, About::read(era, result))
    }

    /// A server that has not said in time whether it is of the modern era is not.
    pub(super) async fn give_up_asking(&mut self) -> Result<(), SessionError> {
        let Terms::Asked { id, until: Some(until), .. } = &self.terms else { return Ok(()) };
        if *until > Instant::now() {
            return Ok(());
        }
        let key = Key { client: self.own_key(), id: id.clone() };
        let _ = self.gate.end(&key);
        self.tell_cancelled(&key, "no answer").await;
        self.take_terms("server/discover", Err(Value::Null)).await
    }

    /// Answers a client for whom nothing works.
    pub(super) async fn tell_failed(&mut self, key: &Key) {
        let Terms::Failed(why) = &self.terms else { return };
        let message = format!("the server refuses every known revision of MCP: {why}");
        let error = RpcError::new(code::SERVER_GONE, message, "no_common_revision");
        self.answer_error(key, &error).await;
    }
}

impl About {
    fn read(era: Era, result: &Value) -> Self {
        let info = match era {
            Era::Handshake => result.get("serverInfo"),
            Era::Modern => {
                result.get("_meta").and_then(|meta| meta.get("io.modelcontextprotocol/serverInfo"))
            }
        };
        let versions = match era {
            Era::Handshake => result.get("protocolVersion").into_iter().collect::<Vec<_>>(),
            Era::Modern => {
                let all = result.get("supportedVersions").and_then(Value::as_array);
                all.into_iter().flatten().collect()
            }
        };
        let text = |version: &Value| version.as_str().map(str::to_owned);
        Self {
            capabilities: result.get("capabilities").cloned().unwrap_or_else(|| json!({})),
            info: info.cloned().unwrap_or_else(own_info),
            instructions: result.get("instructions").filter(|text| text.is_string()).cloned(),
            versions: versions.into_iter().filter_map(text).collect(),
        }
    }

    /// The answer to `initialize`. The client's own revision is agreed to where it is a known one.
    pub(super) fn initialized(&self, params: &Map<String, Value>) -> Value {
        let asked = params.get("protocolVersion").and_then(Value::as_str).unwrap_or_default();
        let [newest, ..] = era::HANDSHAKE;
        let version = if era::HANDSHAKE.contains(&asked) { asked } else { newest };
        let mut result = json!({
            "protocolVersion": version,
            "capabilities": self.capabilities_for(Era::Handshake),
            "serverInfo": self.info,
        });
        self.instruct(&mut result);
        result
    }

    /// The answer to `server/discover`.
    pub(super) fn discovered(&self) -> Value {
        let mut result = json!({
            "resultType": "complete",
            "supportedVersions": era::MODERN,
            "capabilities": self.capabilities_for(Era::Modern),
            "ttlMs": 0,
            "cacheScope": "private",
            "_meta": { "io.modelcontextprotocol/serverInfo": self.info },
        });
        self.instruct(&mut result);
        result
    }

    fn instruct(&self, result: &mut Value) {
        if let (Some(text), Some(result)) = (&self.instructions, result.as_object_mut()) {
            result.insert("instructions".to_owned(), text.clone());
        }
    }

    /// What the server can do for a client of an era: what needs more than single requests of that era is
    /// left out where warrantd cannot carry it over.
    fn capabilities_for(&self, era: Era) -> Value {
        let mut capabilities = self.capabilities.clone();
        if let Some(map) = capabilities.as_object_mut() {
            map.remove("tasks");
            if era == Era::Handshake {
                for kind in ["tools", "prompts", "resources"] {
                    if let Some(one) = map.get_mut(kind).and_then(Value::as_object_mut)
                        && self.versions.iter().any(|version| Era::of(version) == Some(Era::Modern))
                    {
                        one.remove("listChanged");
                        one.remove("subscribe");
                    }
                }
            } else {
                map.remove("logging");
            }
        }
        capabilities
    }
}

fn speaks_modern(discovered: &Value) -> bool {
    let versions = discovered.get("supportedVersions").and_then(Value::as_array);
    let known = |version: &Value| version.as_str().is_some_and(|v| era::MODERN.contains(&v));
    versions.is_some_and(|versions| versions.iter().any(known))
}

/// What every request to a server of the modern era says of its sender. Nothing is declared that a
/// server could ask for.
pub(super) fn modern_meta() -> Value {
    let [newest, ..] = era::MODERN;
    json!({
        META_VERSION: newest,
        "io.modelcontextprotocol/clientInfo": own_info(),
        "io.modelcontextprotocol/clientCapabilities": {},
    })
}

fn own_info() -> Value {
    json!({ "name": "warrantd", "version": env!("CARGO_PKG_VERSION") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_of_itself_is_told_in_either_era() {
        let result = json!({
            "protocolVersion": "2025-06-18",
            "capabilities": {"tools": {"listChanged": true}, "logging": {}, "tasks": {}},
            "serverInfo": {"name": "x", "version": "1"},
            "instructions": "read me",
        });
        let about = About::read(Era::Handshake, &result);
        let told = about.discovered();
        assert_eq!(told["capabilities"], json!({"tools": {"listChanged": true}}));
        assert_eq!(told["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "x");
        assert_eq!(told["instructions"], "read me");
        assert!(speaks_modern(&told) && !speaks_modern(&result));
        let asks = |version: &str| match json!({ "protocolVersion": version }) {
            Value::Object(map) => about.initialized(&map)["protocolVersion"].clone(),
            _ => Value::Null,
        };
        assert_eq!(asks("2024-11-05"), "2024-11-05");
        assert_eq!(asks("1999-01-01"), "2025-11-25");
        let modern = About::read(Era::Modern, &told);
        assert_eq!(modern.info["name"], "x");
        let told = modern.initialized(&Map::new());
        assert_eq!(told["capabilities"], json!({"tools": {}}), "news are not carried over");
    }
}
