//! A server's start: everything until its first call is judged by a warrant of its own.

use super::conversation::{Conversation, SessionError};
use crate::audit::{AuditError, Event};
use crate::config::OnStartup;
use crate::warrant::Verdict;

impl Conversation {
    /// Ends or freezes the session when its start did more than it may and policy wants that. A start of
    /// which events were lost may have, so it counts as well. Whether it did so.
    pub(super) async fn judge_start(&mut self) -> Result<bool, SessionError> {
        let why = match self.gate.startup_verdict() {
            Verdict::Within | Verdict::Unobserved => return Ok(false),
            Verdict::Exceeded => "the server's start did more than it may",
            Verdict::Incomplete => "kernel events of the server's start were lost",
        };
        if self.context.server.is_observed() {
            return Ok(false);
        }
        match self.context.server.policy.effects.startup.on_exceeded {
            OnStartup::Report => return Ok(false),
            OnStartup::Terminate => self.terminate(why),
            OnStartup::Freeze => self.freeze(why).await?,
        }
        self.end_start(self.outcome(why))?;
        Ok(true)
    }

    /// Ends the server's start, once, and records what was seen of it.
    pub(super) fn record_startup(&mut self) -> Result<(), AuditError> {
        self.end_start(None)
    }

    fn end_start(&mut self, error: Option<String>) -> Result<(), AuditError> {
        match self.gate.started() {
            Some(seen) if self.watch.is_some() => {
                self.record_effects(Event::Startup, &seen, error)?;
                self.write_records()
            }
            _ => Ok(()),
        }
    }
}
