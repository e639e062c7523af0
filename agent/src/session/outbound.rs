//! From server to client: the response gate.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::call::{CallInfo, End, result_metadata};
use super::clients::{ClientKey, Key};
use super::conversation::{Conversation, SessionError};
use super::request::Request;
use super::tasks;
use super::terms::Held;
use crate::audit::{AuditError, EffectsRecord, Event, Record, Status};
use crate::config::{Action, OnVerdict};
use crate::mcp::methods::Side;
use crate::mcp::{Message, MessageError, RpcError, code, message};
use crate::warrant::{Effect, Verdict};

impl Conversation {
    /// Takes a message that the server wrote, to one client where each has a connection of its own.
    /// Every effect that came before it is in the ring by now, because the kernel programs run in the
    /// server's own context.
    pub(super) async fn hear_server(
        &mut self,
        from: Option<ClientKey>,
        line: Vec<u8>,
    ) -> Result<(), SessionError> {
        let (message, unreadable) = read(&line);
        let answered = match &message {
            Ok(Message::Response { id: Some(id), .. }) => self.meant(from, id),
            _ => None,
        };
        if let (Some(key), Ok(Message::Response { result, .. })) = (&answered, &message)
            && let Some(ending) = self.ended_by(key, result)
        {
            // What was refused while it was being closed has to be read.
            self.covered &= !self.settle(Some(&ending))?;
        }
        let goes_on = if self.covered { !self.is_over() } else { self.take_stock().await? };
        if !goes_on {
            return Ok(());
        }
        if let (Some(key), Ok(Message::Response { result, .. })) = (&answered, &message)
            && self.is_own(key)
        {
            let request = self.gate.end(key);
            let _ = self.restored(key, Vec::new());
            let method = request.map_or(String::new(), |request| request.method);
            return self.take_terms(&method, result.clone()).await;
        }
        match message {
            Ok(Message::Response { id: Some(_), result }) => {
                // A task was answered when it began.
                let waits = |request: &Request| request.task.is_none();
                if let Some(key) = &answered {
                    self.wire.paid(key);
                }
                let key = answered.filter(|key| self.gate.request(key).is_some_and(waits));
                let Some((key, request)) = key.and_then(|key| {
                    let request = self.gate.end(&key)?;
                    Some((key, request))
                }) else {
                    return self.dropped("answered a request that is not in flight");
                };
                let line = self.restored(&key, line);
                if let (Err(_), Some(first)) = (&result, &request.line)
                    && self.may_be_modern()
                {
                    let held = Held { key, line: first.clone(), refused: Some(line) };
                    self.ask_for_era(Some(held)).await;
                    return Ok(());
                }
                let denied = match unreadable {
                    Some((why, error)) => {
                        self.dropped(&why)?;
                        Some(error)
                    }
                    None => self.judge_inquiries(&request, &result)?,
                };
                let carried =
                    denied.map_or_else(|| self.in_clients_era(&request, line, &result), Err);
                match carried {
                    Ok(line) => self.conclude(key, request, line, &result).await,
                    Err(mut error) => {
                        let call = request.call.as_ref();
                        error.correlation_id = call.map(|call| call.correlation_id.clone());
                        let line = error.to_line(Some(&key.id));
                        let told = Err(json!({ "message": error.message }));
                        self.conclude(key, request, line, &told).await
                    }
                }
            }
            Ok(Message::Notification { method, params }) => {
                self.pass_on(from, &method, &params, line).await
            }
            Ok(Message::Request { id, method, params }) => {
                self.ask_client(from, id, method, &params, line).await
            }
            Ok(Message::Response { id: None, .. }) => self.dropped("answered nothing"),
            Err(error) => self.dropped(&format!("wrote what is no message: {error}")),
        }
    }

    /// Carries a notification to whom it concerns, if policy lets it.
    async fn pass_on(
        &mut self,
        from: Option<ClientKey>,
        method: &str,
        params: &Map<String, Value>,
        line: Vec<u8>,
    ) -> Result<(), SessionError> {
        if method == "notifications/tasks/status" && !self.may_tell_of(params) {
            return self.dropped("told of a task that is not of this session");
        }
        // Where several clients may hear it, each one's own policy is asked later.
        let only = from.or_else(|| self.clients.keys().next().copied().filter(|_| !self.shared));
        let who = only.map(|client| self.who(client));
        let who = who.unwrap_or_else(|| self.recorder.clone());
        let decision = self.judge_method(&who, Side::Server, method, params);
        if decision.action == Action::Deny {
            let what = format!("sent what policy denies: {}", decision.reason);
            if !self.context.server.is_observed() {
                return self.dropped(&what);
            }
            self.append(who.not_enforced(&format!("the server {what}")))?;
        }
        if method == "notifications/cancelled" {
            self.unask(from, params)?;
        }
        // It may carry what a call in flight must not have read.
        if !self.holds_back(self.gate.worst_in_flight()) {
            self.notify(from, method, params, line).await;
        }
        Ok(())
    }

