//! Taking stock: what has happened until now, and what follows from it for the session.

use super::clients::Key;
use super::conversation::{Conversation, SessionError};
use super::request::Request;
use crate::audit::{AuditError, Event};
use crate::config::OnVerdict;
use crate::kernel;
use crate::warrant::Verdict;

impl Conversation {
    /// Reads the kernel's events up to now, and judges those that are of no call. False when the session
    /// cannot go on.
    pub(super) async fn take_stock(&mut self) -> Result<bool, SessionError> {
        self.drain();
        if !self.judge_start().await? {
            self.judge_unsolicited().await?;
        }
        Ok(!self.is_over())
    }

    /// The same before a call begins, without asking the kernel: what is not known by now is counted for the call.
    pub(super) async fn take_stock_before_call(&mut self) -> Result<bool, SessionError> {
        // What the start did has to be known whole.
        if self.gate.is_starting() {
            return self.take_stock().await;
        }
        if let Some(seen) = self.watch.as_ref().map(kernel::Session::glance) {
            self.enter(seen);
        }
        self.judge_unsolicited().await?;
        Ok(!self.is_over())
    }

    /// Records what belongs to no call, and does what policy wants done. No response can be withheld for
    /// it.
    async fn judge_unsolicited(&mut self) -> Result<(), SessionError> {
        // What a frozen session did before it stood still changes nothing more.
        if self.frozen.is_some() {
            return Ok(self.record_unsolicited()?);
        }
        let Some(seen) = self.gate.take_unsolicited() else { return Ok(()) };
        if !seen.calls_for_action() {
            return Ok(self.record_effects(Event::Unsolicited, &seen, None)?);
        }
        let verdict = seen.verdict();
        let why = match verdict {
            Verdict::Incomplete => "kernel events were lost while no call was in flight",
            _ => "the server did something while no call was in flight",
        };
        self.act(verdict, why).await?;
        let error = self.outcome(why);
        Ok(self.record_effects(Event::Unsolicited, &seen, error)?)
    }

    /// Records what belongs to no call when it does not matter any more.
    pub(super) fn record_unsolicited(&mut self) -> Result<(), AuditError> {
        match self.gate.take_unsolicited() {
            Some(seen) => self.record_effects(Event::Unsolicited, &seen, None),
            None => Ok(()),
        }
    }

    /// Does to the session what policy wants done by verdict.
    pub(super) async fn act(&mut self, verdict: Verdict, why: &str) -> Result<(), SessionError> {
        match self.action(verdict) {
            OnVerdict::Report | OnVerdict::Withhold => {}
            OnVerdict::Terminate => self.terminate(why),
            OnVerdict::Freeze => self.freeze(why).await?,
        }
        Ok(())
    }

    /// Ends the session as soon as the loop comes round.
    pub(super) fn terminate(&mut self, why: &str) {
        if !self.terminated {
            tracing::warn!(server = self.context.server.id, "the session is terminated: {why}");
            self.terminated = true;
        }
    }

    /// What has been done to the session, for the record of what led to it.
    pub(super) fn outcome(&self, why: &str) -> Option<String> {
        if self.terminated {
            Some(format!("terminated: {why}"))
        } else {
            self.frozen.is_some().then(|| format!("frozen: {why}"))
        }
    }

    /// Whether nothing is carried, now or any more.
    pub(super) fn is_over(&self) -> bool {
        self.terminated || self.killed || self.frozen.is_some()
    }

    /// Answers the call whose turn came when the session was over. It does not reach the server.
    pub(super) async fn refuse_at_end(
        &mut self,
        key: &Key,
        request: &Request,
    ) -> Result<(), SessionError> {
        request.let_go();
        let Some(call) = &request.call else { return Ok(()) };
        let reason = "the server did more than it may, and the session does not go on";
        let record = request.who.denied_call(call, &request.method, "effects", reason);
        self.deny(key, call.correlation_id.clone(), record, reason).await
    }
}
