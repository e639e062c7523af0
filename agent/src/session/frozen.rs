//! Frozen sessions: the processes stand still for somebody to look at, until an operator lets them go
//! on or kills them.
//!
//! Nothing is carried meanwhile. Requests are refused; what the server had written is not read before
//! it goes on, and answers nothing that is in flight then. A client that leaves does not end it.

use tokio::sync::OwnedSemaphorePermit;

use super::call::{End, new_id};
use super::clients::{ClientKey, Key};
use super::conversation::{Conversation, SessionError};
use super::sessions::{Order, OrderError};
use super::status::FrozenStatus;
use crate::audit::{self, Event, Record, Status};
use crate::mcp::{Message, RpcError, code};

/// That a session is frozen.
#[derive(Debug)]
pub(super) struct Frozen {
    pub(super) status: FrozenStatus,
    _room: OwnedSemaphorePermit,
}

/// What the client is told.
const TOLD: &str = "the session is frozen for investigation";

impl Conversation {
    /// Freezes the session's processes. Where that cannot be done, they are killed.
    pub(super) async fn freeze(&mut self, why: &str) -> Result<(), SessionError> {
        if self.is_over() {
            return Ok(());
        }
        let server = self.context.server.id.clone();
        let room = self.context.sessions.room_for_frozen();
        let (Some(watch), Some(room)) = (&self.watch, room) else {
            tracing::warn!(server, "too many sessions are frozen; this one is terminated: {why}");
            self.terminated = true;
            return Ok(());
        };
        if let Err(error) = watch.freeze(true) {
            tracing::error!(server, "the session cannot be frozen and is terminated: {error}");
            self.terminated = true;
            return Ok(());
        }
        let id = &self.recorder.session_id;
        tracing::warn!(server, session = id, "frozen: {why}; see `warrantd status`");
        let status = FrozenStatus { since: audit::now(), why: why.to_owned() };
        self.frozen = Some(Frozen { status, _room: room });
        let record = self.recorder.record(Event::Frozen);
        self.append(Record { error: Some(why.to_owned()), ..record })?;
        self.end_everything().await
    }

    /// Ends all that is in flight: nobody knows when the server goes on.
    async fn end_everything(&mut self) -> Result<(), SessionError> {
        self.give_up_asked(None, "the session was frozen")?;
        self.drain();
        for (key, request) in self.gate.end_all() {
            request.let_go();
            let correlation = request.call.as_ref().map(|call| call.correlation_id.clone());
            let waits = request.task.is_none();
            if request.call.is_some() {
                let error = Some(format!("response withheld: {TOLD}"));
                let effects = self.effects_of(&request);
                self.finish(&request, End { error, ..End::default() }, effects)?;
            }
            if waits {
                self.tell_frozen(&key, correlation).await;
            }
        }
        for (key, request) in self.unqueue_all() {
            request.let_go();
            self.append(request.who.never_forwarded(&request, TOLD))?;
            let correlation = request.call.map(|call| call.correlation_id);
            self.tell_frozen(&key, correlation).await;
        }
        self.settle(None)?;
        Ok(())
    }

    async fn tell_frozen(&mut self, key: &Key, correlation: Option<String>) {
        let mut error = RpcError::new(code::FROZEN, TOLD, "session_frozen");
        error.correlation_id = correlation;
        // Orders must be heard even when the client does not read.
        if self.clients.get(&key.client).is_some_and(|client| client.out.has_room()) {
            self.answer_error(key, &error).await;
        }
    }

    /// Refuses what the client of a frozen session sends.
    pub(super) async fn refuse_frozen(
        &mut self,
        client: ClientKey,
        line: &[u8],
    ) -> Result<(), SessionError> {
        let Ok(Message::Request { id, method, params }) = Message::parse(line) else {
            return Ok(());
        };
        let correlation = new_id();
        let tool = params.get("name").and_then(serde_json::Value::as_str);
        self.append(Record {
            tool_name: tool.filter(|_| method == "tools/call").map(str::to_owned),
            ..self.who(client).denied(&correlation, &method, "effects.on_exceeded", TOLD)
        })?;
        self.tell_frozen(&Key { client, id }, Some(correlation)).await;
        Ok(())
    }

    /// Does what an operator orders, or answers.
    pub(super) fn obey(&mut self, order: Order) -> Result<(), SessionError> {
        match order {
            Order::Tell(answer) => {
                let _ = answer.send(self.status()); // Nobody may wait any more.
            }
            Order::Thaw(by, answer) => {
                let done = self.thaw(by)?;
                let _ = answer.send(done);
            }
            Order::Kill(by, answer) => {
                self.killed = true;
                self.record_order(Event::Killed, by)?;
                let killed = self.watch.as_ref().map_or(Ok(()), crate::kernel::Session::kill);
                let id = &self.recorder.session_id;
                let _ = answer.send(
                    killed.map_err(|error| OrderError::Kernel(id.clone(), error.to_string())),
                );
            }
        }
        Ok(())
    }

    fn thaw(&mut self, by: u32) -> Result<Result<(), OrderError>, SessionError> {
        let id = self.recorder.session_id.clone();
        let (Some(watch), true) = (&self.watch, self.frozen.is_some()) else {
            return Ok(Err(OrderError::NotFrozen(id)));
        };
        if let Some(what) = self.is_outdated() {
            let why =
                format!("`{what}` of its server was changed meanwhile; it can only be killed");
            return Ok(Err(OrderError::Kernel(id, why)));
        }
        // Recorded first: what the processes do then is not without its reason in the log.
        self.record_order(Event::Thawed, by)?;
        if let Err(error) = watch.freeze(false) {
            return Ok(Err(OrderError::Kernel(id, error.to_string())));
        }
        self.frozen = None;
        Ok(Ok(()))
    }

    fn record_order(&self, event: Event, by: u32) -> Result<(), SessionError> {
        let session = &self.recorder.session_id;
        tracing::warn!(server = self.context.server.id, session, ?event, by, "an operator's order");
        let record = self.recorder.record(event);
        let status = Some(Status::Success);
        self.append(Record { operator_uid: Some(by), status, ..record })?;
        Ok(self.write_records()?)
    }

    /// Whether a frozen session has no process left: somebody else has killed them.
    pub(super) fn is_empty_shell(&self) -> bool {
        self.frozen.is_some() && self.watch.as_ref().is_none_or(|watch| !watch.populated())
    }
}
