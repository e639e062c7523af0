//! Logs that are learned from as a whole.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::config::PolicyFile;

/// A record of a call of an observed server.
fn call(seq: u64, tool: &str, arguments: impl Into<Value>, effects: &[Value]) -> Value {
    let arguments = arguments.into();
    json!({
        "seq": seq, "timestamp": format!("2026-05-01T10:00:{:02}.000Z", seq % 60), "event": "call",
        "mode": "observe", "session_id": "s1", "actor": "client", "tool_name": tool,
        "arguments": arguments, "server_id": "files", "policy_decision": "DENY", "status": "SUCCESS",
        "method": "tools/call", "effects": seen(effects),
    })
}

fn seen(effects: &[Value]) -> Value {
    json!({
        "verdict": "EXCEEDED", "attribution": "exclusive", "counts": {"lost": 0, "cut": false},
        "warranted": [], "exceeded": effects,
    })
}

fn start(seq: u64, effects: &[Value]) -> Value {
    json!({
        "seq": seq, "timestamp": "2026-05-01T09:59:00.000Z", "event": "startup", "mode": "observe",
        "session_id": "s1", "actor": "client", "tool_name": null, "arguments": null,
        "server_id": "files", "policy_decision": null, "status": null, "method": null,
        "effects": seen(effects),
    })
}

fn session() -> Value {
    json!({
        "seq": 1, "timestamp": "2026-05-01T09:59:00.000Z", "event": "session_start", "mode": "observe",
        "server_root": "/srv", "session_id": "s1", "actor": "client", "tool_name": null,
        "arguments": null, "server_id": "files", "policy_decision": null, "status": null,
        "method": null, "effects": null,
    })
}

fn did(kind: &str, target: &Value) -> Value {
    let mut effect = json!({
        "kind": kind, "outcome": "allowed", "pid": 7, "tid": 7, "uid": 1000, "exe": "/usr/bin/server",
        "seq": 1, "boot_ns": 1,
    });
    for (key, value) in target.as_object().expect("an object") {
        effect[key] = value.clone();
    }
    effect
}

fn file(kind: &str, path: &str) -> Value {
    did(kind, &json!({"path": path, "dev": 1, "ino": 2}))
}

fn peer(kind: &str, address: &str, names: &[&str]) -> Value {
    did(kind, &json!({"peer": address, "protocol": "tcp", "names": names}))
}

fn ran(path: &str, argv: &[&str]) -> Value {
    did("exec", &json!({"path": path, "dev": 1, "ino": 2, "argv": argv, "pid": 8}))
}

fn material(records: Vec<Value>) -> Material {
    let entries = std::iter::once(session()).chain(records);
    let entries = entries.map(|record| serde_json::from_value(record).expect("an entry")).collect();
    let log = LogFile { name: "run-a.jsonl".to_owned(), entries };
    select(&[log], None, &[]).expect("something to learn from")
}

