//! From client to server: strict reading, the decision, the warrant.

use std::sync::Arc;
use std::time::Instant;

use serde_json::{Map, Value};

use super::admission::Leave;
use super::bridge::Step;
use super::call::{CallInfo, End, Recorder, new_id};
use super::clients::{ClientKey, Key};
use super::conversation::{Conversation, MAX_REQUEST, SessionError};
use super::outbound::why;
use super::request::Request;
use super::resolve::real_path;
use super::tasks;
use crate::audit::{AuditError, Event, Record, Status};
use crate::config::Action;
use crate::mcp::{Id, Message, RpcError, ToolCall, code, message};
use crate::policy::{Call, Decision, Subject, decide};
use crate::transport::Route;

impl Conversation {
    pub(super) async fn hear_client(
        &mut self,
        client: ClientKey,
        line: Vec<u8>,
    ) -> Result<(), SessionError> {
        if self.frozen.is_some() {
            return self.refuse_frozen(client, &line).await;
        }
        if let Err(error) = self.context.log.is_ready() {
            self.refuse_unrecorded(client, &line, &error).await;
            return Ok(());
        }
        let who = self.who(client);
        let key = |id: Id| Key { client, id };
        let message = match Message::parse(&line) {
            Ok(message) => message,
            Err(error) => {
                let code = match error {
                    message::MessageError::Json(_) => code::PARSE,
                    _ => code::INVALID_REQUEST,
                };
                let id = message::readable_id(&line);
                return self.refuse(client, code, id, &error.to_string()).await;
            }
        };
        if let Message::Request { id, .. } = &message
            && self.is_in_use(&key(id.clone()))
        {
            let why = format!("a request with id {id} has not been answered yet");
            // Answering under that id would look like the first request's answer.
            return self.refuse(client, code::INVALID_REQUEST, None, &why).await;
        }
        if self.refuse_denied(client, &message).await? {
            return Ok(());
        }
        let Step::On(message, line) = self.bridge(client, message, line).await? else {
            return Ok(());
        };
        match message {
            Message::Request { id, method, params } if method == "tools/call" => {
                self.call(key(id), params, line).await
            }
            Message::Request { id, method, params } if tasks::is_about_tasks(&method) => {
                self.ask_about_task(key(id), method, &params, line).await
            }
            Message::Request { id, method, params } => {
                self.ask_server(key(id), method, &params, line).await
            }
            Message::Notification { method, params } => {
                if method == "notifications/cancelled" && self.cancel(client, &params).await? {
                    return Ok(());
                }
                self.forward_notification(client, line).await;
                Ok(())
            }
            Message::Response { id, result } => {
                if self.answer_asked(client, id, &result, line).await? {
                    return Ok(());
                }
                refuse_quietly(self, &who, "a response that nobody asked for")
            }
        }
    }

    /// Answers a request that cannot be recorded. The server never sees it, and what is no request is
    /// dropped. The log counts it, once it can be written again.
    async fn refuse_unrecorded(&mut self, client: ClientKey, line: &[u8], why: &AuditError) {
        let Ok(Message::Request { id, .. }) = Message::parse(line) else { return };
        let message = format!("denied: {why}; it is tried again with the next request");
        let error = RpcError::new(code::AUDIT, message, "audit_unavailable");
        self.answer_error(&Key { client, id }, &error).await;
    }

