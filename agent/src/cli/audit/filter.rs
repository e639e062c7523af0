//! Which records are meant.

use clap::Args;
use jiff::{Timestamp, Zoned};
use serde_json::Value;

use super::super::Failure;

/// Only records that fit all of these.
#[derive(Debug, Args)]
#[command(next_help_heading = "Only records")]
pub(super) struct Filter {
    /// of this actor
    #[arg(long, value_name = "ID")]
    actor: Option<String>,
    /// of this tool
    #[arg(long, value_name = "NAME")]
    tool: Option<String>,
    /// of this server
    #[arg(long, value_name = "ID")]
    server: Option<String>,
    /// with this verdict: WITHIN, EXCEEDED, INCOMPLETE or UNOBSERVED
    #[arg(long, value_name = "VERDICT", ignore_case = true)]
    verdict: Option<String>,
    /// with this decision: ALLOW or DENY
    #[arg(long, value_name = "DECISION", ignore_case = true)]
    decision: Option<String>,
    /// about this: `call`, `unsolicited`, `authentication`, …
    #[arg(long, value_name = "EVENT")]
    event: Option<String>,
    /// of this session
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// with this correlation id, which a client got with its error
    #[arg(long, value_name = "ID")]
    correlation: Option<String>,
    /// from this time on: 2026-04-19T10:30:00Z, or as long ago as 90s, 15m, 2h, 7d
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<Timestamp>,
    /// before this time, likewise
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<Timestamp>,
}

/// A time, or how long ago it was.
fn time(text: &str) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    if let Ok(time) = text.parse::<Zoned>() {
        return Ok(time.timestamp());
    }
    let (count, unit) = text.split_at(text.len() - text.chars().last().map_or(0, char::len_utf8));
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => 0,
    };
    let ago = count.parse::<i64>().ok().and_then(|count| count.checked_mul(seconds));
    let ago = ago.filter(|ago| *ago > 0 || (seconds > 0 && count == "0"));
    let now = Timestamp::now();
    ago.and_then(|ago| now.checked_sub(jiff::SignedDuration::from_secs(ago)).ok()).ok_or_else(
        || "a time is 2026-04-19T10:30:00Z, or how long ago: 90s, 15m, 2h, 7d".to_owned(),
    )
}

impl Filter {
    /// Finds what can fit no record, so that nobody takes a misspelt word for an empty answer.
    pub(super) fn check(&self) -> Result<(), Failure> {
        let known = [
            ("--verdict", &self.verdict, &["WITHIN", "EXCEEDED", "INCOMPLETE", "UNOBSERVED"][..]),
            ("--decision", &self.decision, &["ALLOW", "DENY"][..]),
        ];
        for (option, given, words) in known {
            let Some(given) = given else { continue };
            if !words.iter().any(|word| word.eq_ignore_ascii_case(given)) {
                let text = format!("{option} is one of {}, not `{given}`", words.join(", "));
                return Err(Failure::Other(text));
            }
        }
        let event = self.event.as_deref().map(|event| (event, Value::from(event)));
        if let Some((event, value)) = event
            && serde_json::from_value::<crate::audit::Event>(value).is_err()
        {
            let text =
                format!("no record is about `{event}`; see the table of records in the README");
            return Err(Failure::Other(text));
        }
        Ok(())
    }

    /// Whether a record is meant.
    pub(super) fn takes(&self, record: &Value) -> bool {
        let text = |field: &str| record.get(field).and_then(Value::as_str);
        let same = |wanted: &Option<String>, field| {
            wanted.as_deref().is_none_or(|wanted| text(field) == Some(wanted))
        };
        let verdict = record.pointer("/effects/verdict").and_then(Value::as_str);
        let alike = |wanted: &Option<String>, found: Option<&str>| {
            wanted.as_deref().is_none_or(|w| found.is_some_and(|f| f.eq_ignore_ascii_case(w)))
        };
        let written = || text("timestamp")?.parse::<Timestamp>().ok();
        same(&self.actor, "actor")
            && same(&self.tool, "tool_name")
            && same(&self.server, "server_id")
            && same(&self.event, "event")
            && same(&self.session, "session_id")
            && same(&self.correlation, "correlation_id")
            && alike(&self.decision, text("policy_decision"))
            && alike(&self.verdict, verdict)
            && self.since.is_none_or(|since| written().is_some_and(|at| at >= since))
            && self.until.is_none_or(|until| written().is_some_and(|at| at < until))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        filter: Filter,
    }

    fn takes(words: &[&str]) -> bool {
        let line = Line::try_parse_from([&["x"], words].concat()).expect("it parses");
        line.filter.check().expect("known words");
        line.filter.takes(&json!({
            "timestamp": "2026-04-19T10:30:00.000Z", "actor": "a", "event": "call",
            "policy_decision": "ALLOW", "effects": {"verdict": "EXCEEDED"},
        }))
    }

    #[test]
    fn all_that_is_asked_for_must_fit() {
        for words in [
            &[][..],
            &["--actor", "a", "--verdict", "exceeded"],
            &["--since", "2026-04-19T10:30:00Z", "--until", "2026-04-19T12:30:01+02:00"],
            &["--event", "call", "--decision", "allow"],
        ] {
            assert!(takes(words), "{words:?}");
        }
        for words in [
            &["--actor", "A"][..],
            &["--actor", "a", "--verdict", "WITHIN"],
            &["--tool", "t"],
            &["--since", "2026-04-19T10:30:00.001Z"],
            &["--until", "2026-04-19T10:30:00Z"],
        ] {
            assert!(!takes(words), "{words:?}");
        }
    }

    #[test]
    fn what_fits_nothing_is_an_error() {
        for words in [["--verdict", "EXCEDED"], ["--decision", "YES"], ["--event", "calls"]] {
            let line = Line::try_parse_from(["x", words[0], words[1]]).expect("it parses");
            assert!(line.filter.check().is_err(), "{words:?}");
        }
        for time in ["yesterday", "5", "5y", "-5m", ""] {
            assert!(super::time(time).is_err(), "{time}");
        }
        assert!(super::time("15m").expect("a time") < Timestamp::now());
    }
}