/// The learned policy as text, and what it says of the calls that it was learned from.
fn learned(material: &Material) -> (String, Trial) {
    let text = learn(material).to_yaml(None);
    let file: PolicyFile = serde_yaml::from_str(&text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    let trial = Trial::of(&file, material).unwrap_or_else(|e| panic!("{e:?}\n{text}"));
    (text, trial)
}

/// Demands that every call is within the policy that was learned, and these lines.
#[track_caller]
fn expect(records: Vec<Value>, lines: &[&str]) -> String {
    let (text, trial) = learned(&material(records));
    assert_eq!(trial.refused, [], "{text}");
    for line in lines {
        assert!(text.lines().any(|row| row.contains(line)), "no `{line}` in\n{text}");
    }
    text
}

#[test]
fn effects_follow_from_arguments() {
    expect(
        vec![
            call(2, "read", json!({"path": "public/a"}), &[file("file_read", "/srv/public/a")]),
            call(
                3,
                "read",
                json!({"path": "/srv/public/b"}),
                &[file("file_read", "/srv/public/b")],
            ),
            call(
                4,
                "write",
                json!({"path": "out/a.md", "content": "x"}),
                &[
                    file("file_read", "/srv/out"),
                    file("file_create", "/srv/out/a.md.5fd1c02e.tmp"),
                    file("file_rename", "/srv/out/a.md.5fd1c02e.tmp"),
                    file("file_rename", "/srv/out/a.md"),
                ],
            ),
            call(
                5,
                "list",
                json!({"path": "/srv/public"}),
                &[file("file_read", "/srv/public/sub")],
            ),
            call(6, "many", json!({"paths": ["x/a", "x/b"]}), &[file("file_read", "/srv/x/b")]),
        ],
        &[
            "- \"/srv/public/**\" # 2 calls, first seq 2",
            "- \"${arguments.path}\" # 2 calls, first seq 2",
            "- \"${arguments.path}.*.tmp\" # 1 call, first seq 4",
            "- \"${arguments.path}/**\" # 1 call, first seq 5",
            "- \"${arguments.paths}\" # 1 call, first seq 6",
            "path_arguments: [paths]",
            "- /srv/out/a.md # 1 call, first seq 4",
        ],
    );
}

#[test]
fn what_follows_from_nothing_stays_exact_and_says_where_it_was_seen() {
    let text = expect(
        vec![
            call(
                2,
                "status",
                json!({}),
                &[file("file_read", "/srv/.env"), ran("/bin/sh", &["sh", "-c", "x"])],
            ),
            call(
                3,
                "status",
                json!({}),
                &[file("file_write", "/var/lib/x"), ran("/bin/sh", &["sh", "-c", "y"])],
            ),
        ],
        &[
            "- /srv/.env # REVIEW: looks like a secret (1 call, first seq 2)",
            "- /var/lib/x # REVIEW: writes outside the server's directory (1 call, first seq 3)",
            "- {program: /bin/sh, args: [\"-c\"]} # REVIEW: runs sh, which runs whatever it is told (2 calls",
            "#   status (client): 2 in a minute, 2 in an hour",
        ],
    );
    assert!(!text.contains("constraints:"), "{text}");
}

#[test]
fn peers_follow_from_arguments_and_open_the_network() {
    expect(
        vec![
            call(
                2,
                "get",
                json!({"host": "10.0.0.7", "port": 8080}),
                &[peer("connect", "10.0.0.7:8080", &[])],
            ),
            call(
                3,
                "fetch",
                json!({"url": "https://api.example.com/a"}),
                &[peer("connect", "8.8.8.8:443", &["api.example.com"])],
            ),
            call(4, "sync", json!({}), &[peer("connect", "9.9.9.9:853", &[])]),
        ],
        &[
            "- \"${arguments.host}:${arguments.port}\" # 1 call",
            "- {cidr: \"10.0.0.7/32\", ports: [8080], protocol: tcp} # 1 record",
            "- \"${arguments.url}\" # REVIEW: a public network peer (1 call",
            "- {host: api.example.com, ports: [443], protocol: tcp} # REVIEW: a public network peer",
            "- \"https://api.example.com/**\" # 1 call, first seq 3",
            "- \"9.9.9.9:853\" # REVIEW: a public network peer (1 call",
        ],
    );
}

#[test]
fn parts_of_paths_are_found_when_two_calls_agree() {
    let note = |seq, name: &str| {
        let path = format!("/srv/notes/{name}.json");
        call(seq, "note", json!({"name": name}), &[file("file_write", &path)])
    };
    expect(
        vec![note(2, "alpha"), note(3, "beta")],
        &["\"/srv/notes/${arguments.name}.json\" # 2 calls"],
    );
    expect(vec![note(2, "alpha")], &["- /srv/notes/alpha.json # 1 call"]);
}

#[test]
fn reads_beside_calls_are_ambient_and_other_starts_are_starts() {
    let text = expect(
        vec![
            start(
                2,
                &[
                    file("file_read", "/etc/hosts"),
                    file("file_create", "/srv/state"),
                    peer("connect", "9.9.9.9:443", &[]),
                ],
            ),
            call(
                3,
                "a",
                json!({}),
                &[file("file_read", "/etc/hosts"), file("file_read", "/etc/mime.types")],
            ),
            call(4, "b", json!({}), &[file("file_read", "/etc/mime.types")]),
            call(5, "c", json!({}), &[file("file_read", "/etc/mime.types")]),
        ],
        &[
            "- /etc/hosts # 2 records, first seq 2",
            "- /etc/mime.types # 3 records, first seq 3",
            "- /srv/state # 1 start, first seq 2",
            "- \"9.9.9.9:443\" # REVIEW: a public network peer (1 start",
            "a: {} # nothing beyond ambient",
        ],
    );
    assert!(text.contains("  startup:\n    write:\n"), "{text}");
}

#[test]
fn redacted_arguments_are_no_templates() {
    let records = vec![call(
        2,
        "read",
        json!({"path": "/srv/mail/[EMAIL]/inbox"}),
        &[file("file_read", "/srv/mail/ann@example.com/inbox")],
    )];
    let (text, _) = learned(&material(records));
    assert!(!text.contains("${arguments.path}"), "{text}");
    let line =
        "- \"/srv/mail/ann@example.com/inbox\" # REVIEW: argument `path` is taken out of the log";
    assert!(text.contains(line), "{text}");
    assert!(!text.contains("[EMAIL]"), "{text}");
}

#[test]
fn what_is_not_whole_or_was_caught_is_named_and_not_learned_from() {
    let read = [file("file_read", "/srv/x/secret")];
    let good = |seq| call(seq, "read", json!({"path": "a"}), &[file("file_read", "/srv/a")]);
    let with = |seq, change: &dyn Fn(&mut Value)| {
        let mut record = call(seq, "read", json!({"path": "x/secret"}), &read);
        change(&mut record);
        record
    };
    let records = vec![
        good(2),
        with(3, &|r| r["effects"]["counts"]["lost"] = json!(4)),
        with(4, &|r| r["effects"]["counts"]["cut"] = json!(true)),
        with(5, &|r| r["effects"]["verdict"] = json!("UNOBSERVED")),
        with(6, &|r| r["effects"]["attribution"] = json!("shared")),
        with(7, &|r| r["status"] = json!("FAILURE")),
        with(8, &|r| r["mode"] = json!("enforce")),
        with(9, &|r| {
            r["mode"] = json!("enforce");
            r["policy_decision"] = json!("ALLOW");
        }),
    ];
    let text = expect(
        records,
        &[
            "# learned from: 1 call by 1 actor",
            "# not learned from: 2 calls, INCOMPLETE: kernel events were lost (seq 3, 4)",
            "UNOBSERVED: no kernel view (seq 5)",
            "# not learned from: 1 call, failed (seq 7)",
            "# not learned from: 1 call, denied by an enforced policy (seq 8)",
            "# not learned from: 1 call, EXCEEDED under an enforced policy (seq 9)",
        ],
    );
    assert!(!text.contains("secret"), "{text}");
}

#[test]
fn a_task_counts_once_with_all_that_it_did() {
    let early = [file("file_read", "/srv/a")];
    let mut begun = call(2, "build", json!({}), &early);
    let mut ended = call(3, "build", json!({}), &[early[0].clone(), file("file_write", "/srv/b")]);
    ended["event"] = json!("task");
    for record in [&mut begun, &mut ended] {
        record["correlation_id"] = json!("c1");
    }
    expect(
        vec![begun, ended],
        &["- /srv/b # 1 call, first seq 3", "learned from: 1 call by 1 actor"],
    );
}

#[test]
fn what_no_policy_can_allow_is_told() {
    let mut refused = peer("connect", "127.0.0.1:5432", &[]);
    refused["outcome"] = json!("denied");
    let records = vec![call(2, "query", json!({}), &[refused, file("file_read", "memfd:x")])];
    let (text, trial) = learned(&material(records));
    assert!(
        text.contains("REVIEW: connect tcp 127.0.0.1:5432: the kernel refused it (1 record"),
        "{text}"
    );
    assert!(text.contains("REVIEW: file_read memfd:x: it has no path"), "{text}");
    assert_eq!(trial.refused.len(), 1, "{trial:?}");
    assert!(!text.contains("cidr"), "{text}");
}

#[test]
fn methods_beside_tools_are_proposed_for_review() {
    let of = |seq: u64, event: &str, method: &str, arguments: Value| {
        let mut record = call(seq, "", arguments, &[]);
        record["tool_name"] = Value::Null;
        record["event"] = json!(event);
        record["method"] = json!(method);
        record
    };
    let asks = json!({"asks": [{"method": "elicitation/create", "params": {}}]});
    let text = expect(
        vec![
            call(2, "t", json!({}), &[]),
            of(3, "call", "resources/read", json!({"uri": "memo://a"})),
            of(4, "call", "com.example/x", json!({})),
            of(5, "server_request", "roots/list", json!({})),
            of(6, "server_request", "tools/call", asks),
        ],
        &[
            "- resources/read # REVIEW: for every actor",
            "- roots/list # REVIEW: the server asks the client (1 record, first seq 5)",
            "- elicitation/create # REVIEW: the server asks the client",
            "not learned from: `com.example/x`, which MCP does not have",
        ],
    );
    assert!(!text.contains("- com.example/x"), "{text}");
}

#[test]
fn a_call_that_was_not_seen_is_denied_or_exceeded() {
    let read = |path: &str, touched: &str| {
        call(2, "read", json!({"path": path}), &[file("file_read", touched)])
    };
    let text = learn(&material(vec![read("public/a", "/srv/public/a")])).to_yaml(None);
    let policy: PolicyFile = serde_yaml::from_str(&text).expect("loads");
    for (path, touched) in [
        ("public/b", "/srv/public/b"),
        ("secret", "/srv/secret"),
        ("public/../secret", "/srv/secret"),
        ("public/a", "/srv/secret"),
    ] {
        let trial = Trial::of(&policy, &material(vec![read(path, touched)])).expect("compiles");
        assert_eq!(trial.refused.len(), 1, "{path} {touched}");
    }
    let same = Trial::of(&policy, &material(vec![read("public/a", "/srv/public/a")]));
    assert_eq!(same.expect("compiles").refused, []);
}

#[test]
fn differences_are_told_both_ways() {
    let records = || {
        vec![
            call(2, "read", json!({"path": "public/a"}), &[file("file_read", "/srv/public/a")]),
            call(3, "sync", json!({}), &[peer("connect", "9.9.9.9:853", &[])]),
        ]
    };
    let own = learn(&material(records())).to_yaml(None);
    let own: PolicyFile = serde_yaml::from_str(&own).expect("loads");
    assert!(compare(&material(records()), &own).expect("compares").is_none());
    let other = "
actors: [{id: client, allowed_tools: [read, write]}, {id: nobody}]
constraints: {read: {allowed_paths: ['public/**', 'docs/**']}}
network: {allow: [{cidr: 10.0.0.0/8, ports: [80]}]}
effects: {tools: {read: {read: ['${arguments.path}', /etc/hosts]}}}
";
    let other: PolicyFile = serde_yaml::from_str(other).expect("loads");
    let difference = compare(&material(records()), &other).expect("compares");
    let keys: Vec<_> = difference.unused.iter().map(|unused| unused.key.as_str()).collect();
    assert_eq!(
        keys,
        [
            "actors[0].allowed_tools[1]",
            "actors[1]",
            "constraints.read.allowed_paths[1]",
            "effects.tools.read.read[1]",
            "network.allow[0]",
        ]
    );
    let new: Vec<_> = difference.not_allowed.iter().map(Item::text).collect();
    assert!(new.iter().any(|what| what.starts_with("call of sync by client")), "{new:?}");
    assert!(new.contains(&"network: tcp 9.9.9.9 port 853 is closed"), "{new:?}");
    assert_eq!(new.len(), 2, "{new:?}");
}

fn names() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{1,6}(/[a-z]{1,4}){0,2}",
        Just("public/a b".to_owned()),
        Just("x/*".to_owned()),
        Just("x/{a,b}".to_owned()),
        Just("x/[1]".to_owned()),
        Just("x/$a".to_owned()),
        Just(".env".to_owned()),
    ]
}

