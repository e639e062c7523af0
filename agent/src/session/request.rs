//! A request on its way to the server or back, or a task that goes on after its answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::call::{CallInfo, Recorder};
use crate::audit::Attribution;
use crate::policy::Subject;
use crate::warrant::Observation;

/// A request that is in flight: forwarded and not answered yet, or a task.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools)] // Facts that do not depend on each other.
pub(super) struct Request {
    /// Whose it is.
    pub(super) who: Arc<Recorder>,
    /// The JSON-RPC method.
    pub(super) method: String,
    /// When it arrived.
    pub(super) arrived: Instant,
    /// The call and its warrant; `None` for a request that cannot act, whose warrant is empty.
    pub(super) call: Option<CallInfo>,
    /// The page that a list is asked for; `None` for the first one.
    pub(super) cursor: Option<String>,
    /// The task that a `tasks/…` request is about.
    pub(super) about: Option<String>,
    /// The task that this call has become. Its answer has left already.
    pub(super) task: Option<Task>,
    pub(super) observation: Observation,
    /// Another call was in flight, too.
    pub(super) shared: bool,
    /// It stays open to bring news (`subscriptions/listen`, MCP 2026-07-28), and acts no more than that.
    pub(super) standing: bool,
    /// What a client wants to hear of, where the server does not know of such requests.
    pub(super) listens: Option<Value>,
    /// The client is of the modern era.
    pub(super) modern: bool,
    /// It went over a connection of the client's own.
    pub(super) own_link: bool,
    /// The request as it came, where it may have to be answered in another way.
    pub(super) line: Option<Vec<u8>>,
    /// The token by which the client knows its progress, as it is written.
    pub(super) progress: Option<String>,
    /// When it was put in flight.
    pub(super) begun: Option<Instant>,
}

/// A call that goes on after its answer (MCP 2025-11-25, section Tasks).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Task {
    /// As the server named it.
    pub(super) id: String,
    /// When it is forgotten, as the server said.
    pub(super) expires: Option<Instant>,
}

impl Request {
    /// Frees the slot that a call took of its limits.
    pub(super) fn let_go(&self) {
        if let (Some(call), Some(identity)) = (&self.call, &self.who.identity)
            && let Some(server) = &call.counted
        {
            server.let_go(&identity.actor, self.subject());
        }
    }

    pub(super) fn new(
        who: Arc<Recorder>,
        method: String,
        arrived: Instant,
        call: Option<CallInfo>,
    ) -> Self {
        Self {
            who,
            arrived,
            call,
            cursor: None,
            about: None,
            task: None,
            observation: Observation::default(),
            shared: false,
            standing: method == "subscriptions/listen",
            listens: None,
            modern: false,
            own_link: false,
            line: None,
            progress: None,
            begun: None,
            method,
        }
    }

    /// A request of nobody.
    #[cfg(test)]
    pub(super) fn of_test(method: &str, call: Option<CallInfo>) -> Self {
        Self::new(Arc::new(Recorder::of_test()), method.to_owned(), Instant::now(), call)
    }

    /// The same for a page of a list (MCP 2025-11-25, section Pagination).
    pub(super) fn of_page(self, cursor: Option<&Value>) -> Self {
        Self { cursor: cursor.and_then(Value::as_str).map(str::to_owned), ..self }
    }

    /// What its limits are of.
    pub(super) fn subject(&self) -> Subject<'_> {
        match &self.call {
            Some(call) if self.method == "tools/call" => Subject::Tool(&call.tool),
            _ => Subject::Method(&self.method),
        }
    }

    pub(super) fn observation(&self) -> &Observation {
        &self.observation
    }

    /// When it has taken as long as it may. Time in the queue before it does not count: the limit is
    /// the tool's.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let limit = self.call.as_ref().and_then(|call| call.timeout);
        let own = limit.zip(self.begun).and_then(|(limit, begun)| begun.checked_add(limit));
        let expires = self.task.as_ref().and_then(|task| task.expires);
        own.into_iter().chain(expires).min()
    }

    pub(super) fn attribution(&self) -> Attribution {
        if self.shared { Attribution::Shared } else { Attribution::Exclusive }
    }
}

impl Task {
    /// The task that the result of a `tools/call` stands for, if it is a `CreateTaskResult`: an object
    /// `task` with a `taskId`, and a `ttl` in milliseconds from now, or null.
    pub(super) fn created(result: &Value, now: Instant) -> Option<Self> {
        let task = result.get("task")?;
        let id = task.get("taskId")?.as_str()?.to_owned();
        let lives = task.get("ttl").and_then(Value::as_u64).map(Duration::from_millis);
        Some(Self { id, expires: lives.and_then(|lives| now.checked_add(lives)) })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_task_is_what_says_so() {
        let now = Instant::now();
        let created = |result| Task::created(&result, now);
        let task = created(json!({"task": {"taskId": "t", "status": "working", "ttl": 5000}}));
        assert_eq!(
            task,
            Some(Task { id: "t".into(), expires: Some(now + Duration::from_secs(5)) })
        );
        let endless = created(json!({"task": {"taskId": "t", "ttl": null}}));
        assert_eq!(endless.and_then(|task| task.expires), None);
        for other in [json!({"content": []}), json!({"task": {}}), json!({"task": {"taskId": 7}})] {
            assert_eq!(created(other), None);
        }
    }

    #[test]
    fn the_limit_counts_from_when_a_call_is_forwarded() {
        let now = Instant::now();
        let mut request = Request::of_test("tools/call", Some(CallInfo::reading("/a")));
        assert_eq!(request.deadline(), None);
        if let Some(call) = &mut request.call {
            call.timeout = Some(Duration::from_secs(9));
        }
        assert_eq!(request.deadline(), None, "it waits");
        let later = now + Duration::from_secs(100);
        request.begun = Some(later);
        assert_eq!(request.deadline(), Some(later + Duration::from_secs(9)));
        request.task = Some(Task { id: "t".into(), expires: Some(later) });
        assert_eq!(request.deadline(), Some(later), "whatever comes first");
    }
}
