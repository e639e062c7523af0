//! A log with every kind of record, and every kind of effect, filled and empty.

use serde_json::{Value, json};
use warrantd::audit::{
    Attribution, Counts, DefinitionRecord, EffectsRecord, Event, Record, ResultMetadata, Status,
};
use warrantd::auth::Method;
use warrantd::config::{Action, Mode};
use warrantd::policy::network::Protocol;
use warrantd::warrant::{Effect, EffectKind, FileTarget, Outcome, Peer, Process, Target, Verdict};

/// The next kind, so that a kind that is added is sampled or does not compile.
fn next_event(event: Event) -> Option<Event> {
    Some(match event {
        Event::Call => Event::Authentication,
        Event::Authentication => Event::ProtocolError,
        Event::ProtocolError => Event::ServerRequest,
        Event::ServerRequest => Event::Task,
        Event::Task => Event::Startup,
        Event::Startup => Event::Unsolicited,
        Event::Unsolicited => Event::NameRefused,
        Event::NameRefused => Event::ToolChanged,
        Event::ToolChanged => Event::ToolNew,
        Event::ToolNew => Event::ToolVanished,
        Event::ToolVanished => Event::SessionStart,
        Event::SessionStart => Event::Frozen,
        Event::Frozen => Event::Thawed,
        Event::Thawed => Event::Killed,
        Event::Killed => Event::SessionEnd,
        Event::SessionEnd => Event::Start,
        Event::Start => Event::Stop,
        Event::Stop => Event::Reload,
        Event::Reload => Event::Gap,
        Event::Gap => Event::Repair,
        Event::Repair => Event::Checkpoint,
        Event::Checkpoint => Event::LogFailure,
        Event::LogFailure => Event::Retention,
        Event::Retention => Event::Alert,
        Event::Alert => return None,
    })
}

fn next_kind(kind: EffectKind) -> Option<EffectKind> {
    Some(match kind {
        EffectKind::FileRead => EffectKind::FileWrite,
        EffectKind::FileWrite => EffectKind::FileCreate,
        EffectKind::FileCreate => EffectKind::FileDelete,
        EffectKind::FileDelete => EffectKind::FileRename,
        EffectKind::FileRename => EffectKind::FileLink,
        EffectKind::FileLink => EffectKind::FileAttributes,
        EffectKind::FileAttributes => EffectKind::FileMap,
        EffectKind::FileMap => EffectKind::Mount,
        EffectKind::Mount => EffectKind::Exec,
        EffectKind::Exec => EffectKind::Connect,
        EffectKind::Connect => EffectKind::Send,
        EffectKind::Send => EffectKind::Packet,
        EffectKind::Packet => EffectKind::LatePacket,
        EffectKind::LatePacket => EffectKind::Bind,
        EffectKind::Bind => EffectKind::Socket,
        EffectKind::Socket => EffectKind::ConnectUnix,
        EffectKind::ConnectUnix => EffectKind::LeaveCgroup,
        EffectKind::LeaveCgroup => return None,
    })
}

/// The lines of the log.
pub(crate) fn lines() -> Vec<String> {
    let events = std::iter::successors(Some(Event::Call), |event| next_event(*event));
    let mut values = Vec::new();
    for event in events {
        values.push(value(&Record::new(event)));
        values.extend(filled(event));
    }
    values.push(json!({"event": "of the future", "timestamp": "2026-01-02T03:04:05.678Z"}));
    values.push(json!({}));
    values.into_iter().enumerate().map(numbered).collect()
}

fn value(record: &Record) -> Value {
    serde_json::to_value(record).unwrap_or_default()
}

fn numbered((n, mut value): (usize, Value)) -> String {
    value["seq"] = json!(n + 1);
    value["prev_hash"] = json!(format!("{n:064x}"));
    value["hash"] = json!(format!("{:032x}{:032x}", n + 1, 0));
    value.to_string()
}

/// Records of a kind with everything known, decided, observed, failed and seen in every way.
fn filled(event: Event) -> Vec<Value> {
    let mut values = Vec::new();
    for decision in [Action::Allow, Action::Deny] {
        for mode in [Mode::Enforce, Mode::Observe] {
            for status in [Status::Success, Status::Failure, Status::Timeout] {
                let mut record = known(event);
                record.policy_decision = Some(decision);
                record.mode = Some(mode);
                record.status = Some(status);
                values.push(value(&record));
            }
        }
    }
    for verdict in [Verdict::Within, Verdict::Exceeded, Verdict::Incomplete, Verdict::Unobserved] {
        for outcome in [Outcome::Allowed, Outcome::Denied] {
            let mut record = known(event);
            record.effects = Some(effects(verdict, outcome));
            values.push(value(&record));
        }
    }
    values
}

