//! What is known of a call, from the decision to its audit record.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::circumstances::Circumstances;
pub(super) use super::ids::new_id;
use super::request::Request;
use super::server::Server;
use crate::audit::{EffectsRecord, Event, Record, ResultMetadata, Status};
use crate::auth::Identity;
use crate::config::{Action, Mode};
use crate::mcp::ToolCall;
use crate::policy::Decision;
use crate::warrant::Warrant;

/// A call on its way.
#[derive(Debug)]
pub(super) struct CallInfo {
    /// Joins error, log and audit record.
    pub(super) correlation_id: String,
    /// The tool; empty for another request.
    pub(super) tool: String,
    /// Its arguments, sanitized.
    pub(super) arguments: Value,
    /// What policy decided. Only an observed server gets a call that was denied.
    pub(super) action: Action,
    /// The rule that decided.
    pub(super) rule: String,
    /// Why policy denied it.
    pub(super) denied: Option<String>,
    /// Whose limits count it, as they were when it came.
    pub(super) counted: Option<Arc<Server>>,
    /// What it may do.
    pub(super) warrant: Warrant,
    /// How long it may take.
    pub(super) timeout: Option<Duration>,
    /// The client asked for a task (MCP 2025-11-25, section Tasks).
    pub(super) task: bool,
    /// The call that asked for the input which this one brings, by its correlation id.
    pub(super) continues: Option<String>,
    /// How it came.
    pub(super) circumstances: Circumstances,
}

impl CallInfo {
    /// A call that was decided about by `decision`, with `warrant`; `arguments` are those for the log.
    pub(super) fn new(
        id: String,
        call: &ToolCall,
        arguments: Value,
        decision: &Decision,
        warrant: Warrant,
    ) -> Self {
        Self {
            correlation_id: id,
            tool: call.name.clone(),
            arguments,
            action: decision.action,
            rule: decision.rule.clone(),
            denied: (decision.action == Action::Deny).then(|| decision.reason.clone()),
            counted: None,
            warrant,
            timeout: decision.timeout,
            task: call.task,
            continues: None,
            circumstances: Circumstances::default(),
        }
    }

    /// Another request that can act.
    pub(super) fn of_method(
        id: String,
        arguments: Value,
        decision: &Decision,
        warrant: Warrant,
    ) -> Self {
        Self {
            correlation_id: id,
            tool: String::new(),
            arguments,
            action: decision.action,
            rule: decision.rule.clone(),
            denied: (decision.action == Action::Deny).then(|| decision.reason.clone()),
            counted: None,
            warrant,
            timeout: decision.timeout,
            task: false,
            continues: None,
            circumstances: Circumstances::default(),
        }
    }

    /// The tool, if it is one that is called.
    pub(super) fn tool_name(&self) -> Option<String> {
        (!self.tool.is_empty()).then(|| self.tool.clone())
    }

    /// A call that may read one file.
    #[cfg(test)]
    pub(super) fn reading(path: &str) -> Self {
        let paths = vec![crate::policy::ApprovedPath {
            argument: "path".into(),
            lexical: path.into(),
            real: path.into(),
        }];
        let decision = Decision {
            action: Action::Allow,
            rule: "test".into(),
            reason: String::new(),
            paths,
            queries: Vec::new(),
            urls: Vec::new(),
            timeout: None,
            bad_arguments: false,
        };
        let rules = crate::warrant::Rules::compile(&crate::config::EffectsSection::default(), "/")
            .expect("no rules");
        let call = ToolCall {
            name: "read".into(),
            arguments: serde_json::Map::new(),
            meta: serde_json::Map::new(),
            task: false,
            state: None,
        };
        let warrant = rules.issue(&decision, "read", &call.arguments).expect("issued");
        Self::new("id".into(), &call, Value::Null, &decision, warrant)
    }
}

/// Fills in what every record of a session has.
#[derive(Debug, Clone)]
pub(super) struct Recorder {
    pub(super) session_id: String,
    pub(super) server_id: String,
    pub(super) principal: String,
    /// The user id of that.
    pub(super) uid: Option<u32>,
    pub(super) mode: Mode,
    /// The caller, once authenticated.
    pub(super) identity: Option<Identity>,
    /// The configuration that it goes by.
    pub(super) generation: u32,
}

impl Recorder {
    pub(super) fn new(server: &Server, identity: Option<Identity>) -> Self {
        Self {
            session_id: new_id(),
            server_id: server.id.clone(),
            principal: server.principal.clone(),
            uid: server.uid(),
            mode: server.policy.mode,
            identity,
            generation: server.generation,
        }
    }

    /// One of nobody.
    #[cfg(test)]
    pub(super) fn of_test() -> Self {
        Self {
            session_id: "s".to_owned(),
            server_id: "test".to_owned(),
            principal: "nobody".to_owned(),
            uid: None,
            mode: Mode::Enforce,
            identity: None,
            generation: 1,
        }
    }

    /// The same under another configuration of the server.
    pub(super) fn under(&self, server: &Server) -> Self {
        let (mode, generation) = (server.policy.mode, server.generation);
        Self { mode, generation, ..self.clone() }
    }

    /// The actor; empty where there is none.
    pub(super) fn actor(&self) -> &str {
        self.identity.as_ref().map_or("", |identity| &identity.actor)
    }

