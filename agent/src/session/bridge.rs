//! What is done to single messages where warrantd has come to terms with the server itself.

use serde_json::{Map, Value, json};

use super::clients::{ClientKey, Key};
use super::conversation::{Conversation, SessionError};
use super::request::Request;
use super::terms::{Held, SELF, Terms, modern_meta, revision};
use crate::mcp::era;
use crate::mcp::{Era, Id, Message, RpcError, Splice, code};
use crate::transport::Route;

/// Methods whose results say how long they may be kept (MCP 2026-07-28, section Caching).
const CACHEABLE: [&str; 5] =
    ["tools/list", "prompts/list", "resources/list", "resources/templates/list", "resources/read"];
/// What requests of the modern era say of themselves.
const ENVELOPE: [&str; 4] = ["protocolVersion", "clientInfo", "clientCapabilities", "logLevel"];
/// The error of a revision that is not spoken (MCP 2026-07-28, section Versioning).
const UNSUPPORTED_REVISION: i64 = -32022;

/// What becomes of a client's message.
pub(super) enum Step {
    /// It goes the usual way.
    On(Message, Vec<u8>),
    /// It has been seen to.
    Done,
}

impl Conversation {
    /// Sees to what a client says about terms, and changes what else it says to the server's era.
    pub(super) async fn bridge(
        &mut self,
        client: ClientKey,
        message: Message,
        line: Vec<u8>,
    ) -> Result<Step, SessionError> {
        if let Message::Request { id, method, params } = &message {
            let key = Key { client, id: id.clone() };
            let asked = revision(params);
            if let Some(client) = self.clients.get_mut(&client) {
                client.modern = asked.is_some() || method == "server/discover";
            }
            if let Some(asked) = asked.filter(|asked| !era::MODERN.contains(asked))
                && self.shared
            {
                self.refuse_revision(&key, asked).await;
                return Ok(Step::Done);
            }
            if asked.is_some() && self.must_ask(method) {
                let held = Held { key, line, refused: None };
                self.ask_for_era(Some(held)).await;
                return Ok(Step::Done);
            }
        }
        self.connect(client, &message);
        if !self.shares_link(client) && self.shared {
            return Ok(Step::On(message, line));
        }
        let server_era = match &self.terms {
            Terms::Known(era, _) => *era,
            Terms::Failed(_) => {
                if let Message::Request { id, .. } = message {
                    self.tell_failed(&Key { client, id }).await;
                }
                return Ok(Step::Done);
            }
            Terms::Theirs | Terms::Asked { .. } => return Ok(Step::On(message, line)),
        };
        match message {
            Message::Request { id, method, params } => {
                let key = Key { client, id };
                if let Some(result) = self.own_result(&method, &params) {
                    self.answer_result(&key, &result).await;
                    return Ok(Step::Done);
                }
                if method == "subscriptions/listen" && server_era == Era::Handshake {
                    self.listen(&key, &params, method).await?;
                    return Ok(Step::Done);
                }
                let line = match (revision(&params), server_era) {
                    (None, Era::Modern) => modernized(&line),
                    (Some(_), Era::Handshake) => plain(&line),
                    _ => line,
                };
                Ok(Step::On(Message::Request { id: key.id, method, params }, line))
            }
            Message::Notification { method, .. } if method == "notifications/initialized" => {
                Ok(Step::Done)
            }
            other => Ok(Step::On(other, line)),
        }
    }

    /// Gives a client of the server's own era a connection of its own, where there can be several.
    fn connect(&mut self, client: ClientKey, message: &Message) {
        let (Some(opener), Terms::Known(era, _)) = (&self.opener, &self.terms) else { return };
        let Some(to) = self.clients.get_mut(&client).filter(|to| to.link.is_none()) else { return };
        let fits = match (message, era) {
            (Message::Request { method, .. }, Era::Handshake) => method == "initialize",
            (Message::Request { .. }, Era::Modern) => to.modern,
            _ => false,
        };
        if fits {
            to.link = opener.open(&self.context.server, Some(client));
        }
    }

    /// Whether a request of the modern era is the first thing that shows which era the server is of.
    fn must_ask(&self, method: &str) -> bool {
        !self.shared
            && !self.answered
            && method != "server/discover"
            && matches!(self.terms, Terms::Theirs)
    }

    /// What warrantd answers itself, from what the server said of itself.
    fn own_result(&self, method: &str, params: &Map<String, Value>) -> Option<Value> {
        let Terms::Known(server_era, about) = &self.terms else { return None };
        match method {
            "initialize" => Some(about.initialized(params)),
            "server/discover" => Some(about.discovered()),
            "ping" => Some(json!({})),
            "logging/setLevel" if *server_era == Era::Modern => Some(json!({})),
            _ => None,
        }
    }

    async fn answer_result(&mut self, key: &Key, result: &Value) {
        let answer = json!({ "jsonrpc": "2.0", "id": key.id.to_value(), "result": result });
        self.answer(key, answer.to_string().into_bytes()).await;
    }

