//! What a client sends beside tool calls: the decision, and for what can act the warrant.

use std::time::Instant;

use serde_json::{Map, Value};

use super::admission::Leave;
use super::call::{CallInfo, Recorder, new_id};
use super::clients::{ClientKey, Key};
use super::conversation::{Conversation, SessionError};
use super::request::Request;
use super::resolve::real_path;
use crate::audit::Record;
use crate::config::Action;
use crate::mcp::Message;
use crate::mcp::methods::{Nature, Side, known};
use crate::policy::{Asked, Decision, Subject, decide_method};

impl Conversation {
    /// What policy says of something that one side sends to the other, beside tool calls.
    pub(super) fn judge_method(
        &self,
        who: &Recorder,
        from: Side,
        method: &str,
        params: &Map<String, Value>,
    ) -> Decision {
        let asked = Asked { actor: who.actor(), method, params, resolve: &real_path };
        decide_method(&self.context.server.policy, from, asked)
    }

    /// Refuses what policy denies of what a client sends, beside tool calls. Whether it did.
    pub(super) async fn refuse_denied(
        &mut self,
        client: ClientKey,
        message: &Message,
    ) -> Result<bool, SessionError> {
        let (id, method, params) = match message {
            Message::Request { method, .. } if method == "tools/call" => return Ok(false),
            Message::Request { id, method, params } => (Some(id), method, params),
            Message::Notification { method, params } => (None, method, params),
            Message::Response { .. } => return Ok(false),
        };
        let who = self.who(client);
        let Decision { action, rule, reason, .. } =
            self.judge_method(&who, Side::Client, method, params);
        if action == Action::Allow {
            return Ok(false);
        }
        let observed = self.context.server.is_observed();
        let Some(id) = id else {
            let record = who.not_enforced(&reason);
            self.append(if observed { record } else { who.refused(&rule, &reason) })?;
            return Ok(!observed);
        };
        if observed {
            if is_passive(method) {
                self.append(who.not_enforced(&reason))?;
            }
            return Ok(false);
        }
        let correlation = new_id();
        let record = Record {
            arguments: Some(self.shown(params)),
            ..who.denied(&correlation, method, &rule, &reason)
        };
        let record = self.circumstances(client, meta(params)).fill(record);
        self.deny(&Key { client, id: id.clone() }, correlation, record, &reason).await?;
        Ok(true)
    }

    /// Forwards a request that policy allows, or that a server which is only observed gets all the same:
    /// with a warrant and a record where it can act.
    pub(super) async fn ask_server(
        &mut self,
        key: Key,
        method: String,
        params: &Map<String, Value>,
        line: Vec<u8>,
    ) -> Result<(), SessionError> {
        let arrived = Instant::now();
        let who = self.who(key.client);
        if is_passive(&method) {
            if self.take_stock().await? {
                let request = Request::new(who, method, arrived, None);
                self.forward_request(key, request.of_page(params.get("cursor")), line).await;
            }
            return Ok(());
        }
        let server = self.context.server.clone();
        let correlation = new_id();
        let logged = self.shown(params);
        let circumstances = self.circumstances(key.client, meta(params));
        let denied = |rule: &str, reason: &str| {
            circumstances.fill(Record {
                arguments: Some(logged.clone()),
                ..who.denied(&correlation, &method, rule, reason)
            })
        };
        let decision = self.judge_method(&who, Side::Client, &method, params);
        let leave = server.admit(who.actor(), Subject::Method(&method), decision, |decision| {
            server.rules.issue_method(decision, &method, params)
        });
        let Leave { decision, warrant, counted } = match leave {
            Ok(leave) => leave,
            Err(refusal) => {
                let record = denied(refusal.rule(), refusal.reason());
                return self.turn_away(&key, correlation, record, refusal).await;
            }
        };
        let state = params.get("requestState").and_then(Value::as_str);
        let continues = state.and_then(|state| self.rounds.continued(state)).map(str::to_owned);
        let info = CallInfo {
            counted: counted.then(|| server.clone()),
            continues,
            circumstances,
            ..CallInfo::of_method(correlation, logged, &decision, warrant)
        };
        self.dispatch(key, Request::new(who, method, arrived, Some(info)), line).await
    }

    /// Whether policy lets a client hear a notification, of those that may hear it.
    pub(super) fn may_hear(&self, client: ClientKey, method: &str) -> bool {
        let decision = self.judge_method(&self.who(client), Side::Server, method, &Map::new());
        decision.action == Action::Allow || self.context.server.is_observed()
    }

    /// Parameters for the log: what is asked, without what the protocol adds.
    fn shown(&self, params: &Map<String, Value>) -> Value {
        const ADDED: [&str; 3] = ["_meta", "inputResponses", "requestState"];
        let shown = params.iter().filter(|(name, _)| !ADDED.contains(&name.as_str()));
        let shown: Map<_, _> = shown.map(|(name, value)| (name.clone(), value.clone())).collect();
        self.context.server.sanitizer.value(None, &Value::Object(shown))
    }
}

/// What comes beside what is asked.
fn meta(params: &Map<String, Value>) -> Option<&Map<String, Value>> {
    params.get("_meta").and_then(Value::as_object)
}

/// Whether a method cannot act, so that there is nothing to record of it.
fn is_passive(method: &str) -> bool {
    known(method).is_some_and(|known| matches!(known.nature, Nature::Core | Nature::Passive))
}
