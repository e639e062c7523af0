//! The Common Event Format, version 0 (`ArcSight Common Event Format`, revision 26):
//!
//! ```text
//! CEF:0|warrantd|warrantd|<version>|<event class>|<name>|<severity>|<key>=<value> …
//! ```
//!
//! In the header `|` and `\` are escaped, in values `=` and `\`, and line ends become `\n`. Values are cut to
//! the lengths that the standard gives.

use std::fmt::Write as _;

use super::Origin;
use super::entry::{Entry, verdict_name};
use super::part::{Part, left_out};
use crate::audit::Status;
use crate::config::Action;
use crate::policy::network::Protocol;
use crate::warrant::{Effect, EffectKind, Outcome, Target};

/// Most bytes of `msg`, and of other texts.
const MAX_MESSAGE: usize = 1023;
const MAX_TEXT: usize = 255;
const MAX_REASON: usize = 1023;

/// The event of one part of a record, on one line.
pub(super) fn event(entry: &Entry<'_>, number: usize, part: Part<'_>, origin: &Origin) -> String {
    let class = match part {
        Part::Whole => entry.name().to_owned(),
        Part::Finding(verdict) => verdict_name(verdict).to_ascii_lowercase(),
        Part::Effect(effect, _) => effect.kind.to_string(),
    };
    let name = match part {
        Part::Whole => entry.name().replace('_', " "),
        Part::Finding(_) => "effects beyond the warrant".to_owned(),
        Part::Effect(effect, true) => format!("{} without a warrant", effect.kind),
        Part::Effect(effect, false) => effect.kind.to_string(),
    };
    let mut line = format!(
        "CEF:0|warrantd|warrantd|{}|{}|{}|{}|",
        header(origin.version),
        header(&class),
        header(&name),
        part.severity(entry).cef()
    );
    let mut values = Values(&mut line);
    values.put("rt", &entry.time_ms(), MAX_TEXT);
    values.put("externalId", &entry.event_id(number), MAX_TEXT);
    values.put("dvchost", &origin.host, MAX_TEXT);
    values.put("deviceProcessName", &"warrantd", MAX_TEXT);
    whom(entry, part, &mut values);
    if let Part::Effect(effect, _) = part {
        add_effect(effect, &mut values);
    }
    let message = match part {
        Part::Effect(effect, _) => effect.to_string(),
        _ => entry.summary(),
    };
    values.put("msg", &message, MAX_MESSAGE);
    line.truncate(line.trim_end().len());
    line
}

fn whom(entry: &Entry<'_>, part: Part<'_>, values: &mut Values<'_>) {
    let mut text = |key, field| values.put_some(key, entry.text(field), MAX_TEXT);
    text("suser", "actor");
    text("src", "source_ip");
    text("destinationServiceName", "server_id");
    text("requestMethod", "method");
    text("reason", "policy_rule_matched");
    // Strings of our own come with labels.
    for (n, (label, field)) in [
        ("correlationId", "correlation_id"),
        ("sessionId", "session_id"),
        ("tool", "tool_name"),
        ("hash", "hash"),
    ]
    .into_iter()
    .enumerate()
    {
        values.labelled(&format!("cs{}", n + 1), label, entry.text(field));
    }
    let verdict = entry.verdict().map(verdict_name);
    values.labelled("cs5", "verdict", verdict);
    values.put("cn1", &entry.seq(), MAX_TEXT);
    values.put("cn1Label", &"seq", MAX_TEXT);
    if let Part::Whole = part {
        if let Some(Ok(arguments)) = entry
            .fields
            .get("arguments")
            .filter(|arguments| !arguments.is_null())
            .map(serde_json::to_string)
        {
            values.labelled("cs6", "arguments", Some(&arguments));
        }
        if left_out(entry) > 0 {
            values.put("cn2", &left_out(entry), MAX_TEXT);
            values.put("cn2Label", &"effectsLeftOut", MAX_TEXT);
        }
        values.put_some("error", entry.text("error"), MAX_REASON);
    }
    let outcome = match entry.status() {
        Some(Status::Success) => Some("success"),
        Some(Status::Failure) => Some("failure"),
        Some(Status::Timeout) => Some("timeout"),
        None => None,
    };
    let act = match (part, entry.decision()) {
        (Part::Effect(effect, _), _) => match effect.outcome {
            Outcome::Allowed => Some("allowed"),
            Outcome::Denied => Some("denied"),
        },
        (_, Some(Action::Allow)) => Some("allowed"),
        (_, Some(Action::Deny)) if entry.observed() => Some("observed"),
        (_, Some(Action::Deny)) => Some("denied"),
        (_, None) => None,
    };
    values.put_some("act", act, MAX_TEXT);
    values.put_some("outcome", outcome, MAX_TEXT);
}