    async fn refuse_revision(&mut self, key: &Key, asked: &str) {
        let data = json!({ "supported": era::MODERN, "requested": asked });
        let error = json!({ "code": UNSUPPORTED_REVISION, "message": "Unsupported protocol version", "data": data });
        let answer = json!({ "jsonrpc": "2.0", "id": key.id.to_value(), "error": error });
        self.answer(key, answer.to_string().into_bytes()).await;
    }

    /// Keeps a `subscriptions/listen` request open for a server that only knows notifications.
    async fn listen(
        &mut self,
        key: &Key,
        params: &Map<String, Value>,
        method: String,
    ) -> Result<(), SessionError> {
        let wanted = params.get("notifications").cloned().unwrap_or_else(|| json!({}));
        let uris = wanted.get("resourceSubscriptions").and_then(Value::as_array);
        for uri in uris.into_iter().flatten().filter_map(Value::as_str) {
            self.subscriptions.add(key.client, uri);
            self.ask_for_news(uri).await;
        }
        let meta = json!({ "io.modelcontextprotocol/subscriptionId": key.id.to_value() });
        let told = json!({
            "jsonrpc": "2.0",
            "method": "notifications/subscriptions/acknowledged",
            "params": { "_meta": meta, "notifications": wanted },
        });
        let who = self.who(key.client);
        let request = Request::new(who, method, std::time::Instant::now(), None);
        self.gate.begin(
            key.clone(),
            Request { listens: Some(wanted), ..request },
            std::time::Instant::now(),
        );
        let route = Route::About(key.id.clone());
        self.send(key.client, told.to_string().into_bytes(), route).await;
        Ok(())
    }

    /// Asks a server of the handshake era for news of a resource. Its answer is of no interest.
    async fn ask_for_news(&mut self, uri: &str) {
        let id = Id::String(super::call::new_id());
        let method = "resources/subscribe";
        let line = json!({ "jsonrpc": "2.0", "id": id.to_value(), "method": method, "params": { "uri": uri } });
        let now = std::time::Instant::now();
        let request = Request::new(self.recorder.clone(), method.to_owned(), now, None);
        let key = Key { client: SELF, id };
        self.forward_request(key, request, line.to_string().into_bytes()).await;
    }

    /// A result as a client of its era expects it; an error where it cannot be carried over.
    pub(super) fn in_clients_era(
        &self,
        request: &Request,
        line: Vec<u8>,
        result: &Result<Value, Value>,
    ) -> Result<Vec<u8>, RpcError> {
        let (Terms::Known(era, _), Ok(result)) = (&self.terms, result) else { return Ok(line) };
        if request.own_link {
            return Ok(line);
        }
        match (request.modern, era) {
            (true, Era::Handshake) => {
                let mut new = vec![("resultType", "\"complete\"".to_owned())];
                if CACHEABLE.contains(&request.method.as_str()) {
                    new.push(("ttlMs", "0".to_owned()));
                    new.push(("cacheScope", "\"private\"".to_owned()));
                }
                let mut splice = Splice::new(&line);
                splice.insert(&["result"], &new);
                Ok(splice.finish())
            }
            (false, Era::Modern) if asks_for_input(result) => {
                let message = "the server asks for more input, in a way that revisions before 2026-07-28 \
                               do not have; connect with a client of that revision";
                Err(RpcError::new(code::WITHHELD, message, "input_required"))
            }
            _ => Ok(line),
        }
    }
}

fn asks_for_input(result: &Value) -> bool {
    result.get("resultType").and_then(Value::as_str) == Some("input_required")
}

/// A request of the modern era as a server of the handshake era takes it: without what says the revision.
fn plain(line: &[u8]) -> Vec<u8> {
    let mut splice = Splice::new(line);
    let own = |key: &str| {
        key.strip_prefix("io.modelcontextprotocol/").is_some_and(|key| ENVELOPE.contains(&key))
    };
    splice.remove(&["params", "_meta"], own);
    splice.finish()
}

/// A request of the handshake era as the modern one has it.
fn modernized(line: &[u8]) -> Vec<u8> {
    let meta = modern_meta();
    let mut splice = Splice::new(line);
    if splice.get(&["params", "_meta"]).is_some() {
        let members = meta.as_object().into_iter().flatten();
        let members: Vec<_> =
            members.map(|(key, value)| (key.as_str(), value.to_string())).collect();
        splice.insert(&["params", "_meta"], &members);
    } else if splice.get(&["params"]).is_some() {
        splice.insert(&["params"], &[("_meta", meta.to_string())]);
    } else {
        splice.insert(&[], &[("params", json!({ "_meta": meta }).to_string())]);
    }
    splice.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_gets_what_the_modern_era_asks_for() {
        for line in [
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"cursor":"a"}}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"a":1}}}"#,
        ] {
            let changed = modernized(line.as_bytes());
            let Ok(Message::Request { id: Id::Number(1), params, .. }) = Message::parse(&changed)
            else {
                panic!("{}", String::from_utf8_lossy(&changed));
            };
            assert_eq!(revision(&params), Some("2026-07-28"));
            let meta = params["_meta"].as_object().expect("map");
            assert!(meta.contains_key("io.modelcontextprotocol/clientCapabilities"));
            assert_eq!(meta.contains_key("a"), line.contains("_meta"));
            assert_eq!(params.contains_key("cursor"), line.contains("cursor"));
        }
    }
}
