//! One call at a time, where policy asks for it: every effect then belongs to one call.
//!
//! Calls are decided about when they arrive, and forwarded in that order. A task is a call until it
//! ends. Requests that cannot act have no warrant and do not wait.

use super::clients::{ClientKey, Key};
use super::conversation::{Conversation, SessionError};
use super::request::Request;
use crate::policy::TooSoon;

/// Calls of a session that may wait.
const WAITING: usize = 64;

/// A call that waits for the ones before it.
#[derive(Debug)]
pub(super) struct Waiting {
    key: Key,
    request: Request,
    line: Vec<u8>,
}

impl Conversation {
    /// Forwards a call that was decided about, now or when it is its turn.
    pub(super) async fn dispatch(
        &mut self,
        key: Key,
        request: Request,
        line: Vec<u8>,
    ) -> Result<(), SessionError> {
        let serial = self.context.server.policy.effects.serialize_calls;
        let waits = serial && (self.gate.has_calls() || !self.queue.is_empty());
        if waits && self.queue.len() < WAITING {
            self.queue.push_back(Waiting { key, request, line });
            return Ok(());
        }
        if waits && !self.context.server.is_observed() {
            request.let_go();
            let Some(call) = &request.call else { return Ok(()) };
            let (rule, reason) =
                ("effects.serialize_calls", format!("{WAITING} calls wait already"));
            let record = request.who.denied_call(call, &request.method, rule, &reason);
            let soon = TooSoon { rule: rule.to_owned(), reason, retry_after: None };
            return self.too_soon(&key, call.correlation_id.clone(), record, soon).await;
        }
        self.begin_call(key, request, line).await
    }

    /// Forwards the call that waits longest, once no call is in flight.
    pub(super) async fn next_in_line(&mut self) -> Result<(), SessionError> {
        while !self.is_over()
            && !self.gate.has_calls()
            && self.link.as_ref().is_none_or(super::link::Link::has_room)
        {
            let Some(Waiting { key, request, line }) = self.queue.pop_front() else { break };
            self.begin_call(key, request, line).await?;
        }
        Ok(())
    }

    async fn begin_call(
        &mut self,
        key: Key,
        request: Request,
        line: Vec<u8>,
    ) -> Result<(), SessionError> {
        // What happened until now is not this call's.
        if !self.take_stock_before_call().await? {
            return self.refuse_at_end(&key, &request).await;
        }
        self.record_startup()?;
        self.launch(key, request, line).await
    }

    /// Whether a call of this id waits.
    pub(super) fn is_waiting(&self, key: &Key) -> bool {
        self.queue.iter().any(|waiting| waiting.key == *key)
    }

    /// The calls of a client that wait.
    pub(super) fn waiting_of(&self, client: ClientKey) -> Vec<Key> {
        let keys = self.queue.iter().map(|waiting| &waiting.key);
        keys.filter(|key| key.client == client).cloned().collect()
    }

    /// Takes a call out of the queue.
    pub(super) fn unqueue(&mut self, key: &Key) -> Option<Request> {
        let index = self.queue.iter().position(|waiting| waiting.key == *key)?;
        self.queue.remove(index).map(|waiting| waiting.request)
    }

    /// Takes every call out of the queue, in order.
    pub(super) fn unqueue_all(&mut self) -> Vec<(Key, Request)> {
        std::mem::take(&mut self.queue).into_iter().map(|w| (w.key, w.request)).collect()
    }
}