    /// Decides about a call and sends it on its way, or back.
    async fn call(
        &mut self,
        key: Key,
        params: Map<String, Value>,
        line: Vec<u8>,
    ) -> Result<(), SessionError> {
        let arrived = Instant::now();
        let call = match ToolCall::from_params(params) {
            Ok(call) => call,
            Err(error) => {
                let (code, id) = (code::INVALID_REQUEST, Some(key.id));
                return self.refuse(key.client, code, id, &error.to_string()).await;
            }
        };
        let correlation = new_id();
        let server = self.context.server.clone();
        let who = self.who(key.client);
        let actor = who.actor();
        let arguments = &call.arguments;
        let decision = match server.schemas.of(&call.name) {
            Ok(schema) => {
                let schema = schema.as_deref();
                let (tool, resolve) = (call.name.as_str(), &real_path);
                decide(&server.policy, Call { actor, tool, arguments, resolve, schema })
            }
            Err(why) => Decision::denied("inputSchema", format!("the tool's schema: {why}")),
        };
        let decision = match server.pins.admit(&call.name, &self.seen) {
            Err(why) if decision.action == Action::Allow => Decision::denied("pinning", why),
            _ => decision,
        };
        let logged = server.sanitizer.arguments(&call.name, &call.arguments);
        let circumstances = self.circumstances(key.client, Some(&call.meta));
        let denied = |rule: &str, reason: &str| {
            circumstances.fill(Record {
                tool_name: Some(call.name.clone()),
                arguments: Some(logged.clone()),
                ..who.denied(&correlation, "tools/call", rule, reason)
            })
        };
        let observed = server.is_observed();
        if decision.action == Action::Deny && !observed {
            let record = denied(&decision.rule, &decision.reason);
            if decision.bad_arguments {
                return self.correct(&key, record, &decision.reason).await;
            }
            return self.deny(&key, correlation, record, &decision.reason).await;
        }
        let subject = Subject::Tool(&call.name);
        let leave = server.admit(actor, subject, decision, |decision| {
            server.rules.issue(decision, &call.name, &call.arguments)
        });
        let Leave { decision, warrant, counted } = match leave {
            Ok(leave) => leave,
            Err(refusal) => {
                let record = denied(refusal.rule(), refusal.reason());
                return self.turn_away(&key, correlation, record, refusal).await;
            }
        };
        if let (Action::Deny, true) = (decision.action, server.policy.alert_on_deny) {
            let (tool, reason) = (&call.name, &decision.reason);
            tracing::warn!(
                actor,
                tool,
                correlation_id = correlation,
                "not enforced: denied: {reason}"
            );
        }
        if call.task && self.gate.tasks() >= tasks::OPEN && !observed {
            server.let_go(actor, Subject::Tool(&call.name));
            let reason = format!("the session has {} open tasks; fetch their results", tasks::OPEN);
            let record = denied("tasks", &reason);
            return self.deny(&key, correlation, record, &reason).await;
        }
        let continues = call.state.as_deref().and_then(|state| self.rounds.continued(state));
        let info = CallInfo {
            counted: counted.then(|| server.clone()),
            continues: continues.map(str::to_owned),
            circumstances,
            ..CallInfo::new(correlation, &call, logged, &decision, warrant)
        };
        let request = Request::new(who, "tools/call".to_owned(), arrived, Some(info));
        self.dispatch(key, request, line).await
    }

    /// Takes a request that the client does not want any more out of flight, so that its warrant
    /// ends with it. What the server still answers is not in flight. True when the server has never
    /// seen the request.
    async fn cancel(
        &mut self,
        client: ClientKey,
        params: &Map<String, Value>,
    ) -> Result<bool, SessionError> {
        let Some(id) = params.get("requestId").and_then(Id::from_value) else { return Ok(false) };
        self.call_off(&Key { client, id }).await
    }

    /// The same for a request by its key.
    pub(super) async fn call_off(&mut self, key: &Key) -> Result<bool, SessionError> {
        if let Some(request) = self.unqueue(key) {
            request.let_go();
            let why = "cancelled by the client before it was forwarded";
            self.append(request.who.never_forwarded(&request, why))?;
            return Ok(true);
        }
        // A task is cancelled by its own name (MCP 2025-11-25, section Tasks, Cancellation).
        if self.gate.request(key).is_none_or(|request| request.task.is_some()) {
            return Ok(false);
        }
        self.settle(Some(key))?;
        self.drain();
        let Some(request) = self.gate.end(key) else { return Ok(false) };
        if !self.shares_link(key.client) {
            self.wire.owe(key);
        }
        request.let_go();
        if request.call.is_some() {
            let error = Some("cancelled by the client".to_owned());
            let effects = self.effects_of(&request);
            self.act(effects.verdict, &why(&effects)).await?;
            self.finish(&request, End { error, ..End::default() }, effects)?;
        }
        Ok(false)
    }

    /// Answers a text that is no acceptable message, after recording it.
    async fn refuse(
        &mut self,
        client: ClientKey,
        code: i64,
        id: Option<Id>,
        why: &str,
    ) -> Result<(), SessionError> {
        let correlation = new_id();
        self.append(Record {
            correlation_id: Some(correlation.clone()),
            status: Some(Status::Failure),
            error: Some(why.to_owned()),
            ..self.who(client).record(Event::ProtocolError)
        })?;
        let error = RpcError::new(code, why, "protocol_error").with_correlation(correlation);
        let line = error.to_line(id.as_ref());
        let route = id.map_or(Route::General, Route::Answer);
        self.send(client, line, route).await;
        Ok(())
    }

    pub(super) async fn refuse_long(&mut self, client: ClientKey) -> Result<(), SessionError> {
        let why = format!("a message may have at most {MAX_REQUEST} bytes");
        self.refuse(client, code::INVALID_REQUEST, None, &why).await
    }

    /// Whether the client has a request under this id.
    fn is_in_use(&self, key: &Key) -> bool {
        self.gate.in_flight(key) || self.is_waiting(key) || self.wire.owes(key)
    }
}

/// Records a message that is dropped and that nobody waits for an answer to.
fn refuse_quietly(of: &Conversation, who: &Arc<Recorder>, why: &str) -> Result<(), SessionError> {
    let record = Record {
        status: Some(Status::Failure),
        error: Some(why.to_owned()),
        ..who.record(Event::ProtocolError)
    };
    Ok(of.append(record)?)
}
