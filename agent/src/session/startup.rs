//! A server's start: everything until its first call is judged by a warrant of its own.

use super::conversation::{Conversation, SessionError};
use super::gate::Request;
use crate::audit::{AuditError, Event, Record};
use crate::config::OnStartup;
use crate::mcp::Id;
use crate::warrant::Verdict;

impl Conversation {
    /// Ends the session when its start did more than it may and policy wants that. A start of which
    /// events were lost may have, so it ends as well. Whether it ended it.
    pub(super) fn judge_start(&mut self) -> Result<bool, AuditError> {
        let why = match self.gate.startup_verdict() {
            Verdict::Within | Verdict::Unobserved => return Ok(false),
            Verdict::Exceeded => "the server's start did more than it may",
            Verdict::Incomplete => "kernel events of the server's start were lost",
        };
        if self.context.server.is_observed() {
            return Ok(false);
        }
        match self.context.server.policy.effects.startup.on_exceeded {
            OnStartup::Report => Ok(false),
            OnStartup::Terminate => {
                self.end_start(Some(format!("terminated: {why}")))?;
                self.terminated = true;
                Ok(true)
            }
        }
    }

    /// Answers the call that came when the start had ended the session. It does not reach the server.
    pub(super) async fn refuse_after_start(
        &mut self,
        id: &Id,
        request: &Request,
    ) -> Result<(), SessionError> {
        self.ended(request);
        let Some(call) = &request.call else { return Ok(()) };
        let reason = "the server's start did more than it may, which ended the session";
        let (correlation, rule) = (call.correlation_id.clone(), "effects.startup.on_exceeded");
        let record = Record {
            tool_name: Some(call.tool.clone()),
            arguments: Some(call.arguments.clone()),
            ..self.recorder.denied(&correlation, &request.method, rule, reason)
        };
        self.deny(Some(id), correlation, record, reason).await
    }

    /// Ends the server's start, once, and records what was seen of it.
    pub(super) fn record_startup(&mut self) -> Result<(), AuditError> {
        self.end_start(None)
    }

    fn end_start(&mut self, error: Option<String>) -> Result<(), AuditError> {
        match self.gate.started() {
            Some(seen) if self.watch.is_some() => self.record_effects(Event::Startup, &seen, error),
            _ => Ok(()),
        }
    }
}
