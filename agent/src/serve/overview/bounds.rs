//! How much is told. What callers chose is cut: names of tools, warrants, what is in flight.

use serde_json::{Value, json};

use crate::session::{FlyingCall, SessionStatus};

/// Sessions that are listed.
const SESSIONS: usize = 256;
/// Calls in flight that are listed of a session.
const CALLS: usize = 32;
/// Peers that are listed of a session, and one line that says how many more there are.
const PEERS: usize = 32;
/// Processes that are listed of a session.
const PROCESSES: usize = 64;
/// Characters of a text.
const TEXT: usize = 256;
/// Bytes of a warrant, as JSON.
const WARRANT: usize = 4 << 10;

/// The sessions that are told of, and how many are not: those that are frozen or work first, then the oldest.
pub(super) fn sessions(mut all: Vec<SessionStatus>) -> (Vec<SessionStatus>, usize) {
    let rank = |session: &SessionStatus| match (&session.frozen, session.in_flight.len()) {
        (Some(_), _) => 0,
        (None, 1..) => 1,
        (None, 0) => 2,
    };
    all.sort_by(|a, b| (rank(a), &a.since, &a.id).cmp(&(rank(b), &b.since, &b.id)));
    let left_out = all.len().saturating_sub(SESSIONS);
    all.truncate(SESSIONS);
    all.iter_mut().for_each(session);
    (all, left_out)
}

fn session(session: &mut SessionStatus) {
    // The oldest first: what hangs is what one looks for.
    session.in_flight.sort_by_key(|call| std::cmp::Reverse(call.age_ms));
    let more = session.in_flight.len().saturating_sub(CALLS);
    session.in_flight.truncate(CALLS);
    session.in_flight.iter_mut().for_each(call);
    session.calls_left_out = more;
    session.open.truncate(PEERS + 1);
    session.open.iter_mut().for_each(|peer| *peer = text(peer));
    session.pids.truncate(PROCESSES);
    session.actor = session.actor.as_deref().map(text);
    if let Some(frozen) = &mut session.frozen {
        frozen.why = text(&frozen.why);
    }
}

fn call(call: &mut FlyingCall) {
    call.tool = text(&call.tool);
    call.actor = text(&call.actor);
    call.task = call.task.as_deref().map(text);
    let bytes = call.warrant.to_string().len();
    if bytes > WARRANT {
        call.warrant = in_short(&call.warrant, bytes);
    }
}

/// How many of each kind a warrant has.
fn in_short(warrant: &Value, bytes: usize) -> Value {
    let kinds = warrant.as_object().into_iter().flatten();
    let count = |value: &Value| value.as_array().map_or(1, Vec::len);
    let kinds: serde_json::Map<_, _> =
        kinds.take(16).map(|(kind, value)| (text(kind), count(value).into())).collect();
    json!({"bytes": bytes, "grants": kinds})
}

/// The beginning of a text, if it is long.
pub(super) fn text(whole: &str) -> String {
    match whole.char_indices().nth(TEXT) {
        Some((end, _)) => format!("{}…", whole.get(..end).unwrap_or_default()),
        None => whole.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flying(tool: &str, age_ms: u64, warrant: Value) -> FlyingCall {
        FlyingCall {
            correlation_id: "c".into(),
            tool: tool.into(),
            warrant,
            actor: "a".into(),
            age_ms,
            task: None,
        }
    }

    #[test]
    fn an_answer_stays_small_whatever_callers_do() {
        let huge = "x".repeat(1 << 20);
        let warrant = json!({"read": vec![huge.clone(); 4], "write": [huge.clone()]});
        let busy = |n: usize| SessionStatus {
            id: format!("{n:04}"),
            actor: Some(huge.clone()),
            in_flight: (0..40).map(|age| flying(&huge, age, warrant.clone())).collect(),
            open: vec![huge.clone(); 40],
            pids: vec![1; 1000],
            ..SessionStatus::default()
        };
        let (told, left_out) = sessions((0..3).map(busy).collect());
        let bytes = serde_json::to_string(&told).expect("serialises").len();
        assert!(left_out == 0 && bytes < 200 << 10, "{bytes}");
        let first = &told[0];
        assert_eq!((first.in_flight.len(), first.calls_left_out), (CALLS, 8));
        assert_eq!(first.in_flight[0].age_ms, 39, "the oldest first");
        assert_eq!(first.in_flight[0].warrant["grants"], json!({"read": 4, "write": 1}));
        assert_eq!(first.open.len(), PEERS + 1);
    }

    #[test]
    fn small_things_are_told_whole() {
        let warrant = json!({"read": ["/srv/a"]});
        let session = SessionStatus {
            in_flight: vec![flying("read", 1, warrant.clone())],
            open: vec!["192.0.2.1 tcp/443".into()],
            ..SessionStatus::default()
        };
        let (told, _) = sessions(vec![session.clone()]);
        assert_eq!(told[0].in_flight[0].warrant, warrant);
        assert_eq!((&told[0].open, told[0].calls_left_out), (&session.open, 0));
    }

    #[test]
    fn what_needs_somebody_comes_first() {
        let frozen = Some(crate::session::FrozenStatus::default());
        let all = vec![
            SessionStatus { id: "idle".into(), ..SessionStatus::default() },
            SessionStatus {
                id: "busy".into(),
                in_flight: vec![flying("t", 1, json!({}))],
                ..SessionStatus::default()
            },
            SessionStatus { id: "frozen".into(), frozen, ..SessionStatus::default() },
        ];
        let order: Vec<_> = sessions(all).0.into_iter().map(|session| session.id).collect();
        assert_eq!(order, ["frozen", "busy", "idle"]);
        let many = vec![SessionStatus::default(); 300];
        assert_eq!(sessions(many).1, 300 - SESSIONS);
    }
}
