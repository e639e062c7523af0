//! Tasks (MCP 2025-11-25, section Tasks): calls that go on after their answer.
//!
//! The warrant of such a call stays in force until its result is fetched, it is cancelled, its time is
//! up, or the session ends. It has two records of one correlation id: that of the call says what it had
//! done when it was answered, that of the task all it did. The result leaves by the verdict of the
//! whole.

use std::collections::VecDeque;
use std::time::Instant;

use serde_json::{Map, Value};

use super::call::{End, new_id, result_metadata};
use super::clients::Key;
use super::conversation::{Conversation, SessionError};
use super::outbound::why;
use super::request::{Request, Task};
use crate::audit::EffectsRecord;
use crate::warrant::Verdict;

/// Tasks of a session that may be open.
pub(super) const OPEN: usize = 64;
/// Tasks that a session remembers after their end.
const KEPT: usize = 256;

/// Requests about tasks.
const ABOUT_ONE: [&str; 3] = ["tasks/get", "tasks/result", "tasks/cancel"];

/// Tasks that have ended, which a client may still ask for.
#[derive(Debug, Default)]
pub(super) struct Ended {
    /// Name, actor, verdict.
    tasks: VecDeque<(String, String, Verdict)>,
}

impl Ended {
    pub(super) fn add(&mut self, task: String, actor: &str, verdict: Verdict) {
        if self.tasks.len() == KEPT {
            self.tasks.pop_front();
        }
        self.tasks.push_back((task, actor.to_owned(), verdict));
    }

    fn verdict(&self, task: &str, actor: &str) -> Option<Verdict> {
        let mut newest = self.tasks.iter().rev();
        newest.find(|(known, of, _)| known == task && of == actor).map(|(_, _, verdict)| *verdict)
    }

    fn is_known(&self, task: &str) -> bool {
        self.tasks.iter().any(|(known, _, _)| known == task)
    }
}

/// Whether a method is one of those that this file knows.
pub(super) fn is_about_tasks(method: &str) -> bool {
    method == "tasks/list" || ABOUT_ONE.contains(&method)
}

impl Conversation {
    /// Forwards a request about the session's own tasks, and denies one about any other.
    pub(super) async fn ask_about_task(
        &mut self,
        key: Key,
        method: String,
        params: &Map<String, Value>,
        line: Vec<u8>,
    ) -> Result<(), SessionError> {
        let who = self.who(key.client);
        let mut about = None;
        if method != "tasks/list" {
            let task = params.get("taskId").and_then(Value::as_str).unwrap_or_default();
            if !self.knows_task(task, who.actor()) && !self.context.server.is_observed() {
                let reason = "the session has no such task";
                let correlation = new_id();
                let record = who.denied(&correlation, &method, "tasks", reason);
                return self.deny(&key, correlation, record, reason).await;
            }
            about = Some(task.to_owned());
        }
        if self.take_stock().await? {
            let request = Request { about, ..Request::new(who, method, Instant::now(), None) };
            self.forward_request(key, request, line).await;
        }
        Ok(())
    }

    /// Whether the session knows a task, and the actor may know of it.
    fn knows_task(&self, task: &str, actor: &str) -> bool {
        self.gate.call_of_task(task, actor).is_some()
            || self.ended_tasks.verdict(task, actor).is_some()
    }

    /// The request whose warrant ends with a message of the server: the one that is answered, unless
    /// it goes on as a task, or the task whose result it is.
    pub(super) fn ended_by(&self, key: &Key, result: &Result<Value, Value>) -> Option<Key> {
        let request = self.gate.request(key)?;
        if self.becomes(request, result).is_some() {
            return None;
        }
        let task = request.about.as_ref().filter(|_| ends_task(&request.method, result));
        let call = task.and_then(|task| self.gate.call_of_task(task, request.who.actor()));
        Some(call.unwrap_or(key).clone())
    }

    /// The task that a call becomes by its answer. One that names a task of before becomes none.
    pub(super) fn becomes(&self, request: &Request, result: &Result<Value, Value>) -> Option<Task> {
        let asked = request.call.as_ref().is_some_and(|call| call.task);
        let task = Task::created(result.as_ref().ok().filter(|_| asked)?, Instant::now())?;
        (!self.is_task(&task.id)).then_some(task)
    }

