//! A record for people: what it is about in one line, and below what they would ask next.
//!
//! What came from outside is shown without anything that steers a terminal or hides.

use std::io::IsTerminal;

use serde::Deserialize;
use serde_json::Value;

use crate::policy::pin::{shortened, visible};
use crate::warrant::Effect;

/// Characters of a value that are shown.
const LENGTH: usize = 400;

/// How text stands out (ECMA-48, section 8.3.117).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Colour(bool);

impl Colour {
    /// On a terminal, unless `NO_COLOR` is set (no-color.org).
    pub(super) fn of_stdout() -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self(wanted && std::io::stdout().is_terminal())
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn word(self, word: &str) -> String {
        match word {
            "EXCEEDED" | "INCOMPLETE" => self.with("1;31", word),
            "DENY" | "FAILURE" | "TIMEOUT" => self.with("31", word),
            "ALLOW" | "SUCCESS" | "WITHIN" => self.with("32", word),
            "UNOBSERVED" => self.with("33", word),
            other => other.to_owned(),
        }
    }
}

/// The lines that a record is shown in.
pub(super) fn describe(record: &Value, colour: Colour) -> Vec<String> {
    let text = |field: &str| record.get(field).and_then(Value::as_str);
    let mut lines = vec![headline(record, colour)];
    let mut topic = |name: &str, text: &str| lines.push(format!("    {name:<10} {text}"));
    if let Some(error) = text("error") {
        topic("error", &colour.with("31", &shortened(error, LENGTH)));
    }
    if let Some(rule) = text("policy_rule_matched") {
        topic("rule", &visible(rule));
    }
    if let Some(arguments) = record.get("arguments").filter(|value| !value.is_null()) {
        topic("arguments", &shortened(&arguments.to_string(), LENGTH));
    }
    for (name, kind) in [("EXCEEDED", "exceeded"), ("did", "warranted")] {
        let effects = record.pointer(&format!("/effects/{kind}")).and_then(Value::as_array);
        for effect in effects.into_iter().flatten() {
            let shown = match Effect::deserialize(effect) {
                Ok(effect) => shortened(&effect.to_string(), LENGTH),
                Err(_) => shortened(&effect.to_string(), LENGTH),
            };
            let name = format!("{name:<10}");
            let name = if kind == "exceeded" { colour.with("1;31", &name) } else { name };
            topic(&name, &shown);
        }
    }
    if let Some(lost) =
        record.pointer("/effects/counts/lost").filter(|lost| lost.as_u64() > Some(0))
    {
        topic("lost", &format!("{lost} kernel events"));
    }
    let who = [
        ("session", "session_id"),
        ("from", "source_ip"),
        ("by", "auth_method"),
        ("as", "effective_principal"),
        ("for", "end_user_id"),
        ("trace", "traceparent"),
    ];
    let who =
        who.iter().filter_map(|(name, field)| Some(format!("{name} {}", visible(text(field)?))));
    let who = who.collect::<Vec<_>>().join("  ");
    if !who.is_empty() {
        topic("who", &who);
    }
    let id = text("correlation_id").map_or(String::new(), |id| format!("  {}", visible(id)));
    let seq = record.get("seq").map_or(String::new(), |seq| format!("#{seq}"));
    topic("record", &format!("{seq}{id}"));
    lines
}

/// `2026-04-19 10:30:00.123  call  files/read_text_file  assistant-service  ALLOW SUCCESS WITHIN  12 ms`
fn headline(record: &Value, colour: Colour) -> String {
    let text = |field: &str| record.get(field).and_then(Value::as_str);
    let time = text("timestamp").unwrap_or("?").replacen('T', " ", 1);
    let event = text("event").unwrap_or("?");
    let what = match (text("tool_name").or(text("method")), text("server_id")) {
        (Some(what), Some(server)) => format!("{server}/{what}"),
        (Some(what), None) => what.to_owned(),
        (None, Some(server)) => server.to_owned(),
        (None, None) => String::new(),
    };
    let verdict = record.pointer("/effects/verdict").and_then(Value::as_str);
    let words = [text("policy_decision"), text("status"), verdict];
    let words: Vec<_> =
        words.into_iter().flatten().map(|word| colour.word(&visible(word))).collect();
    let duration = record.get("duration_ms").and_then(Value::as_u64);
    let parts = [
        visible(&time).into_owned(),
        colour.with("1", &visible(event)),
        visible(&what).into_owned(),
        visible(text("actor").unwrap_or_default()).into_owned(),
        words.join(" "),
        duration.map_or(String::new(), |ms| format!("{ms} ms")),
    ];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("  ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_call_is_read_at_a_glance() {
        let record = json!({
            "timestamp": "2026-04-19T10:30:00.123Z", "event": "call", "server_id": "files",
            "tool_name": "read_text_file", "actor": "assistant-service", "policy_decision": "ALLOW",
            "status": "FAILURE", "duration_ms": 12, "seq": 7, "correlation_id": "c-1",
            "arguments": {"path": "a"}, "error": "response withheld",
            "effects": {"verdict": "EXCEEDED", "counts": {"lost": 0}, "warranted": [], "exceeded": [{
                "kind": "file_read", "outcome": "allowed", "path": "/etc/shadow", "exe": "/usr/bin/node",
                "pid": 71, "tid": 71, "uid": 1000, "seq": 1, "boot_ns": 1, "no": "such field",
            }]},
        });
        let lines = describe(&record, Colour(false));
        assert_eq!(
            lines.first().map(String::as_str),
            Some(
                "2026-04-19 10:30:00.123Z  call  files/read_text_file  assistant-service  ALLOW FAILURE EXCEEDED  12 ms"
            )
        );
        let exceeded =
            lines.iter().find(|line| line.contains("EXCEEDED  ")).expect("what exceeded");
        assert!(exceeded.contains("/etc/shadow") && exceeded.contains("71"), "{exceeded}");
        assert!(lines.iter().any(|line| line.contains("#7") && line.contains("c-1")), "{lines:#?}");
    }

    #[test]
    fn nothing_from_outside_steers_the_terminal() {
        let evil = "x\x1b[2J\r\n\u{202e}y";
        let record = json!({
            "timestamp": evil, "event": evil, "server_id": evil, "tool_name": evil, "actor": evil,
            "policy_decision": evil, "status": evil, "arguments": {evil: evil}, "error": evil,
            "policy_rule_matched": evil, "session_id": evil, "correlation_id": evil,
            "effects": {"verdict": evil, "exceeded": [evil]},
        });
        for line in describe(&record, Colour(false)) {
            assert!(!line.contains(['\x1b', '\n', '\r', '\u{202e}']), "{line:?}");
        }
    }
}
