//! Who is told at once of what the audit log shows.
//!
//! ```yaml
//! audit:
//!   alerts:
//!     - {name: exceeded, when: {verdict: [EXCEEDED, INCOMPLETE]}, to: [pager]}
//!     - {name: probing, when: {decision: [DENY]}, rate: {count: 20, within: 60s}, by: [actor]}
//!     - {name: new-peer, first_seen: peer, run: {argv: [/usr/local/bin/page], user: pager}}
//! ```

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Problem;
use super::units::Span;

/// A rule, and who is told when it holds. An alert is a record of its own, so every receiver of the log gets it.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AlertConfig {
    /// Its name, as the alert has it.
    pub name: String,
    /// What a record must be: all that is given.
    #[serde(default)]
    pub when: AlertWhen,
    /// Only when so many come within a time.
    #[serde(default)]
    pub rate: Option<AlertRate>,
    /// Only for what was never seen of the server.
    #[serde(default)]
    pub first_seen: Option<FirstSeen>,
    /// What is told apart, in rates and in what is told already: by default the server.
    #[serde(default = "by_server")]
    pub by: Vec<AlertBy>,
    /// How long more of the same is only counted; then there is one alert that says how much it was.
    #[serde(default = "quiet")]
    pub quiet: Span,
    /// Receivers that get alerts only (`only: alerts`) and are told of this one; all of them by default.
    #[serde(default)]
    pub to: Vec<String>,
    /// A command that is told.
    #[serde(default)]
    pub run: Option<AlertCommand>,
}

fn by_server() -> Vec<AlertBy> {
    vec![AlertBy::Server]
}

fn quiet() -> Span {
    Span::seconds(600)
}

/// Values of a record, of each field one of those that are listed.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AlertWhen {
    /// `call`, `unsolicited`, `authentication`, …
    pub event: Vec<String>,
    /// `ALLOW`, `DENY`.
    pub decision: Vec<String>,
    /// `WITHIN`, `EXCEEDED`, `INCOMPLETE`, `UNOBSERVED`.
    pub verdict: Vec<String>,
    /// `SUCCESS`, `FAILURE`, `TIMEOUT`.
    pub status: Vec<String>,
    /// Actors.
    pub actor: Vec<String>,
    /// Tools.
    pub tool: Vec<String>,
    /// Servers.
    pub server: Vec<String>,
}

/// So many within a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AlertRate {
    /// How many; 2 to 10,000.
    pub count: usize,
    /// Within how long.
    pub within: Span,
}

/// What is remembered of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FirstSeen {
    /// Tools that were called.
    Tool,
    /// Peers that were connected or sent to.
    Peer,
}

/// What is told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertBy {
    /// Servers.
    Server,
    /// Actors.
    Actor,
    /// Tools.
    Tool,
    /// Sessions.
    Session,
}

/// A command that is told of an alert: its record comes on standard input, a line of JSON.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AlertCommand {
    /// The program, by its absolute path, and its arguments.
    pub argv: Vec<String>,
    /// Who runs it, where warrantd runs as root.
    #[serde(default = "nobody")]
    pub user: String,
}

fn nobody() -> String {
    "nobody".to_owned()
}

impl AlertConfig {
    /// Finds what does not go together. `key` is the rule's path in the file, `receivers` are the names of those
    /// that get alerts only.
    pub fn check(&self, key: &str, receivers: &[&str]) -> Result<(), Problem> {
        let problem = |field: &str, why: String| Err(Problem::new(format!("{key}.{field}"), why));
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if self.name.is_empty() || self.name.len() > 64 || !self.name.chars().all(plain) {
            return problem("name", "1 to 64 letters, digits, `-` or `_`".to_owned());
        }
        for (field, values, words) in [
            ("decision", &self.when.decision, &["ALLOW", "DENY"][..]),
            ("verdict", &self.when.verdict, &["WITHIN", "EXCEEDED", "INCOMPLETE", "UNOBSERVED"]),
            ("status", &self.when.status, &["SUCCESS", "FAILURE", "TIMEOUT"]),
        ] {
            if let Some(value) = values.iter().find(|value| !words.contains(&value.as_str())) {
                let why = format!("`{value}` is none of {}", words.join(", "));
                return problem(&format!("when.{field}"), why);
            }
        }
        if self.when.is_empty() && self.first_seen.is_none() {
            return problem("when", "say what the alert is about, or `first_seen`".to_owned());
        }
        if let Some(rate) = self.rate {
            if !(2..=10_000).contains(&rate.count) {
                return problem(
                    "rate.count",
                    "2 to 10000; without `rate` each one counts".to_owned(),
                );
            }
            if self.first_seen.is_some() {
                let why = "what is seen for the first time comes once; remove `rate`";
                return problem("rate", why.to_owned());
            }
        }
        if let Some(name) = self.to.iter().find(|name| !receivers.contains(&name.as_str())) {
            let why = format!(
                "no receiver `{name}` under `audit.ship` has `only: alerts`; the others get every alert as it is"
            );
            return problem("to", why);
        }
        match self.run.as_ref().map(|run| run.argv.first()) {
            Some(None) => problem("run.argv", "name the program".to_owned()),
            Some(Some(program)) if !Path::new(program).is_absolute() => {
                problem("run.argv", format!("`{program}` is not an absolute path"))
            }
            _ => Ok(()),
        }
    }
}

impl AlertWhen {
    fn is_empty(&self) -> bool {
        let Self { event, decision, verdict, status, actor, tool, server } = self;
        [event, decision, verdict, status, actor, tool, server].iter().all(|list| list.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<(), Problem> {
        serde_yaml::from_str::<AlertConfig>(text).expect("it reads").check("a", &["pager"])
    }

    #[test]
    fn rules_that_can_hold_are_taken() {
        for fine in [
            "{name: a, when: {verdict: [EXCEEDED]}, to: [pager]}",
            "{name: a, when: {decision: [DENY]}, rate: {count: 20, within: 60s}, by: [actor]}",
            "{name: a, first_seen: peer, run: {argv: [/bin/true]}}",
        ] {
            assert!(check(fine).is_ok(), "{fine}: {:?}", check(fine));
        }
        for (wrong, key) in [
            ("{name: a}", "a.when"),
            ("{name: 'a b', first_seen: tool}", "a.name"),
            ("{name: a, when: {verdict: [exceeded]}}", "a.when.verdict"),
            ("{name: a, when: {actor: [b]}, rate: {count: 1, within: 1s}}", "a.rate.count"),
            ("{name: a, first_seen: tool, rate: {count: 2, within: 1s}}", "a.rate"),
            ("{name: a, first_seen: tool, to: [siem]}", "a.to"),
            ("{name: a, first_seen: tool, run: {argv: [page]}}", "a.run.argv"),
            ("{name: a, first_seen: tool, run: {argv: []}}", "a.run.argv"),
        ] {
            assert_eq!(check(wrong).expect_err(wrong).key, key, "{wrong}");
        }
    }
}
