//! Records as people read them: what happened in the first line, what matters of it below, what nothing
//! covered in view.

use std::fmt::Write;
use std::io::IsTerminal;

use serde_json::Value;

use crate::policy::pin::shortened;
use crate::warrant::Effect;

/// Effects of each kind that are shown; the record has all.
const SHOWN: usize = 20;
/// Characters of a value that are shown.
const LONGEST: usize = 300;

/// How records are shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    colours: bool,
}

const RED: &str = "31";
const GREEN: &str = "32";
const YELLOW: &str = "33";
const BOLD: &str = "1";
const DIM: &str = "2";

impl Style {
    /// With colours where standard output is a terminal that is to have them (<https://no-color.org>).
    pub(super) fn of_output() -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { colours: wanted && std::io::stdout().is_terminal() }
    }

    fn paint(self, colour: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// A record in lines.
    pub(super) fn record(self, record: &Value) -> String {
        let mut text = self.headline(record);
        let mut line = |name: &str, colour: &str, value: &str| {
            let _ = write!(text, "\n    {} {value}", self.paint(colour, &format!("{name:<10}")));
        };
        if let Some(arguments) = record.get("arguments").filter(|value| !value.is_null()) {
            line("arguments", DIM, &clean(&arguments.to_string()));
        }
        if let Some(rule) = word(record, "/policy_rule_matched") {
            line("rule", DIM, &clean(rule));
        }
        if let Some(error) = word(record, "/error") {
            line("error", YELLOW, &clean(error));
        }
        for (list, name, colour) in [("exceeded", "EXCEEDED", RED), ("warranted", "warranted", DIM)]
        {
            let effects = record.pointer(&format!("/effects/{list}")).and_then(Value::as_array);
            let effects = effects.map_or(&[][..], Vec::as_slice);
            for effect in effects.iter().take(SHOWN) {
                line(name, colour, &clean(&describe(effect)));
            }
            if effects.len() > SHOWN {
                line(name, colour, &format!("and {} more", effects.len() - SHOWN));
            }
        }
        let facts = facts(record);
        if !facts.is_empty() {
            line("", DIM, &self.paint(DIM, &facts.join(", ")));
        }
        text
    }

    /// When, what, how it ended, who and what of.
    fn headline(self, record: &Value) -> String {
        let seq = record.get("seq").and_then(Value::as_u64).unwrap_or_default();
        let at = word(record, "/timestamp").map(clean).unwrap_or_default();
        let at = at.replacen('T', " ", 1);
        let mut text =
            format!("{} {}", self.paint(DIM, &format!("{at} #{seq}")), self.event(record));
        if let Some(decision) = word(record, "/policy_decision") {
            let colour = if decision == "DENY" { RED } else { GREEN };
            let _ = write!(text, " {}", self.paint(colour, &clean(decision)));
        }
        if let Some(verdict) = word(record, "/effects/verdict") {
            let colour = match verdict {
                "WITHIN" => GREEN,
                "EXCEEDED" => RED,
                _ => YELLOW,
            };
            let _ = write!(text, " {}", self.paint(colour, &clean(verdict)));
        }
        if let Some(status) = word(record, "/status").filter(|status| *status != "SUCCESS") {
            let _ = write!(text, " {}", self.paint(YELLOW, &clean(status)));
        }
        if word(record, "/mode") == Some("observe") {
            let _ = write!(text, " {}", self.paint(YELLOW, "(observed only)"));
        }
        let actor = word(record, "/actor").map(clean);
        let server = word(record, "/server_id").map(clean);
        let what = word(record, "/tool_name").or_else(|| word(record, "/method")).map(clean);
        if let Some(actor) = actor {
            let _ = write!(text, "  {actor}");
        }
        if let Some(server) = server {
            let _ = write!(text, " -> {server}");
        }
        if let Some(what) = what {
            let _ = write!(text, ": {}", self.paint(BOLD, &what));
        }
        text
    }

    fn event(self, record: &Value) -> String {
        self.paint(BOLD, &clean(word(record, "/event").unwrap_or("?")))
    }
}

