//! A warrantd for people.

use super::session;
use crate::cli::plain::safe;
use crate::cli::words::{self, count, span};
use crate::config::Mode;
use crate::serve::{Counts, Overview, ReceiverView, ServerState, ServerView};
use crate::session::{Manner, ReachedPeer};

/// Everything, with a topic at the beginning of each line.
pub(super) fn describe(instance: &str, overview: &Overview) -> Vec<String> {
    let mut lines = Vec::new();
    if overview.pid > 0 {
        lines.extend(itself(instance, overview));
    } else {
        lines.push(format!("{instance}: another version, which tells of its sessions alone"));
    }
    for server in &overview.servers {
        lines.push(String::new());
        lines.extend(describe_server(server));
    }
    lines.push(String::new());
    if overview.sessions.is_empty() {
        lines.push("no sessions".to_owned());
    }
    for session in &overview.sessions {
        lines.extend(session::describe(instance, session));
    }
    if overview.sessions_left_out > 0 {
        lines.push(format!("and {} more", count(overview.sessions_left_out as u64, "session")));
    }
    lines
}

fn itself(instance: &str, overview: &Overview) -> Vec<String> {
    let Overview { version, pid, since, uptime_ms, configuration, kernel, log, .. } = overview;
    let up = span(*uptime_ms);
    let mut lines = vec![format!(
        "{instance}: warrantd {}, process {pid}, up {up} (since {})",
        safe(version),
        safe(since)
    )];
    let mut topic = |name: &str, text: String| lines.push(format!("  {name:<10} {text}"));
    if let Some(configuration) = configuration {
        let file = safe(&configuration.file);
        let since = safe(&configuration.since);
        topic(
            "configured",
            format!("by {file}, number {}, since {since}", configuration.generation),
        );
    }
    topic(
        "kernel",
        match kernel {
            Some(kernel) if kernel.enforces_files => {
                format!(
                    "network enforced; files seen, and enforced on request, by {}",
                    kernel.observer
                )
            }
            Some(kernel) => format!("network enforced; files seen by {}", kernel.observer),
            None => "OFF: nothing is enforced or seen".to_owned(),
        },
    );
    let file = safe(&log.file);
    topic(
        "audit log",
        match &log.trouble {
            Some(why) => format!("{file} CANNOT BE WRITTEN, every call is denied: {}", safe(why)),
            None => format!("{file}, last record {}", log.last),
        },
    );
    for receiver in &overview.receivers {
        topic("receiver", describe_receiver(receiver));
    }
    lines
}

fn describe_receiver(receiver: &ReceiverView) -> String {
    let ReceiverView { name, up, behind, last_sent, failures, rejected, missed, .. } = receiver;
    let state = match (up, last_sent) {
        (true, _) => "up",
        (false, None) if *failures == 0 => "nothing sent yet",
        (false, _) => "DOWN",
    };
    let behind = if *behind == 0 {
        "has everything".to_owned()
    } else {
        count(*behind, "record") + " behind"
    };
    let mut parts = vec![state.to_owned(), behind];
    for (number, what) in [(rejected, "event refused"), (missed, "record missed")] {
        if *number > 0 {
            parts.push(format!("{number} {what}"));
        }
    }
    if *failures > 0 {
        parts.push(count(*failures, "failure"));
    }
    if let (false, Some(at)) = (up, last_sent) {
        parts.push(format!("last sent {}", safe(at)));
    }
    let error = receiver.last_error.as_ref().filter(|_| !up || *rejected > 0 || *missed > 0);
    let error = error.map_or(String::new(), |error| format!(": {}", safe(error)));
    format!("{}: {}{error}", safe(name), parts.join(", "))
}

fn describe_server(server: &ServerView) -> Vec<String> {
    let state = match server.state {
        ServerState::Ready => "ready",
        ServerState::Up => "up",
        ServerState::Idle => "idle",
        ServerState::Down => "DOWN",
    };
    let mut lines = vec![format!("server {}  {state}", safe(&server.id))];
    let mut topic = |name: &str, text: String| lines.push(format!("  {name:<10} {text}"));
    topic("is", manner(server.manner).to_owned());
    let mode = match server.mode {
        Mode::Enforce => "enforced",
        Mode::Observe => "ONLY OBSERVED, nothing is held back",
    };
    let policy = if server.policy.is_empty() { "none".to_owned() } else { safe(&server.policy) };
    topic("policy", format!("{policy}, {mode}"));
    let sessions = count(server.sessions as u64, "session");
    topic("has", format!("{sessions}, {} in flight", count(server.in_flight as u64, "call")));
    topic("calls", calls(&server.counts));
    if server.counts.lost_events > 0 {
        topic("LOST", count(server.counts.lost_events, "kernel event"));
    }
    for (number, what) in [
        (server.counts.unsolicited, "record of effects between calls"),
        (server.counts.strangers, "failed authentication"),
    ] {
        if number > 0 {
            topic("besides", format!("{number} × {what}"));
        }
    }
    for peer in &server.peers {
        topic("reached", describe_peer(peer));
    }
    lines
}

/// How a server is run, in words.
fn manner(manner: Manner) -> &'static str {
    match manner {
        Manner::PerSession => "a process for each session",
        Manner::Shared => "a process for all sessions",
        Manner::Managed => "run by warrantd, spoken to over HTTP",
        Manner::Attached => "run by something else, watched in its cgroup",
        Manner::Unobserved => "elsewhere, seen by nobody",
    }
}

