//! `warrantd status`: which sessions there are, and what they do.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::instances::Instances;
use super::{Failure, output};
use crate::serve::{Answer, Request};
use crate::session::{FlyingCall, SessionStatus};

/// List the sessions of every warrantd that runs here
///
/// Of each: who calls which server since when, the calls in flight with what they may do, how calls
/// ended, and whether it is frozen. Exits 1 when no warrantd runs.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  warrantd status\n  warrantd status --json | jq '.[].sessions[].frozen'"
)]
pub(super) struct Status {
    /// Print JSON: a list of `{instance, sessions}`
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    instances: Instances,
}

impl Status {
    pub(super) fn execute(self) -> Result<ExitCode, Failure> {
        let mut all = Vec::new();
        for (instance, answer) in self.instances.ask(&Request::Status {})? {
            match answer {
                Answer::Sessions(sessions) => all.push((instance.name(), sessions)),
                Answer::Refused { message, .. } => return Err(Failure::Other(message)),
                Answer::Done | Answer::Reloaded(_) => {}
            }
        }
        if self.json {
            let facts = |(instance, sessions)| json!({"instance": instance, "sessions": sessions});
            let list: Vec<_> = all.into_iter().map(facts).collect();
            let text = serde_json::to_string_pretty(&list).map_err(Failure::other)?;
            output::line(&text)?;
            return Ok(ExitCode::SUCCESS);
        }
        for (instance, sessions) in &all {
            if sessions.is_empty() {
                output::line(&format!("{instance}: no sessions"))?;
            }
            for session in sessions {
                for line in describe(instance, session) {
                    output::line(&line)?;
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// A session for people: its id, and below it a topic at the beginning of each line.
fn describe(instance: &str, session: &SessionStatus) -> Vec<String> {
    if session.since.is_empty() {
        return vec![format!(
            "{}  ({instance}) does not answer: its client does not read",
            session.id
        )];
    }
    let SessionStatus { id, server, actor, uid, since, verdicts, frozen, pids, .. } = session;
    let state = if frozen.is_some() { "FROZEN" } else { "running" };
    let mut lines = vec![format!("{id}  {state}  ({instance})")];
    let mut topic = |name: &str, text: String| lines.push(format!("  {name:<10} {text}"));
    let actor = actor.as_deref().unwrap_or("nobody");
    let uid = uid.map_or(String::new(), |uid| format!(" (uid {uid})"));
    let left = if session.client_left { "; the client has left" } else { "" };
    topic("server", server.clone());
    topic("caller", format!("{}{uid}, since {since}{left}", actor.escape_debug()));
    if let Some(frozen) = frozen {
        topic("frozen", format!("since {}: {}", frozen.since, frozen.why));
    }
    let counts = [
        (verdicts.within, "within"),
        (verdicts.exceeded, "exceeded"),
        (verdicts.incomplete, "incomplete"),
        (verdicts.unobserved, "unobserved"),
    ];
    let counts: Vec<_> =
        counts.iter().filter(|(n, _)| *n > 0).map(|(n, name)| format!("{n} {name}")).collect();
    topic("calls", if counts.is_empty() { "none has ended".to_owned() } else { counts.join(", ") });
    for call in &session.in_flight {
        topic("in flight", describe_call(call));
    }
    if session.waiting > 0 {
        topic("waiting", session.waiting.to_string());
    }
    let pids: Vec<_> = pids.iter().map(u32::to_string).collect();
    topic("processes", if pids.is_empty() { "none".to_owned() } else { pids.join(" ") });
    lines
}

/// The tool and what the call may do.
fn describe_call(call: &FlyingCall) -> String {
    let task =
        call.task.as_ref().map_or(String::new(), |task| format!(" (task {})", task.escape_debug()));
    format!("{}{task} {}", call.tool.escape_debug(), call.warrant)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::{FrozenStatus, VerdictCounts};

    #[test]
    fn a_session_is_a_block_of_lines() {
        let call = FlyingCall {
            correlation_id: "c".into(),
            tool: "read\u{1b}[1m".into(),
            warrant: json!({"read": ["/srv/a"]}),
            task: None,
        };
        let frozen = FrozenStatus { since: "2026-11-23T18:00:01Z".into(), why: "exceeded".into() };
        let session = SessionStatus {
            id: "019a".into(),
            server: "files".into(),
            actor: Some("assistant".into()),
            uid: Some(1000),
            since: "2026-11-23T18:00:00Z".into(),
            in_flight: vec![call],
            verdicts: VerdictCounts { within: 3, exceeded: 1, ..VerdictCounts::default() },
            frozen: Some(frozen),
            pids: vec![7, 8],
            ..SessionStatus::default()
        };
        let expected = r#"019a  FROZEN  (serve)
  server     files
  caller     assistant (uid 1000), since 2026-11-23T18:00:00Z
  frozen     since 2026-11-23T18:00:01Z: exceeded
  calls      3 within, 1 exceeded
  in flight  read\u{1b}[1m {"read":["/srv/a"]}
  processes  7 8"#;
        assert_eq!(describe("serve", &session).join("\n"), expected);
        let silent = SessionStatus { id: "019b".into(), ..SessionStatus::default() };
        assert!(describe("serve", &silent).concat().contains("does not answer"));
    }
}
