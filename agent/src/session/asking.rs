//! What a server asks its client: for its model, its user, its roots.
//!
//! Policy decides, and the record is written before the client's answer reaches the server. Requests are
//! carried where client and server came to terms themselves; where warrantd did, it declared nothing that
//! a server could ask for.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Map, Value, json};

use super::call::{new_id, result_metadata};
use super::clients::{ClientKey, Key};
use super::conversation::{Conversation, SessionError};
use super::request::Request;
use super::resolve::real_path;
use super::server::Server;
use super::terms::Terms;
use crate::audit::{AuditError, Event, Record, Status};
use crate::config::Action;
use crate::mcp::methods::Side;
use crate::mcp::{Id, RpcError, code};
use crate::policy::{Decision, Subject, decide_answer, inquiries, request_summary};

/// Requests of a server that may be open.
const OPEN: usize = 64;

/// A server's request that its client has yet to answer.
#[derive(Debug)]
pub(super) struct Asking {
    method: String,
    arrived: Instant,
    /// Whose limits count it, as they were when it came.
    counted: Arc<Server>,
    /// All that is known of it.
    record: Record,
}

/// The requests of a server that are open, by the id that the server gave them.
pub(super) type Open = HashMap<Key, Asking>;

impl Conversation {
    /// Carries a server's request to its client if policy lets it, and refuses it otherwise.
    pub(super) async fn ask_client(
        &mut self,
        from: Option<ClientKey>,
        id: Id,
        method: String,
        params: &Map<String, Value>,
        line: Vec<u8>,
    ) -> Result<(), SessionError> {
        // A client is not listened to before its handshake is over.
        let theirs = from.is_some() || matches!(self.terms, Terms::Theirs);
        let own = !theirs || self.gate.awaits_initialize();
        if method == "ping" && own {
            let pong = json!({ "jsonrpc": "2.0", "id": id.to_value(), "result": {} });
            self.answer_server(from, pong.to_string().into_bytes()).await;
            return Ok(());
        }
        let client = from.or_else(|| self.clients.keys().next().copied().filter(|_| theirs));
        let who = client.map_or_else(|| self.recorder.clone(), |client| self.who(client));
        let mut decision = match client {
            Some(_) => self.judge_method(&who, Side::Server, &method, params),
            None => Decision::denied("methods", "clients that share a server cannot be asked"),
        };
        let target = match (decision.action, client) {
            (Action::Allow, Some(client)) => match self.obstacle(client, &id) {
                None => Some(client),
                Some((rule, why)) => {
                    decision = Decision::denied(rule, why);
                    None
                }
            },
            (Action::Allow, None) => {
                decision = Decision::denied("methods", "there is no client to ask");
                None
            }
            (Action::Deny, _) => None,
        };
        if target.is_some() && method != "ping" {
            let counted = self.context.server.let_through(who.actor(), Subject::Method(&method));
            if let Err(soon) = counted {
                decision = Decision::denied(soon.rule, soon.reason);
            }
        }
        let summary = Value::Object(request_summary(&method, params));
        let record = Record {
            correlation_id: Some(new_id()),
            method: Some(method.clone()),
            arguments: Some(self.context.server.sanitizer.value(None, &summary)),
            policy_decision: Some(decision.action),
            policy_rule_matched: Some(decision.rule.clone()),
            during: Some(self.calls_in_flight()),
            ..who.record(Event::ServerRequest)
        };
        match target.filter(|_| decision.action == Action::Allow) {
            Some(client) => {
                let counted = self.context.server.clone();
                let asking = Asking { method, arrived: Instant::now(), counted, record };
                self.asking.insert(Key { client, id }, asking);
                let route = self.route(client);
                self.send(client, line, route).await;
                Ok(())
            }
            None => self.refuse_server(from, &id, record, &decision.reason).await,
        }
    }

    /// Why a request that policy allows cannot be carried.
    fn obstacle(&self, client: ClientKey, id: &Id) -> Option<(&'static str, &'static str)> {
        let modern = self.clients.get(&client).is_some_and(|client| client.modern);
        // It may carry what a call in flight must not have read.
        let tainted = self.holds_back(self.gate.worst_in_flight());
        if modern {
            Some(("methods", "servers have no way to ask this client"))
        } else if tainted {
            Some(("effects.on_exceeded", "a call in flight did more than its warrant allows"))
        } else if self.asking.len() >= OPEN {
            Some(("methods", "the server has asked too much that is not answered yet"))
        } else if self.asking.contains_key(&Key { client, id: id.clone() }) {
            Some(("methods", "the server has asked under this id already"))
        } else {
            None
        }
    }

    /// Answers a server's request that is not carried. A server that asks faster than it reads gets no
    /// answer.
    async fn refuse_server(
        &mut self,
        from: Option<ClientKey>,
        id: &Id,
        record: Record,
        reason: &str,
    ) -> Result<(), SessionError> {
        let method = record.method.as_deref().unwrap_or_default();
        tracing::warn!(
            server = self.context.server.id,
            method,
            "a server's request: denied: {reason}"
        );
        self.append(Record {
            status: Some(Status::Failure),
            error: Some(format!("denied: {reason}")),
            ..record.clone()
        })?;
        let message = format!("denied by policy: {reason}");
        let mut error = RpcError::new(code::DENIED, message, "policy_denied");
        error.correlation_id = record.correlation_id;
        self.answer_server(from, error.to_line(Some(id))).await;
        Ok(())
    }

