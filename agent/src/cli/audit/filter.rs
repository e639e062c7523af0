//! Which records are wanted.

use std::ops::RangeInclusive;

use clap::Args;
use jiff::Timestamp;
use serde_json::Value;

use crate::audit::Event;
use crate::cli::Failure;
use crate::config::Span;

/// Which records are wanted: those that all given options accept.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct Filter {
    /// Of this caller
    #[arg(long, value_name = "ID")]
    actor: Option<String>,
    /// Of this tool
    #[arg(long, value_name = "NAME")]
    tool: Option<String>,
    /// Of this server
    #[arg(long, value_name = "ID")]
    server: Option<String>,
    /// With this verdict: WITHIN, EXCEEDED, INCOMPLETE or UNOBSERVED
    #[arg(long, value_name = "VERDICT", ignore_case = true)]
    verdict: Option<String>,
    /// With this decision: ALLOW or DENY
    #[arg(long, value_name = "DECISION")]
    decision: Option<String>,
    /// Of this event, such as call, unsolicited or authentication
    #[arg(long, value_name = "EVENT")]
    event: Option<String>,
    /// Of this session
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// With this correlation id, as an error names it
    #[arg(long, value_name = "ID")]
    correlation: Option<String>,
    /// With this number, or with one of these: 4711, or 4711..4720
    #[arg(long, value_name = "N|N..N", value_parser = numbers)]
    seq: Option<RangeInclusive<u64>>,
    /// Not before: a time such as 2026-01-31T12:00:00Z, or so long ago, such as 15m or 2d
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<Timestamp>,
    /// Not after
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<Timestamp>,
}

/// Takes `4711` or `4711..4720`, both ends included.
fn numbers(text: &str) -> Result<RangeInclusive<u64>, String> {
    let (from, to) = text.split_once("..").unwrap_or((text, text));
    let number = |text: &str| text.parse::<u64>();
    match (number(from), number(to)) {
        (Ok(from), Ok(to)) => Ok(from..=to),
        _ => Err("write a record's number, or the first and the last one: 4711..4720".to_owned()),
    }
}

/// Takes a time, or how long ago it was.
pub(in crate::cli) fn time(text: &str) -> Result<Timestamp, String> {
    if let Ok(Span(ago)) = text.parse::<Span>() {
        return Timestamp::now().checked_sub(ago).map_err(|error| error.to_string());
    }
    text.parse().map_err(|_| {
        "write a time as 2026-01-31T12:00:00Z, or how long ago: 30s, 15m, 2h, 7d".to_owned()
    })
}

impl Filter {
    /// Finds what no record has, so that nobody takes a misspelt word for an empty answer.
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
        let Some(event) = &self.event else { return Ok(()) };
        let known = serde_json::from_value::<Event>(Value::from(event.as_str())).is_ok();
        let text =
            format!("no record is of event `{event}`; `warrantd schema record` has them all");
        if known { Ok(()) } else { Err(Failure::Other(text)) }
    }

    /// Whether a record is wanted.
    pub(super) fn accepts(&self, record: &Value) -> bool {
        let is = |wanted: &Option<String>, path: &str| {
            let found = || record.pointer(path).and_then(Value::as_str).unwrap_or_default();
            wanted.as_deref().is_none_or(|wanted| wanted == found())
        };
        let is_word = |wanted: &Option<String>, path: &str| {
            is(&wanted.as_deref().map(str::to_uppercase), path)
        };
        is(&self.actor, "/actor")
            && is(&self.tool, "/tool_name")
            && is(&self.server, "/server_id")
            && is_word(&self.verdict, "/effects/verdict")
            && is_word(&self.decision, "/policy_decision")
            && is(&self.event, "/event")
            && is(&self.session, "/session_id")
            && is(&self.correlation, "/correlation_id")
            && self.is_in_order(record)
            && self.is_in_time(record)
    }

    fn is_in_order(&self, record: &Value) -> bool {
        let seq = record.get("seq").and_then(Value::as_u64);
        self.seq.as_ref().is_none_or(|wanted| seq.is_some_and(|seq| wanted.contains(&seq)))
    }

    fn is_in_time(&self, record: &Value) -> bool {
        if self.since.is_none() && self.until.is_none() {
            return true;
        }
        let at = record.get("timestamp").and_then(Value::as_str).and_then(|text| text.parse().ok());
        at.is_some_and(|at: Timestamp| {
            self.since.is_none_or(|since| at >= since) && self.until.is_none_or(|until| at <= until)
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_record_must_be_all_that_is_asked_for() {
        let record = json!({
            "timestamp": "2026-01-31T12:00:00.000Z", "actor": "a", "policy_decision": "DENY",
            "effects": {"verdict": "EXCEEDED"}, "seq": 7,
        });
        let at = |text: &str| Some(time(text).expect("a time"));
        let with = |change: fn(&mut Filter)| {
            let mut filter = Filter { actor: Some("a".to_owned()), ..Filter::default() };
            change(&mut filter);
            filter.accepts(&record)
        };
        assert!(with(|_| ()));
        assert!(with(|filter| filter.verdict = Some("exceeded".to_owned())));
        assert!(with(|filter| filter.decision = Some("deny".to_owned())));
        assert!(!with(|filter| filter.verdict = Some("WITHIN".to_owned())));
        assert!(!with(|filter| filter.tool = Some("t".to_owned())));
        let between = |since, until| Filter { since, until, ..Filter::default() }.accepts(&record);
        assert!(between(at("2026-01-31T12:00:00Z"), at("2026-01-31T12:00:00Z")));
        assert!(!between(at("2026-01-31T12:00:01Z"), None));
        assert!(!between(None, at("2026-01-31T11:59:59Z")));
        let seq = |text| Filter { seq: numbers(text).ok(), ..Filter::default() }.accepts(&record);
        assert!(seq("7") && seq("1..7") && !seq("8") && !seq("1..6"));
        assert!(numbers("x").is_err() && numbers("1..").is_err());
        assert!(time("yesterday").is_err());
        assert!(time("15m").is_ok());
    }

    #[test]
    fn what_no_record_has_is_an_error() {
        let word = |word: &str| Some(word.to_owned());
        let verdict = |w| Filter { verdict: word(w), ..Filter::default() }.check();
        let event = |w| Filter { event: word(w), ..Filter::default() }.check();
        assert!(verdict("exceeded").is_ok() && verdict("excedded").is_err());
        assert!(event("call").is_ok() && event("calls").is_err());
    }
}