    /// Judges a finished request, records it, and only then releases the response.
    async fn conclude(
        &mut self,
        key: Key,
        request: Request,
        line: Vec<u8>,
        result: &Result<Value, Value>,
    ) -> Result<(), SessionError> {
        self.answered = true;
        let line = match (request.method.as_str(), result) {
            ("tools/list", Ok(result)) => self
                .list(&request, line, result)?
                .unwrap_or_else(|refusal| refusal.to_line(Some(&key.id))),
            _ => line,
        };
        if tasks::is_about_tasks(&request.method) {
            return self.conclude_about(&key, request, line, result).await;
        }
        let effects = self.effects_of(&request);
        let verdict = effects.verdict;
        let unremarkable = matches!(verdict, Verdict::Within | Verdict::Unobserved);
        if request.call.is_none() && (self.gate.is_starting() || unremarkable) {
            self.answer(&key, line).await;
            return Ok(());
        }
        let withheld = self.holds_back(verdict);
        let task = self.becomes(&request, result).filter(|_| !withheld);
        if task.is_none() {
            request.let_go();
            // It would have become a task, and what it may reach is open yet.
            if self.becomes(&request, result).is_some() {
                self.settle(None)?;
            }
        }
        self.act(verdict, &why(&effects)).await?;
        let mut end = End {
            error: match result {
                Ok(_) => None,
                Err(error) => Some(server_error(error)),
            },
            result: Some(result_metadata(line.len(), result)),
            timed_out: false,
        };
        if end.result.as_ref().is_some_and(|r| r.is_error) && end.error.is_none() {
            end.error = Some("the tool reported an error".to_owned());
        }
        if withheld {
            end.error = Some(format!("response withheld: {}", why(&effects)));
        }
        let correlation = request.call.as_ref().map(|call| call.correlation_id.clone());
        if verdict == Verdict::Exceeded || verdict == Verdict::Incomplete {
            let tool = request.call.as_ref().and_then(CallInfo::tool_name);
            let tool = tool.as_deref().unwrap_or(&request.method);
            let correlation_id = correlation.as_deref();
            if self.context.server.is_observed() {
                tracing::debug!(tool, correlation_id, ?verdict, "{}", why(&effects));
            } else {
                tracing::warn!(tool, correlation_id, ?verdict, "{}", why(&effects));
            }
        }
        let told = self.told(&effects);
        self.finish(&request, end, effects)?;
        if withheld {
            self.withhold(&key, correlation, told, reason(verdict)).await;
            return Ok(());
        }
        if let (Ok(result), Some(correlation)) = (result, &correlation) {
            self.rounds.learn(result, correlation);
        }
        if let Some(task) = task {
            self.gate.go_on(key.clone(), request, task);
        }
        self.answer(&key, line).await;
        Ok(())
    }

    /// Releases a response or withholds it, by what was done for it, and does what policy wants done.
    pub(super) async fn release_by(
        &mut self,
        key: &Key,
        correlation: Option<String>,
        effects: &EffectsRecord,
        line: Vec<u8>,
    ) -> Result<(), SessionError> {
        self.act(effects.verdict, &why(effects)).await?;
        if self.holds_back(effects.verdict) {
            let told = self.told(effects);
            self.withhold(key, correlation, told, reason(effects.verdict)).await;
        } else {
            self.answer(key, line).await;
        }
        Ok(())
    }

    /// Answers a request whose response is withheld.
    pub(super) async fn withhold(
        &mut self,
        key: &Key,
        correlation: Option<String>,
        told: String,
        reason: &str,
    ) {
        let mut error = RpcError::new(code::WITHHELD, told, reason);
        error.correlation_id = correlation;
        self.answer_error(key, &error).await;
    }

    /// Gives up the calls that have taken as long as they may: tells the server to stop, records,
    /// and answers the client. What the server still answers is not in flight any more.
    pub(super) async fn give_up(&mut self) -> Result<(), SessionError> {
        for key in self.gate.overdue(std::time::Instant::now()) {
            self.settle(Some(&key))?;
            self.drain();
            let Some(request) = self.gate.end(&key) else { continue };
            if !self.shares_link(key.client) && request.task.is_none() {
                self.wire.owe(&key);
            }
            request.let_go();
            if request.task.is_some() {
                self.abandon_task(&request, "the task's time is up").await?;
                continue;
            }
            let Some(call) = &request.call else { continue };
            let seconds = call.timeout.unwrap_or_default().as_secs();
            let message = format!("the tool took longer than {seconds} s");
            self.tell_cancelled(&key, &message).await;
            let error = RpcError::new(code::TIMEOUT, message.clone(), "timeout")
                .with_correlation(call.correlation_id.clone());
            let end = End { error: Some(message), timed_out: true, result: None };
            let effects = self.effects_of(&request);
            self.act(effects.verdict, &why(&effects)).await?;
            self.finish(&request, end, effects)?;
            self.answer_error(&key, &error).await;
        }
        Ok(())
    }