/// What is good to know, in few words.
fn facts(record: &Value) -> Vec<String> {
    let number = |path: &str| record.pointer(path).and_then(Value::as_u64);
    let mut facts = Vec::new();
    if let Some(millis) = number("/duration_ms") {
        facts.push(format!("{millis} ms"));
    }
    if let Some(bytes) = number("/result_metadata/bytes") {
        facts.push(format!("{bytes} bytes"));
    }
    if let Some(ambient) = number("/effects/counts/ambient").filter(|count| *count > 0) {
        facts.push(format!("{ambient} ambient effects"));
    }
    if let Some(lost) = number("/effects/counts/lost").filter(|count| *count > 0) {
        facts.push(format!("{lost} events lost"));
    }
    if word(record, "/effects/attribution") == Some("shared") {
        facts.push("shared with other calls".to_owned());
    }
    for (name, path) in [
        ("signed:", "/checkpoint/reason"),
        ("as", "/effective_principal"),
        ("for", "/end_user_id"),
        ("from", "/source_ip"),
        ("session", "/session_id"),
        ("correlation", "/correlation_id"),
    ] {
        if let Some(value) = word(record, path) {
            facts.push(format!("{name} {}", clean(value)));
        }
    }
    facts
}

fn describe(effect: &Value) -> String {
    match serde_json::from_value::<Effect>(effect.clone()) {
        Ok(effect) if effect.argv.is_empty() => effect.to_string(),
        Ok(effect) => format!("{effect}: {}", effect.argv.join(" ")),
        Err(_) => effect.to_string(), // Of another version.
    }
}

fn word<'a>(record: &'a Value, path: &str) -> Option<&'a str> {
    record.pointer(path).and_then(Value::as_str)
}

/// A text from outside without what steers a terminal or hides, and not too long.
fn clean(text: &str) -> String {
    shortened(text, LONGEST)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nothing_from_outside_steers_a_terminal() {
        let evil = "\u{1b}[2J\u{202e}\r\n\u{9b}x\u{200b}";
        let effect = json!({"kind": "exec", "argv": [evil], "path": evil});
        let record = json!({
            "timestamp": evil, "seq": 1, "event": evil, "actor": evil, "tool_name": evil,
            "server_id": evil, "arguments": {evil: evil}, "error": evil, "status": evil,
            "policy_decision": evil, "policy_rule_matched": evil, "session_id": evil,
            "effects": {"verdict": evil, "exceeded": [effect.clone()], "warranted": [effect]},
        });
        let text = Style { colours: false }.record(&record);
        let steers = |c: char| c != '\n' && (c.is_control() || "\u{202e}\u{200b}".contains(c));
        assert!(!text.contains(steers), "{text:?}");
        assert!(text.lines().skip(1).all(|line| line.starts_with("    ")), "{text}");
    }

    #[test]
    fn an_incident_is_read_from_the_top() {
        let effect = json!({
            "kind": "file_read", "outcome": "allowed", "path": "/etc/shadow", "dev": 1, "ino": 2,
            "truncated": false, "pid": 71, "tid": 71, "uid": 65534, "exe": "/usr/bin/node",
            "seq": 9, "boot_ns": 9,
        });
        let record = json!({
            "timestamp": "2026-01-31T12:00:00.000Z", "seq": 7, "event": "call", "actor": "a",
            "server_id": "files", "tool_name": "read", "policy_decision": "ALLOW",
            "status": "FAILURE", "error": "response withheld: EXCEEDED",
            "arguments": {"path": "x"}, "duration_ms": 3, "correlation_id": "c-1",
            "effects": {"verdict": "EXCEEDED", "exceeded": [effect]},
        });
        let text = Style { colours: false }.record(&record);
        let lines: Vec<&str> = text.lines().collect();
        let head = "2026-01-31 12:00:00.000Z #7 call ALLOW EXCEEDED FAILURE  a -> files: read";
        assert_eq!(lines[0], head);
        assert_eq!(lines[1], "    arguments  {\"path\":\"x\"}");
        assert_eq!(lines[3], "    EXCEEDED   file_read /etc/shadow by /usr/bin/node[71]");
        assert!(lines[4].ends_with("3 ms, correlation c-1"), "{text}");
        let coloured = Style { colours: true }.record(&record);
        assert!(coloured.contains("\x1b[31mEXCEEDED\x1b[0m"));
    }
}
