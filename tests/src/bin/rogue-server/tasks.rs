//! Tasks (MCP 2025-11-25): calls whose work is done when somebody looks for it, not before.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// Tasks that were asked for.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    open: BTreeMap<String, Open>,
}

#[derive(Debug)]
struct Open {
    /// The parameters of the call.
    parameters: Value,
    ttl: Value,
    result: Option<Value>,
}

impl Tasks {
    /// The answer to a call that asks for a task: a task that will live as long as asked.
    pub(crate) fn start(&mut self, parameters: &Value) -> Value {
        let id = format!("task-{}", self.open.len() + 1);
        let ttl = parameters.pointer("/task/ttl").cloned().unwrap_or_default();
        let open = Open { parameters: parameters.clone(), ttl, result: None };
        self.open.insert(id.clone(), open);
        json!({"task": self.describe(&id)})
    }

    /// The answer to a request about tasks; the error is that there is no such task. `work` does what
    /// a task was started for.
    pub(crate) fn answer(
        &mut self,
        method: &str,
        parameters: &Value,
        work: impl FnOnce(&Value) -> Value,
    ) -> Result<Value, &'static str> {
        if method == "tasks/list" {
            let ids: Vec<_> = self.open.keys().map(|id| self.describe(id)).collect();
            return Ok(json!({"tasks": ids}));
        }
        let id = parameters.get("taskId").and_then(Value::as_str).unwrap_or_default();
        let open = self.open.get_mut(id).ok_or("no such task")?;
        if method == "tasks/cancel" {
            return Ok(self.describe(id));
        }
        if open.result.is_none() {
            open.result = Some(work(&open.parameters));
        }
        if method == "tasks/result" { Ok(json!(open.result)) } else { Ok(self.describe(id)) }
    }

    fn describe(&self, id: &str) -> Value {
        let open = self.open.get(id);
        let done = open.is_some_and(|open| open.result.is_some());
        json!({
            "taskId": id,
            "status": if done { "completed" } else { "working" },
            "createdAt": "2026-01-01T00:00:00Z",
            "lastUpdatedAt": "2026-01-01T00:00:00Z",
            "ttl": open.map(|open| &open.ttl),
            "pollInterval": 10,
        })
    }
}