    /// Judges the answer to a request about tasks by what the task has done, and releases it or not.
    pub(super) async fn conclude_about(
        &mut self,
        key: &Key,
        request: Request,
        line: Vec<u8>,
        result: &Result<Value, Value>,
    ) -> Result<(), SessionError> {
        let own = self.effects_of(&request);
        let actor = request.who.actor().to_owned();
        let Some(task) = request.about.as_deref() else {
            if self.lists_others(result, request.who.actor()) {
                let told = "response withheld: it lists tasks that are not of this session";
                self.withhold(key, None, told.to_owned(), "foreign_task").await;
                return self.dropped("listed tasks that are not of this session");
            }
            return self.release_by(key, None, &own, line).await;
        };
        let call = self.gate.call_of_task(task, &actor).cloned();
        let ended = call.filter(|_| ends_task(&request.method, result));
        if let Some(request) = ended.and_then(|call| self.gate.end(&call)) {
            let (effects, verdict) = self.end_task(task, &request, &line, result)?;
            let correlation = request.call.map(|call| call.correlation_id);
            let effects = if worse(own.verdict, verdict) { own } else { effects };
            return self.release_by(key, correlation, &effects, line).await;
        }
        // Still going on, or over for long.
        let open = self.gate.call_of_task(task, &actor).and_then(|call| self.gate.request(call));
        let (correlation, effects) = if let Some(open) = open {
            let correlation = open.call.as_ref().map(|call| call.correlation_id.clone());
            (correlation, self.effects_of(open))
        } else {
            let verdict = self.ended_tasks.verdict(task, &actor).unwrap_or(own.verdict);
            (None, EffectsRecord { verdict, ..own.clone() })
        };
        let effects = if worse(own.verdict, effects.verdict) { own } else { effects };
        self.release_by(key, correlation, &effects, line).await
    }

    /// Records the end of a task and remembers its verdict.
    fn end_task(
        &mut self,
        task: &str,
        request: &Request,
        line: &[u8],
        result: &Result<Value, Value>,
    ) -> Result<(EffectsRecord, Verdict), SessionError> {
        request.let_go();
        let effects = self.effects_of(request);
        let mut end = End { result: Some(result_metadata(line.len(), result)), ..End::default() };
        if self.holds_back(effects.verdict) {
            end.error = Some(format!("response withheld: {}", why(&effects)));
        } else if result.is_err() {
            end.error = Some("the task failed".to_owned());
        }
        self.ended_tasks.add(task.to_owned(), request.who.actor(), effects.verdict);
        let verdict = effects.verdict;
        self.finish(request, end, effects.clone())?;
        Ok((effects, verdict))
    }

    /// Records a task that ends without a result.
    pub(super) async fn abandon_task(
        &mut self,
        request: &Request,
        reason: &str,
    ) -> Result<(), SessionError> {
        let effects = self.effects_of(request);
        if let Some(task) = &request.task {
            self.ended_tasks.add(task.id.clone(), request.who.actor(), effects.verdict);
        }
        self.act(effects.verdict, &why(&effects)).await?;
        let end = End { error: Some(reason.to_owned()), timed_out: true, result: None };
        Ok(self.finish(request, end, effects)?)
    }

    /// Whether a `tasks/list` result has a task that is not of this session.
    fn lists_others(&self, result: &Result<Value, Value>, actor: &str) -> bool {
        let tasks = result.as_ref().ok().and_then(|result| result.get("tasks"));
        let tasks = tasks.and_then(Value::as_array).into_iter().flatten();
        let known = |task: &Value| {
            task.get("taskId")
                .and_then(Value::as_str)
                .is_some_and(|task| self.knows_task(task, actor))
        };
        !self.context.server.is_observed() && !tasks.into_iter().all(known)
    }

    /// Whether a notification about a task may be told: it is one of the session.
    pub(super) fn may_tell_of(&self, params: &Map<String, Value>) -> bool {
        params.get("taskId").and_then(Value::as_str).is_some_and(|task| self.is_task(task))
    }

    /// Whether there is, or was, a task of this name, whoever began it.
    fn is_task(&self, task: &str) -> bool {
        self.gate.is_task(task) || self.ended_tasks.is_known(task)
    }
}

/// Whether an answer ends the task that it is about: its result, whatever it is, or that it was
/// cancelled.
fn ends_task(method: &str, result: &Result<Value, Value>) -> bool {
    method == "tasks/result" || (method == "tasks/cancel" && result.is_ok())
}

/// Whether one verdict is worse than another one.
fn worse(one: Verdict, other: Verdict) -> bool {
    let badness = |verdict| match verdict {
        Verdict::Within | Verdict::Unobserved => 0,
        Verdict::Incomplete => 1,
        Verdict::Exceeded => 2,
    };
    badness(one) > badness(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_ends_a_task_and_a_look_does_not() {
        let (yes, no) = (Ok(Value::Null), Err(Value::Null));
        assert!(ends_task("tasks/result", &yes) && ends_task("tasks/result", &no));
        assert!(ends_task("tasks/cancel", &yes) && !ends_task("tasks/cancel", &no));
        assert!(!ends_task("tasks/get", &yes) && !ends_task("tasks/list", &yes));
    }

    #[test]
    fn tasks_that_ended_are_remembered_for_a_while() {
        let mut ended = Ended::default();
        ended.add("bad".into(), "a", Verdict::Exceeded);
        assert_eq!(ended.verdict("bad", "a"), Some(Verdict::Exceeded));
        assert_eq!(ended.verdict("bad", "b"), None);
        for n in 0..KEPT {
            ended.add(n.to_string(), "a", Verdict::Within);
        }
        assert_eq!((ended.tasks.len(), ended.verdict("bad", "a")), (KEPT, None));
    }
}