fn add_effect(effect: &Effect, values: &mut Values<'_>) {
    values.put("spid", &effect.process.pid, MAX_TEXT);
    values.put("suid", &effect.process.uid, MAX_TEXT);
    values.put("sproc", &effect.process.exe, MAX_REASON);
    match &effect.target {
        Target::File(program) if effect.kind == EffectKind::Exec => {
            values.put("dproc", &program.path, MAX_REASON);
        }
        Target::File(file) => {
            values.put("filePath", &file.path, MAX_REASON);
            values.put("fileId", &file.ino, MAX_TEXT);
        }
        Target::Peer(peer) => {
            values.put("dst", &peer.peer.ip(), MAX_TEXT);
            values.put("dpt", &peer.peer.port(), MAX_TEXT);
            values.put_some("dhost", peer.names.first().map(String::as_str), MAX_TEXT);
            let protocol = match peer.protocol {
                Protocol::Tcp => "TCP".to_owned(),
                Protocol::Udp => "UDP".to_owned(),
                Protocol::Other(number) => number.to_string(),
            };
            values.put("proto", &protocol, MAX_TEXT);
        }
    }
}

/// The end of a line, to which values are added.
struct Values<'a>(&'a mut String);

impl Values<'_> {
    fn put(&mut self, key: &str, value: &dyn ToString, most: usize) {
        let value = value.to_string();
        // Writing to a String cannot fail.
        let _ = write!(self.0, "{key}={} ", escape(cut(&value, most), "=\\"));
    }

    fn put_some(&mut self, key: &str, value: Option<&str>, most: usize) {
        if let Some(value) = value {
            self.put(key, &value, most);
        }
    }

    fn labelled(&mut self, key: &str, label: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.put(key, &value, 4000);
            self.put(&format!("{key}Label"), &label, MAX_TEXT);
        }
    }
}

fn header(text: &str) -> String {
    escape(cut(text, MAX_TEXT), "|\\").replace("\\n", " ")
}

/// A text of at most so many bytes.
fn cut(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or_default()).unwrap_or_default()
}

/// A text with these characters escaped, and no control characters.
fn escape(text: &str, special: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' | '\u{2028}' | '\u{2029}' => out.push_str("\\n"),
            c if special.contains(c) => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_would_end_a_value_is_escaped() {
        assert_eq!(escape("a=b\\c\nd|e", "=\\"), "a\\=b\\\\c\\nd|e");
        assert_eq!(header("a|b\\c\nd"), "a\\|b\\\\c d");
        assert_eq!(cut("aé", 2), "a");
    }

    proptest! {
        #[test]
        fn nothing_in_a_value_makes_another_field(text in ".{0,80}") {
            let line = serde_json::json!({"event": "call", "seq": 1, "error": text, "actor": text});
            let line = line.to_string();
            let entry = Entry::read(line.as_bytes());
            let origin = Origin { host: "h".to_owned(), version: "1" };
            let cef = event(&entry, 0, Part::Whole, &origin);
            prop_assert!(!cef.contains(['\n', '\r']));
            // Seven unescaped bars, all of the header, and the header is ours alone.
            let plain = cef.replace("\\\\", "").replace("\\=", "");
            let keys = plain.split(' ').filter(|word| word.contains('=')).count();
            let expected = 14 + 2 * usize::from(!text.is_empty());
            prop_assert!(keys <= expected, "{cef}");
        }
    }
}