    /// Carries a client's answer to the server that asked for it. Whether one did.
    pub(super) async fn answer_asked(
        &mut self,
        client: ClientKey,
        id: Option<Id>,
        result: &Result<Value, Value>,
        line: Vec<u8>,
    ) -> Result<bool, SessionError> {
        let Some(id) = id else { return Ok(false) };
        let Some(asking) = self.asking.remove(&Key { client, id }) else { return Ok(false) };
        let error = result.is_err().then_some("the client answered with an error");
        let metadata = result_metadata(line.len(), result);
        self.asked(asking, error, |record| Record { result_metadata: Some(metadata), ..record })?;
        self.forward(client, line).await;
        Ok(true)
    }

    /// Ends a request that its server does not want answered any more.
    pub(super) fn unask(
        &mut self,
        from: Option<ClientKey>,
        params: &Map<String, Value>,
    ) -> Result<(), AuditError> {
        let id = params.get("requestId").and_then(Id::from_value);
        let client = from.or_else(|| self.clients.keys().next().copied());
        let Some((client, id)) = client.zip(id) else { return Ok(()) };
        match self.asking.remove(&Key { client, id }) {
            Some(asking) => self.asked(asking, Some("cancelled by the server"), |record| record),
            None => Ok(()),
        }
    }

    /// Ends all requests to a client, or to any, that nobody will answer.
    pub(super) fn give_up_asked(
        &mut self,
        client: Option<ClientKey>,
        why: &str,
    ) -> Result<(), AuditError> {
        let of = |key: &Key| client.is_none_or(|client| key.client == client);
        let keys: Vec<Key> = self.asking.keys().filter(|key| of(key)).cloned().collect();
        for key in keys {
            if let Some(asking) = self.asking.remove(&key) {
                self.asked(asking, Some(why), |record| record)?;
            }
        }
        Ok(())
    }

    /// Records a request that was carried.
    fn asked(
        &self,
        asking: Asking,
        error: Option<&str>,
        more: impl FnOnce(Record) -> Record,
    ) -> Result<(), AuditError> {
        let Asking { method, arrived, counted, record } = asking;
        // A ping asks for nothing.
        if method == "ping" {
            return Ok(());
        }
        let actor = record.actor.as_deref().unwrap_or_default();
        counted.let_go(actor, Subject::Method(&method));
        let duration = u64::try_from(arrived.elapsed().as_millis()).unwrap_or(u64::MAX);
        let status = if error.is_some() { Status::Failure } else { Status::Success };
        self.append(more(Record {
            status: Some(status),
            error: error.map(str::to_owned),
            duration_ms: Some(duration),
            ..record
        }))
    }

    /// Judges what an answer asks for, and records it: the error that takes its place where policy denies
    /// that.
    pub(super) fn judge_inquiries(
        &self,
        request: &Request,
        answer: &Result<Value, Value>,
    ) -> Result<Option<RpcError>, AuditError> {
        let server = &self.context.server;
        let actor = request.who.actor();
        let Some(decision) = decide_answer(&server.policy, actor, answer, &real_path) else {
            return Ok(None);
        };
        let denied = decision.action == Action::Deny;
        let correlation = request.call.as_ref().map(|call| call.correlation_id.clone());
        let asked = inquiries(answer).unwrap_or_default();
        let summary = asked.iter().map(|inquiry| {
            json!({ "method": inquiry.method, "params": request_summary(inquiry.method, &inquiry.params) })
        });
        let summary = Value::Array(summary.collect());
        let observed = server.is_observed();
        let not_enforced = if observed { "not enforced: " } else { "" };
        self.append(Record {
            correlation_id: correlation.clone(),
            method: Some(request.method.clone()),
            tool_name: request.call.as_ref().and_then(super::call::CallInfo::tool_name),
            arguments: Some(json!({ "asks": server.sanitizer.value(None, &summary) })),
            policy_decision: Some(decision.action),
            policy_rule_matched: Some(decision.rule),
            status: Some(if denied { Status::Failure } else { Status::Success }),
            error: denied.then(|| format!("{not_enforced}denied: {}", decision.reason)),
            during: Some(correlation.iter().cloned().collect()),
            ..request.who.record(Event::ServerRequest)
        })?;
        if !denied || observed {
            return Ok(None);
        }
        let message = format!(
            "response withheld: the server asks for what policy denies: {}",
            decision.reason
        );
        let mut error = RpcError::new(code::WITHHELD, message, "input_denied");
        error.correlation_id = correlation;
        Ok(Some(error))
    }

    fn calls_in_flight(&self) -> Vec<String> {
        let calls = self.gate.requests().filter_map(|request| request.call.as_ref());
        calls.map(|call| call.correlation_id.clone()).collect()
    }
}