    /// A record of something that happened in the session.
    pub(super) fn record(&self, event: Event) -> Record {
        Record {
            session_id: Some(self.session_id.clone()),
            server_id: Some(self.server_id.clone()),
            actor: self.identity.as_ref().map(|i| i.actor.clone()),
            auth_method: self.identity.as_ref().map(|i| i.method),
            effective_principal: Some(self.principal.clone()).filter(|name| !name.is_empty()),
            effective_uid: self.uid,
            policy_generation: Some(self.generation),
            mode: Some(self.mode),
            ..Record::new(event)
        }
    }

    /// The record of a request that was not forwarded.
    pub(super) fn denied(&self, id: &str, method: &str, rule: &str, reason: &str) -> Record {
        Record {
            correlation_id: Some(id.to_owned()),
            method: Some(method.to_owned()),
            policy_decision: Some(Action::Deny),
            policy_rule_matched: Some(rule.to_owned()),
            status: Some(Status::Failure),
            error: Some(format!("denied: {reason}")),
            ..self.record(Event::Call)
        }
    }

    /// The record of a call that policy allowed, and that was not forwarded for another reason.
    pub(super) fn denied_call(
        &self,
        call: &CallInfo,
        method: &str,
        rule: &str,
        reason: &str,
    ) -> Record {
        call.circumstances.fill(Record {
            tool_name: call.tool_name(),
            arguments: Some(call.arguments.clone()),
            continues: call.continues.clone(),
            ..self.denied(&call.correlation_id, method, rule, reason)
        })
    }

    /// The record of a call that was allowed and ended before the server saw it.
    pub(super) fn never_forwarded(&self, request: &Request, why: &str) -> Record {
        let effects = EffectsRecord::unobserved(request.attribution());
        let end = End { error: Some(why.to_owned()), ..End::default() };
        Record { effects: None, ..self.ended(request, end, effects) }
    }

    /// The record of a message that policy denies and that nobody waits for an answer to.
    pub(super) fn refused(&self, rule: &str, reason: &str) -> Record {
        Record {
            policy_decision: Some(Action::Deny),
            policy_rule_matched: Some(rule.to_owned()),
            status: Some(Status::Failure),
            error: Some(format!("denied: {reason}")),
            ..self.record(Event::ProtocolError)
        }
    }

    /// The record of a message that was carried although policy does not cover it.
    pub(super) fn not_enforced(&self, why: &str) -> Record {
        Record {
            policy_decision: Some(Action::Deny),
            policy_rule_matched: Some("methods".to_owned()),
            error: Some(format!("not enforced: denied: {why}")),
            ..self.record(Event::ProtocolError)
        }
    }

    /// The record of a request that was forwarded.
    pub(super) fn ended(&self, request: &Request, end: End, effects: EffectsRecord) -> Record {
        let event = match (&request.call, &request.task) {
            (Some(_), None) => Event::Call,
            (Some(_), Some(_)) => Event::Task,
            (None, _) => Event::Unsolicited,
        };
        let mut record = self.record(event);
        if let Some(call) = &request.call {
            record = call.circumstances.fill(record);
            record.correlation_id = Some(call.correlation_id.clone());
            record.tool_name = call.tool_name();
            record.arguments = Some(call.arguments.clone());
            record.policy_decision = Some(call.action);
            record.policy_rule_matched = Some(call.rule.clone());
            record.warrant = Some(call.warrant.clone());
            record.continues.clone_from(&call.continues);
        }
        record.method = Some(request.method.clone());
        record.duration_ms = Some(millis(request.arrived));
        record.status = Some(match (&end.error, end.timed_out) {
            (_, true) => Status::Timeout,
            (None, _) => Status::Success,
            (Some(_), _) => Status::Failure,
        });
        let denied = request.call.as_ref().and_then(|call| call.denied.as_deref());
        record.error = match (denied.map(|why| format!("not enforced: denied: {why}")), end.error) {
            (Some(denied), Some(error)) => Some(format!("{denied}; {error}")),
            (denied, error) => denied.or(error),
        };
        record.result_metadata = end.result;
        // Who turns into another user is of more interest than who does not.
        let seen = effects.exceeded.iter().chain(&effects.warranted).map(|e| e.process.uid);
        record.effective_uid =
            seen.reduce(|a, b| if Some(a) == self.uid { b } else { a }).or(self.uid);
        record.effects = Some(effects);
        record
    }
}

/// How a forwarded request ended.
#[derive(Debug, Default)]
pub(super) struct End {
    /// What failed, in one line.
    pub(super) error: Option<String>,
    /// Size and kind of the server's answer.
    pub(super) result: Option<ResultMetadata>,
    /// The server took too long.
    pub(super) timed_out: bool,
}

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// Size and kind of a response of `bytes` bytes.
pub(super) fn result_metadata(bytes: usize, result: &Result<Value, Value>) -> ResultMetadata {
    let (content, is_error) = match result {
        Ok(result) => (result.get("content"), result.get("isError") == Some(&Value::Bool(true))),
        Err(_) => (None, true),
    };
    let rows = result.as_ref().ok().and_then(|result| result.pointer("/structuredContent/rows"));
    ResultMetadata {
        bytes,
        content_items: content.and_then(Value::as_array).map(Vec::len),
        rows: rows.and_then(Value::as_array).map(Vec::len),
        is_error,
    }
}