fn known(event: Event) -> Record {
    let text = |text: &str| Some(text.to_owned());
    Record {
        correlation_id: text("0198c0de-0000-7000-8000-000000000001"),
        continues: text("0198c0de-0000-7000-8000-000000000002"),
        during: Some(vec!["0198c0de-0000-7000-8000-000000000003".to_owned()]),
        session_id: text("run-1"),
        actor: text("assistant-service"),
        source_ip: text("2001:db8::1"),
        tool_name: text("read_text_file"),
        arguments: Some(json!({"path": "a.txt", "n": [1, null, {"a": "=|\\\n"}]})),
        server_id: text("files"),
        policy_decision: Some(Action::Allow),
        policy_rule_matched: text("allowed_tools"),
        auth_method: Some(Method::ApiKey),
        status: Some(Status::Success),
        error: text("something = wrong | with \\ this\nand that"),
        duration_ms: Some(12),
        result_metadata: Some(ResultMetadata {
            bytes: 3,
            content_items: Some(1),
            is_error: false,
            rows: None,
        }),
        model_output_ref: text("sha256:00"),
        context_sources: Some(json!(["web", {"doc": "x"}])),
        end_user_id: text("ada"),
        traceparent: text("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        effective_principal: text("nobody"),
        mode: Some(Mode::Enforce),
        server_root: text("/srv/data"),
        method: text("tools/call"),
        definition: Some(DefinitionRecord {
            old_hash: text("sha256:00"),
            new_hash: text("sha256:01"),
            changed: vec!["description".to_owned()],
            description: text("Reads a file."),
            similar_to: text("read_file"),
        }),
        operator_uid: Some(0),
        policy_generation: Some(1),
        ..Record::new(event)
    }
}

fn effects(verdict: Verdict, outcome: Outcome) -> EffectsRecord {
    let kinds: Vec<_> =
        std::iter::successors(Some(EffectKind::FileRead), |kind| next_kind(*kind)).collect();
    let all: Vec<Effect> =
        kinds.iter().flat_map(|kind| targets(*kind).map(|t| effect(*kind, outcome, t))).collect();
    let counts =
        Counts { ambient: 3, warranted: all.len(), exceeded: all.len(), lost: 1, cut: true };
    EffectsRecord {
        verdict,
        attribution: Attribution::Shared,
        backend: "tracepoint".to_owned(),
        counts,
        warranted: if verdict == Verdict::Within { all.clone() } else { Vec::new() },
        exceeded: if verdict == Verdict::Exceeded { all } else { Vec::new() },
    }
}

/// What an effect of a kind can be about.
fn targets(kind: EffectKind) -> impl Iterator<Item = Target> {
    let file = |path: &str| {
        Target::File(FileTarget { path: path.to_owned(), dev: 1, ino: 2, truncated: false })
    };
    let peer = |at: &str, protocol| {
        let peer = at.parse().unwrap_or_else(|_| ([0, 0, 0, 0], 0).into());
        Target::Peer(Peer { peer, protocol, names: vec!["api.example".to_owned()] })
    };
    let targets = match kind {
        EffectKind::Connect
        | EffectKind::Send
        | EffectKind::Packet
        | EffectKind::LatePacket
        | EffectKind::Bind
        | EffectKind::Socket => vec![
            peer("192.0.2.1:443", Protocol::Tcp),
            peer("[2001:db8::1]:53", Protocol::Udp),
            peer("0.0.0.0:0", Protocol::Other(132)),
        ],
        EffectKind::ConnectUnix => vec![file("/run/docker.sock"), file("@abstract")],
        EffectKind::Exec => vec![file("/usr/bin/git")],
        _ => vec![file("/srv/data/a.txt"), file("memfd:x"), file("/")],
    };
    targets.into_iter()
}

fn effect(kind: EffectKind, outcome: Outcome, target: Target) -> Effect {
    let argv =
        if kind == EffectKind::Exec { vec!["git".to_owned(), "log".to_owned()] } else { vec![] };
    let process = Process { pid: 7, tid: 8, uid: 1000, exe: "/usr/bin/node".to_owned() };
    Effect { kind, outcome, target, argv, argv_cut: false, process, seq: 1, boot_ns: 1 }
}
