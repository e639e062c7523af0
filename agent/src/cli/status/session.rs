//! A session for people.

use crate::cli::plain::{safe, short};
use crate::cli::words;
use crate::session::{FlyingCall, SessionStatus};

/// Characters of a warrant that are shown.
const WARRANT: usize = 400;

/// Its id, and below it a topic at the beginning of each line.
pub(super) fn describe(instance: &str, session: &SessionStatus) -> Vec<String> {
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
    topic("server", safe(server));
    topic("caller", format!("{}{uid}, since {since}{left}", safe(actor)));
    if let Some(frozen) = frozen {
        topic("frozen", format!("since {}: {}", frozen.since, safe(&frozen.why)));
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
        topic("in flight", describe_call(call, session.actor.as_deref()));
    }
    if session.calls_left_out > 0 {
        topic("in flight", format!("and {} more", session.calls_left_out));
    }
    if session.waiting > 0 {
        topic("waiting", session.waiting.to_string());
    }
    for peer in &session.open {
        topic("open", safe(peer));
    }
    let pids: Vec<_> = pids.iter().map(u32::to_string).collect();
    topic("processes", if pids.is_empty() { "none".to_owned() } else { pids.join(" ") });
    lines
}

/// The tool, for how long it works, and what the call may do.
fn describe_call(call: &FlyingCall, of_session: Option<&str>) -> String {
    let task = call.task.as_ref().map_or(String::new(), |task| format!(" (task {})", safe(task)));
    // Where sessions share a process, calls have callers of their own.
    let actor = match of_session {
        Some(actor) if actor == call.actor => String::new(),
        _ if call.actor.is_empty() => String::new(),
        _ => format!(" of {}", safe(&call.actor)),
    };
    let age = words::duration(call.age_ms);
    let warrant = short(&call.warrant.to_string(), WARRANT);
    format!("{}{actor}{task} for {age} {warrant}", safe(&call.tool))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::session::{FrozenStatus, VerdictCounts};

    #[test]
    fn a_session_is_a_block_of_lines() {
        let call = FlyingCall {
            correlation_id: "c".into(),
            tool: "read\u{1b}[1m".into(),
            warrant: json!({"read": ["/srv/\u{9b}31ma"]}),
            actor: "assistant".into(),
            age_ms: 1290,
            task: None,
        };
        let other = FlyingCall { actor: "bob\u{202e}".into(), ..call.clone() };
        let frozen = FrozenStatus { since: "2026-11-23T18:00:01Z".into(), why: "exceeded".into() };
        let session = SessionStatus {
            id: "019a".into(),
            server: "files".into(),
            actor: Some("assistant".into()),
            uid: Some(1000),
            since: "2026-11-23T18:00:00Z".into(),
            in_flight: vec![call, other],
            calls_left_out: 3,
            verdicts: VerdictCounts { within: 3, exceeded: 1, ..VerdictCounts::default() },
            frozen: Some(frozen),
            pids: vec![7, 8],
            open: vec!["192.0.2.1 tcp/443 (a.example)".into()],
            ..SessionStatus::default()
        };
        let expected = r#"019a  FROZEN  (serve)
  server     files
  caller     assistant (uid 1000), since 2026-11-23T18:00:00Z
  frozen     since 2026-11-23T18:00:01Z: exceeded
  calls      3 within, 1 exceeded
  in flight  read\u{1b}[1m for 1.2s {"read":["/srv/\u{9b}31ma"]}
  in flight  read\u{1b}[1m of bob\u{202e} for 1.2s {"read":["/srv/\u{9b}31ma"]}
  in flight  and 3 more
  open       192.0.2.1 tcp/443 (a.example)
  processes  7 8"#;
        assert_eq!(describe("serve", &session).join("\n"), expected);
        let silent = SessionStatus { id: "019b".into(), ..SessionStatus::default() };
        assert!(describe("serve", &silent).concat().contains("does not answer"));
    }
}