    /// What the kernel saw of a request.
    pub(super) fn effects_of(&self, request: &Request) -> EffectsRecord {
        if self.watch.is_none() {
            return EffectsRecord::unobserved(request.attribution());
        }
        EffectsRecord::new(request.observation(), request.attribution(), self.backend())
    }

    /// Records a finished request.
    pub(super) fn finish(
        &mut self,
        request: &Request,
        end: End,
        effects: EffectsRecord,
    ) -> Result<(), AuditError> {
        if request.call.is_some() && request.task.is_none() {
            self.verdicts.add(effects.verdict);
        }
        self.append(request.who.ended(request, end, effects))
    }

    /// What the client is told of a response that is withheld.
    fn told(&self, effects: &EffectsRecord) -> String {
        let mut told = why_for_client(effects);
        if self.frozen.is_some() {
            told.push_str("; the session is frozen for investigation");
        }
        told
    }

    /// Whether a response is withheld by its verdict.
    pub(super) fn holds_back(&self, verdict: Verdict) -> bool {
        self.action(verdict) != OnVerdict::Report
    }

    /// What policy wants done by verdict.
    pub(super) fn action(&self, verdict: Verdict) -> OnVerdict {
        let effects = &self.context.server.policy.effects;
        if self.context.server.is_observed() {
            return OnVerdict::Report;
        }
        match verdict {
            Verdict::Within | Verdict::Unobserved => OnVerdict::Report,
            Verdict::Exceeded => effects.on_exceeded,
            Verdict::Incomplete => effects.on_incomplete,
        }
    }

    /// Records a message of the server that is not carried.
    pub(super) fn dropped(&self, what: &str) -> Result<(), SessionError> {
        tracing::warn!(server = self.context.server.id, "the server {what}; dropped");
        let record = Record {
            status: Some(Status::Failure),
            error: Some(format!("the server {what}; dropped")),
            ..self.recorder.record(Event::ProtocolError)
        };
        Ok(self.append(record)?)
    }
}

/// Reads what a server wrote. An answer that nobody could read alike is an error to whoever waits for it,
/// who would wait in vain otherwise; that comes with what to record.
fn read(line: &[u8]) -> (Result<Message, MessageError>, Option<(String, RpcError)>) {
    let error = match Message::parse_lenient(line) {
        Ok(message) => return (Ok(message), None),
        Err(error) => error,
    };
    let Some(id) = message::readable_answer(line) else { return (Err(error), None) };
    let why = format!("answered with what is no message: {error}");
    let told = "response withheld: the server's answer is no unambiguous message";
    let refusal = RpcError::new(code::WITHHELD, told.to_owned(), "unreadable_answer");
    (
        Ok(Message::Response { id: Some(id), result: Err(json!({ "message": told })) }),
        Some((why, refusal)),
    )
}

/// Why a response is withheld, in one line that names the first effects.
pub(super) fn why(effects: &EffectsRecord) -> String {
    if effects.verdict == Verdict::Incomplete {
        return format!(
            "{} kernel events were lost, so nobody can say what the call did",
            effects.counts.lost
        );
    }
    let mut named: Vec<String> = effects.exceeded.iter().take(3).map(Effect::to_string).collect();
    if let Some(more) = effects.exceeded.len().checked_sub(3).filter(|more| *more > 0) {
        named.push(format!("and {more} more"));
    }
    format!("the call did more than its warrant allows: {}", named.join(", "))
}

/// The same for the client: kinds and numbers alone. Paths and addresses are the server's choice,
/// and could carry what it must not say.
fn why_for_client(effects: &EffectsRecord) -> String {
    if effects.verdict == Verdict::Incomplete {
        return "response withheld: kernel events were lost, so nobody can say what the call did"
            .to_owned();
    }
    let mut kinds = BTreeMap::new();
    for effect in &effects.exceeded {
        *kinds.entry(effect.kind.to_string()).or_insert(0_usize) += 1;
    }
    let kinds: Vec<_> = kinds.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    let kinds = if kinds.is_empty() { String::new() } else { format!(" ({})", kinds.join(", ")) };
    format!(
        "response withheld: the call did more than its warrant allows{kinds}; the audit record says what"
    )
}

fn reason(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Exceeded => "warrant_exceeded",
        Verdict::Incomplete => "effects_incomplete",
        Verdict::Unobserved => "effects_unobserved",
        Verdict::Within => "withheld",
    }
}

/// The server's own error, in one line.
fn server_error(error: &Value) -> String {
    let message = error.get("message").and_then(Value::as_str).unwrap_or("unknown error");
    let line: String = message.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("the server answered with an error: {}", line.chars().take(200).collect::<String>())
}
