//! The end of a conversation, and of a client's part in it.

use std::sync::Arc;
use std::time::Duration;

use tokio::process::Child;
use tokio::time::Instant;

use super::call::End;
use super::clients::{Client, ClientKey, Key};
use super::conversation::{Conversation, SessionError};
use super::source::Source;
use super::terms::Terms;
use crate::audit::{Event, Record};
use crate::mcp::{RpcError, code};

/// How long a conversation that clients share goes on without any.
const UNUSED: Duration = Duration::from_secs(300);

impl Conversation {
    /// Lets a client take part.
    pub(super) fn welcome(&mut self, key: ClientKey, client: Client) -> Result<(), SessionError> {
        let mut client = client;
        client.who = Arc::new(client.who.under(&self.context.server));
        if client.recorded {
            let root = self.context.server.root.to_string_lossy().into_owned();
            let record = client.who.record(Event::SessionStart);
            self.append(Record { server_root: Some(root), ..record })?;
        }
        self.clients.insert(key, client);
        Ok(())
    }

    /// Ends what clients that have left were waiting for. Tasks go on.
    pub(super) async fn let_go(&mut self) -> Result<(), SessionError> {
        while let Some(client) = self.gone.pop() {
            let flying: Vec<Key> =
                self.gate.of_client(client).map(|(key, _)| key.clone()).collect();
            let waiting = self.waiting_of(client);
            for key in flying.into_iter().chain(waiting) {
                if !self.call_off(&key).await? {
                    self.tell_cancelled(&key, "the client has left").await;
                }
            }
            self.subscriptions.forget(client);
            self.give_up_asked(Some(client), "the client has left")?;
            if let Some(client) = self.clients.remove(&client)
                && client.recorded
            {
                self.append(client.who.record(Event::SessionEnd))?;
            }
            self.idle_since = Instant::now();
        }
        Ok(())
    }

    /// Whether a conversation that clients share has had none for long, and ends for those to come.
    pub(super) fn is_unused(&self, source: &Source) -> bool {
        self.shared
            && !self.context.server.is_kept()
            && self.clients.is_empty()
            && self.gate.is_idle()
            && self.gate.tasks() == 0
            && self.frozen.is_none()
            && (self.idle_since.elapsed() >= UNUSED || matches!(self.terms, Terms::Failed(_)))
            && source.retire()
    }

    /// Ends every process of the server and writes what is still to be written.
    pub(super) async fn close(
        mut self,
        child: Option<Child>,
        failure: Option<&SessionError>,
    ) -> Result<(), SessionError> {
        self.link = None;
        // Processes that somebody else runs go on.
        if let (Some(watch), Some(_)) = (&self.watch, &child) {
            watch.kill()?;
        }
        if let Some(mut child) = child {
            let _ = child.start_kill(); // It may have ended by itself.
            let _ = child.wait().await;
        }
        self.drain();
        self.record_startup()?;
        let waiting = self.unqueue_all().into_iter().map(|(key, request)| (key, request, false));
        let flying = self.gate.end_all().into_iter().map(|(key, request)| (key, request, true));
        for (key, request, forwarded) in flying.chain(waiting) {
            request.let_go();
            let Some(call) = &request.call else { continue };
            if request.task.is_some() {
                let error = Some("the session ended before the task".to_owned());
                let effects = self.effects_of(&request);
                self.finish(&request, End { error, ..End::default() }, effects)?;
                continue;
            }
            let message = "the server ended before it answered";
            let error = RpcError::new(code::SERVER_GONE, message, "server_gone")
                .with_correlation(call.correlation_id.clone());
            if forwarded {
                let effects = self.effects_of(&request);
                let end = End { error: Some(error.message.clone()), ..End::default() };
                self.finish(&request, end, effects)?;
            } else {
                self.append(request.who.never_forwarded(&request, &error.message))?;
            }
            self.answer_error(&key, &error).await;
        }
        self.give_up_asked(None, "the session ended before an answer")?;
        self.record_unsolicited()?;
        self.record_refused_names(true)?;
        self.write_records()?;
        let clients = std::mem::take(&mut self.clients);
        for client in clients.into_values() {
            if client.recorded {
                self.append(client.who.record(Event::SessionEnd))?;
            }
            client.out.finish().await;
        }
        let mut record = self.recorder.record(Event::SessionEnd);
        record.error = failure.map(ToString::to_string);
        self.append(record)?;
        Ok(self.write_records()?)
    }
}