fn touched(path: &str, how: u8, other: &str) -> Value {
    match how {
        0 => file("file_read", &format!("/srv/{path}")),
        1 => file("file_create", &format!("/srv/{path}.9f8e7d6c.tmp")),
        2 => file("file_read", &format!("/srv/{path}/{other}")),
        3 => file("file_delete", &format!("/srv/{path}")),
        4 => file("file_read", &format!("/opt/lib/data/{other}")),
        5 => ran("/usr/bin/git", &["git", "log", other]),
        6 => peer("connect", "10.0.0.7:8080", &[]),
        7 => peer("send", "8.8.8.8:443", &["b.example", "a.example"]),
        8 => file("file_write", &format!("/tmp/tmp{other}")),
        9 => file("connect_unix", "/run/db.sock"),
        _ => file("file_map", "/opt/lib/x.so"),
    }
}

fn records() -> impl Strategy<Value = Vec<Value>> {
    let effects = proptest::collection::vec((0_u8..11, names()), 0..4);
    let one = (0_usize..3, proptest::option::of(names()), names(), effects);
    let one = one.prop_map(|(tool, path, other, effects)| {
        let mut arguments = json!({"name": other, "host": "10.0.0.7", "port": 8080});
        if let Some(path) = &path {
            arguments["path"] = json!(path);
        }
        let path = path.unwrap_or_else(|| "p".to_owned());
        let effects = effects.iter().map(|(how, other)| touched(&path, *how, other)).collect();
        (["read", "write", "run"][tool], arguments, effects)
    });
    proptest::collection::vec(one, 1..8).prop_map(|calls| {
        let record = |(seq, (tool, arguments, effects)): (u64, (&str, Value, Vec<Value>))| {
            call(seq, tool, arguments, &effects)
        };
        (2..).zip(calls).map(record).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_call_that_was_learned_from_is_within(records in records()) {
        let (text, trial) = learned(&material(records.clone()));
        prop_assert!(trial.refused.is_empty(), "{:?}\n{}", trial.refused, text);
        let file: PolicyFile = serde_yaml::from_str(&text).expect("loads");
        let difference = compare(&material(records), &file).expect("compares");
        prop_assert!(difference.not_allowed.is_empty(), "{:?}\n{}", difference.not_allowed, text);
    }

    #[test]
    fn the_order_of_records_does_not_count(records in records()) {
        let forwards = learn(&material(records.clone())).to_yaml(None);
        let backwards = learn(&material(records.into_iter().rev().collect())).to_yaml(None);
        prop_assert_eq!(forwards, backwards);
    }
}
