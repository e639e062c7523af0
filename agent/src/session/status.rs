//! What a session tells about itself.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::conversation::Conversation;
use crate::warrant::Verdict;

/// A session as it is now.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct SessionStatus {
    /// Its id, as in audit records.
    pub id: String,
    /// The server.
    pub server: String,
    /// Who calls.
    pub actor: Option<String>,
    /// The user id of the caller's process.
    pub uid: Option<u32>,
    /// When it began: ISO 8601, UTC.
    pub since: String,
    /// The client has closed its side.
    pub client_left: bool,
    /// Calls that the server works on.
    pub in_flight: Vec<FlyingCall>,
    /// Calls that it works on and that are not listed.
    #[serde(default)]
    pub calls_left_out: usize,
    /// Calls that wait for those before them.
    pub waiting: usize,
    /// How its calls ended until now.
    pub verdicts: VerdictCounts,
    /// Since when and why its processes are frozen.
    pub frozen: Option<FrozenStatus>,
    /// Its processes.
    pub pids: Vec<u32>,
    /// Peers that its server may reach now, as the kernel has them: `192.0.2.1 tcp/443 (api.example.com)`.
    #[serde(default)]
    pub open: Vec<String>,
}

/// A call that a server works on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FlyingCall {
    /// Its correlation id.
    pub correlation_id: String,
    /// The tool.
    pub tool: String,
    /// What it may do, as in audit records.
    pub warrant: Value,
    /// Whose call it is.
    #[serde(default)]
    pub actor: String,
    /// For how long the server has worked on it, in milliseconds.
    #[serde(default)]
    pub age_ms: u64,
    /// It was answered and goes on as this task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
}

/// Why a session is frozen.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct FrozenStatus {
    /// Since when: ISO 8601, UTC.
    pub since: String,
    /// Why, in one line.
    pub why: String,
}

/// Calls by verdict.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerdictCounts {
    /// They kept to their warrants.
    pub within: u64,
    /// They did not.
    pub exceeded: u64,
    /// Kernel events were lost.
    pub incomplete: u64,
    /// Nobody watched.
    pub unobserved: u64,
}

impl VerdictCounts {
    /// Counts a call.
    pub(super) fn add(&mut self, verdict: Verdict) {
        *match verdict {
            Verdict::Within => &mut self.within,
            Verdict::Exceeded => &mut self.exceeded,
            Verdict::Incomplete => &mut self.incomplete,
            Verdict::Unobserved => &mut self.unobserved,
        } += 1;
    }
}

impl Conversation {
    /// What is known of the session.
    pub(super) fn status(&self) -> SessionStatus {
        let calls = self.gate.requests().filter_map(|request| {
            let call = request.call.as_ref()?;
            Some(FlyingCall {
                correlation_id: call.correlation_id.clone(),
                tool: call.tool_name().unwrap_or_else(|| request.method.clone()),
                warrant: serde_json::to_value(&call.warrant).unwrap_or_default(),
                actor: request.who.actor().to_owned(),
                age_ms: request.begun.map_or(0, |begun| milliseconds(begun.elapsed())),
                task: request.task.as_ref().map(|task| task.id.clone()),
            })
        });
        let identity = self.recorder.identity.as_ref();
        SessionStatus {
            id: self.recorder.session_id.clone(),
            server: self.recorder.server_id.clone(),
            actor: identity.map(|identity| identity.actor.clone()),
            uid: identity.and_then(|identity| identity.uid),
            since: self.since.clone(),
            client_left: self.client_left().is_some(),
            in_flight: calls.collect(),
            calls_left_out: 0,
            waiting: self.queue.len(),
            verdicts: self.verdicts,
            frozen: self.frozen.as_ref().map(|frozen| frozen.status.clone()),
            pids: self
                .watch
                .as_ref()
                .map_or_else(|| self.child_pid.into_iter().collect(), crate::kernel::Session::pids),
            open: self.watch.as_ref().map_or_else(Vec::new, open_peers),
        }
    }
}

/// Peers that may be reached now, some dozens at most.
fn open_peers(watch: &crate::kernel::Session) -> Vec<String> {
    const MOST: usize = 32;
    let open = watch.open_peers();
    let mut told: Vec<String> = open.iter().take(MOST).map(ToString::to_string).collect();
    if open.len() > MOST {
        told.push(format!("and {} more", open.len() - MOST));
    }
    told
}

fn milliseconds(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
