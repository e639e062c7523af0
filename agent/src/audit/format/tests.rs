//! What holds for every format.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const FORMATS: [ShipFormat; 4] =
    [ShipFormat::Native, ShipFormat::Ocsf, ShipFormat::Ecs, ShipFormat::Cef];

fn origin() -> Origin {
    Origin { host: "host".to_owned(), version: "1" }
}

fn call(exceeded: usize, verdict: &str) -> String {
    let effect = json!({
        "kind": "file_read", "outcome": "allowed", "path": "/etc/shadow", "dev": 1, "ino": 2,
        "pid": 7, "tid": 7, "uid": 1000, "exe": "/usr/bin/node", "seq": 1, "boot_ns": 1,
    });
    let effects = json!({
        "verdict": verdict, "attribution": "exclusive", "backend": "tracepoint",
        "counts": {"ambient": 1, "warranted": 0, "exceeded": exceeded, "lost": 0, "cut": false},
        "warranted": [], "exceeded": vec![effect; exceeded],
    });
    json!({
        "timestamp": "2026-01-02T03:04:05.678Z", "event": "call", "correlation_id": "c",
        "actor": "a", "server_id": "s", "tool_name": "t", "method": "tools/call",
        "policy_decision": "ALLOW", "status": "FAILURE", "effects": effects,
        "seq": 9, "prev_hash": "0".repeat(64), "hash": "ab".repeat(32),
    })
    .to_string()
}

#[test]
fn a_record_becomes_itself_a_finding_and_its_effects_up_to_a_bound() {
    for format in [ShipFormat::Ocsf, ShipFormat::Ecs, ShipFormat::Cef] {
        assert_eq!(render(format, call(0, "WITHIN").as_bytes(), &origin()).len(), 1);
        assert_eq!(render(format, call(3, "EXCEEDED").as_bytes(), &origin()).len(), 5);
        let many = render(format, call(1000, "EXCEEDED").as_bytes(), &origin());
        assert_eq!(many.len(), 2 + part::MAX_EFFECTS);
        assert!(many[0].text.contains(&(1000 - part::MAX_EFFECTS).to_string()), "{}", many[0].text);
        let mut ids: Vec<_> = many.iter().map(|event| event.id.clone()).collect();
        assert_eq!(ids[0], format!("{}-0", "ab".repeat(16)));
        ids.dedup();
        assert_eq!(ids.len(), many.len());
    }
    let native = render(ShipFormat::Native, call(3, "EXCEEDED").as_bytes(), &origin());
    assert_eq!((native.len(), native[0].severity), (1, Severity::High));
    assert_eq!(native[0].text, call(3, "EXCEEDED"));
}

#[test]
fn a_line_that_cannot_be_read_is_an_event() {
    for line in
        [&b"nonsense"[..], b"[]", b"{}", b"\xff\xfe", br#"{"event":"of the future","seq":3}"#]
    {
        for format in FORMATS {
            let events = render(format, line, &origin());
            assert_eq!(events.len(), 1, "{line:?}");
            assert!(events[0].id.len() > 32 && events[0].severity == Severity::Medium);
        }
    }
}

proptest! {
    #[test]
    fn whatever_a_record_holds_an_event_is_one_line(
        text in any::<String>(), bytes in proptest::collection::vec(any::<u8>(), 0..60),
    ) {
        let line = json!({
            "event": "call", "seq": 1, "error": text, "actor": text, "tool_name": text,
            "arguments": {text.clone(): text}, "source_ip": text, "traceparent": text,
        });
        for format in FORMATS {
            for line in [line.to_string().as_bytes(), &bytes] {
                for event in render(format, line, &origin()) {
                    if format != ShipFormat::Native {
                        prop_assert!(!event.text.contains('\n'));
                    }
                    if matches!(format, ShipFormat::Ocsf | ShipFormat::Ecs) {
                        prop_assert!(serde_json::from_str::<Value>(&event.text).is_ok());
                    }
                }
            }
        }
    }
}
