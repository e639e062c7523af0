//! What a request takes with it on its way to the server, and the answers to what does not go.

use serde_json::json;

use super::clients::Key;
use super::conversation::{Conversation, SessionError};
use super::server::Server;
use crate::audit::Record;
use crate::config::Action;
use crate::mcp::{RpcError, code};
use crate::policy::{Decision, Subject, TooSoon};
use crate::warrant::{IssueError, Warrant};

/// What a request that goes on takes with it.
#[derive(Debug)]
pub(super) struct Leave {
    /// What policy said. Where it is only observed, a denial goes on too.
    pub(super) decision: Decision,
    /// What it may do; nothing, if it goes on without leave.
    pub(super) warrant: Warrant,
    /// Whether its limits count it until it ends.
    pub(super) counted: bool,
}

/// Why a request that policy let pass does not go on.
#[derive(Debug)]
pub(super) enum Refusal {
    /// No warrant can be issued for it.
    Warrant { rule: String, reason: String },
    /// It is over a limit.
    TooSoon(TooSoon),
}

impl Refusal {
    /// The key of the policy that it comes from.
    pub(super) fn rule(&self) -> &str {
        match self {
            Self::Warrant { rule, .. } | Self::TooSoon(TooSoon { rule, .. }) => rule,
        }
    }

    /// Why, in one line.
    pub(super) fn reason(&self) -> &str {
        match self {
            Self::Warrant { reason, .. } | Self::TooSoon(TooSoon { reason, .. }) => reason,
        }
    }
}

impl Server {
    /// Issues the warrant of a request and counts it. Where policy is only observed, what would be
    /// refused goes on with a decision that says so.
    pub(super) fn admit(
        &self,
        actor: &str,
        subject: Subject,
        decision: Decision,
        issue: impl FnOnce(&Decision) -> Result<Warrant, IssueError>,
    ) -> Result<Leave, Refusal> {
        let observed = self.is_observed();
        let mut leave = Leave { decision, warrant: Warrant::default(), counted: false };
        if leave.decision.action == Action::Allow {
            match issue(&leave.decision) {
                Ok(warrant) => leave.warrant = warrant,
                Err(error) => {
                    let rule = match subject {
                        Subject::Tool(tool) => format!("effects.tools.{tool}"),
                        Subject::Method(method) => format!("methods.{method}.effects"),
                    };
                    let reason = error.to_string();
                    if !observed {
                        return Err(Refusal::Warrant { rule, reason });
                    }
                    leave.decision = Decision::denied(rule, reason);
                }
            }
        }
        if leave.decision.action == Action::Allow {
            match self.let_through(actor, subject) {
                Ok(()) => leave.counted = true,
                Err(soon) if observed => {
                    leave.decision = Decision::denied(soon.rule, soon.reason);
                }
                Err(soon) => return Err(Refusal::TooSoon(soon)),
            }
        }
        if observed {
            leave.decision.timeout = None;
        }
        Ok(leave)
    }
}

impl Conversation {
    /// Answers a request that was refused, after recording it.
    pub(super) async fn turn_away(
        &mut self,
        key: &Key,
        correlation: String,
        record: Record,
        refusal: Refusal,
    ) -> Result<(), SessionError> {
        match refusal {
            Refusal::Warrant { reason, .. } => self.deny(key, correlation, record, &reason).await,
            Refusal::TooSoon(soon) => self.too_soon(key, correlation, record, soon).await,
        }
    }

    /// Answers a call that policy denies, after recording it.
    pub(super) async fn deny(
        &mut self,
        key: &Key,
        correlation: String,
        record: Record,
        reason: &str,
    ) -> Result<(), SessionError> {
        if self.context.server.policy.alert_on_deny {
            let tool = record.tool_name.as_deref().or(record.method.as_deref()).unwrap_or("");
            let actor = record.actor.as_deref().unwrap_or("");
            tracing::warn!(actor, tool, correlation_id = correlation, "denied: {reason}");
        }
        self.append(record)?;
        let error =
            RpcError::new(code::DENIED, format!("denied by policy: {reason}"), "policy_denied")
                .with_correlation(correlation);
        self.answer_error(key, &error).await;
        Ok(())
    }

    /// Answers a call whose arguments are not what the tool takes, after recording it: a tool
    /// execution error, which a model can correct (MCP 2025-11-25, section Tools, Error Handling).
    pub(super) async fn correct(
        &mut self,
        key: &Key,
        record: Record,
        why: &str,
    ) -> Result<(), SessionError> {
        let correlation = record.correlation_id.clone();
        self.append(record)?;
        let text = format!("The arguments are not what the tool takes: {why}");
        let answer = json!({
            "jsonrpc": "2.0",
            "id": key.id.to_value(),
            "result": {
                "content": [{ "type": "text", "text": text }],
                "isError": true,
                "_meta": { "warrantd/correlation_id": correlation },
            },
        });
        self.answer(key, answer.to_string().into_bytes()).await;
        Ok(())
    }

    /// Answers a call that came too soon, after recording it.
    pub(super) async fn too_soon(
        &mut self,
        key: &Key,
        correlation: String,
        record: Record,
        soon: TooSoon,
    ) -> Result<(), SessionError> {
        self.append(record)?;
        let message = format!("too many calls: {}", soon.reason);
        let mut error = RpcError::new(code::TOO_SOON, message, "rate_limited");
        error.retry_after = soon.retry_after;
        self.answer_error(key, &error.with_correlation(correlation)).await;
        Ok(())
    }
}