fn calls(counts: &Counts) -> String {
    if counts.calls == 0 {
        return "none has ended".to_owned();
    }
    let parts = [
        (counts.within, "within"),
        (counts.exceeded, "EXCEEDED"),
        (counts.incomplete, "INCOMPLETE"),
        (counts.unobserved, "unobserved"),
        (counts.denied, "denied"),
        (counts.timed_out, "timed out"),
    ];
    let parts = parts.iter().filter(|(number, _)| *number > 0);
    let parts: Vec<_> = parts.map(|(number, what)| format!("{number} {what}")).collect();
    let all = counts.calls;
    let took = match (counts.durations.percentile(50), counts.durations.percentile(99)) {
        (Some(half), Some(most)) => {
            let (half, most) = (words::duration(half), words::duration(most));
            format!("; half of them within {half}, 99 of 100 within {most}")
        }
        _ => String::new(),
    };
    if parts.is_empty() {
        format!("{all}{took}")
    } else {
        format!("{all}: {}{took}", parts.join(", "))
    }
}

/// `192.0.2.1:443 tcp (api.example.com), 12 times, last 2026-…`.
fn describe_peer(peer: &ReachedPeer) -> String {
    let ReachedPeer { peer: address, protocol, name, allowed, denied, last } = peer;
    let name = name.as_ref().map_or(String::new(), |name| format!(" ({})", safe(name)));
    let mut times = Vec::new();
    if *allowed > 0 {
        times.push(format!("{allowed} ×"));
    }
    if *denied > 0 {
        times.push(format!("REFUSED {denied} ×"));
    }
    format!("{address} {protocol}{name}, {}, last {}", times.join(", "), safe(last))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::network::Protocol;
    use crate::serve::{ConfigurationView, Durations, KernelView, LogView};

    fn overview() -> Overview {
        let counts = Counts {
            calls: 120,
            within: 113,
            exceeded: 1,
            denied: 6,
            lost_events: 2,
            strangers: 4,
            durations: Durations(vec![(4, 60), (210, 60)]),
            ..Counts::default()
        };
        let peer = ReachedPeer {
            peer: "192.0.2.1:443".parse().expect("an address"),
            protocol: Protocol::Tcp,
            name: Some("a.example\u{1b}".into()),
            allowed: 12,
            denied: 0,
            last: "2026-11-23T18:00:00Z".into(),
        };
        let refused = ReachedPeer { allowed: 0, denied: 3, name: None, ..peer.clone() };
        let files = ServerView {
            id: "files".into(),
            policy: "/etc/warrantd/files.yaml".into(),
            sessions: 2,
            in_flight: 1,
            counts,
            peers: vec![peer, refused],
            ..ServerView::default()
        };
        let notes = ServerView {
            id: "notes".into(),
            policy: "/etc/warrantd/notes.yaml".into(),
            manner: Manner::Managed,
            state: ServerState::Down,
            mode: Mode::Observe,
            ..ServerView::default()
        };
        let pager = ReceiverView {
            name: "pager".into(),
            behind: 12,
            failures: 3,
            last_sent: Some("2026-11-23T17:00:00Z".into()),
            last_error: Some("connection refused".into()),
            ..ReceiverView::default()
        };
        let siem = ReceiverView { name: "siem".into(), up: true, ..ReceiverView::default() };
        Overview {
            version: "0.1.0".into(),
            pid: 4711,
            since: "2026-11-20T14:00:00.000Z".into(),
            uptime_ms: 273_600_000,
            configuration: Some(ConfigurationView {
                file: "/etc/warrantd/warrantd.yaml".into(),
                generation: 3,
                since: "2026-11-22T09:00:00.000Z".into(),
                ..ConfigurationView::default()
            }),
            kernel: Some(KernelView { observer: "tracepoint".into(), enforces_files: false }),
            servers: vec![files, notes],
            log: LogView {
                file: "/var/log/warrantd/audit.jsonl".into(),
                last: 18_204,
                trouble: None,
            },
            receivers: vec![siem, pager],
            ..Overview::default()
        }
    }

    #[test]
    fn a_daemon_reads_well() {
        let expected = r"serve: warrantd 0.1.0, process 4711, up 3d 4h (since 2026-11-20T14:00:00.000Z)
  configured by /etc/warrantd/warrantd.yaml, number 3, since 2026-11-22T09:00:00.000Z
  kernel     network enforced; files seen by tracepoint
  audit log  /var/log/warrantd/audit.jsonl, last record 18204
  receiver   siem: up, has everything
  receiver   pager: DOWN, 12 records behind, 3 failures, last sent 2026-11-23T17:00:00Z: connection refused

server files  ready
  is         a process for each session
  policy     /etc/warrantd/files.yaml, enforced
  has        2 sessions, 1 call in flight
  calls      120: 113 within, 1 EXCEEDED, 6 denied; half of them within 4ms, 99 of 100 within 210ms
  LOST       2 kernel events
  besides    4 × failed authentication
  reached    192.0.2.1:443 tcp (a.example\u{1b}), 12 ×, last 2026-11-23T18:00:00Z
  reached    192.0.2.1:443 tcp, REFUSED 3 ×, last 2026-11-23T18:00:00Z

server notes  DOWN
  is         run by warrantd, spoken to over HTTP
  policy     /etc/warrantd/notes.yaml, ONLY OBSERVED, nothing is held back
  has        no session, no call in flight
  calls      none has ended

no sessions";
        assert_eq!(describe("serve", &overview()).join("\n"), expected);
    }

    #[test]
    fn trouble_is_told_aloud() {
        let log = LogView { trouble: Some("No space left".into()), ..LogView::default() };
        let text = describe("serve", &Overview { kernel: None, log, ..overview() }).join("\n");
        assert!(text.contains("kernel     OFF") && text.contains("CANNOT BE WRITTEN"), "{text}");
        assert!(text.contains("No space left"), "{text}");
    }
}
