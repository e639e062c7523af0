//! Commands that show what a page does not.

use jiff::Timestamp;
use std::fmt::Write as _;

use super::About;
use crate::report::reading::Report;
use crate::report::row::Spot;

/// Commands on the log that the report was made of.
#[derive(Debug, Clone)]
pub(super) struct Commands {
    logs: String,
    key: Option<String>,
    /// For each log what names its records alone.
    places: Vec<Option<String>>,
    /// What the report is limited to.
    range: String,
}

impl Commands {
    pub(super) fn new(report: &Report, about: &About) -> Self {
        let logs: Vec<_> = about.logs.iter().map(|log| word(log)).collect();
        let place = |path: &Option<String>| path.as_deref().map(word);
        let mut range = String::new();
        let scope = &report.asked.scope;
        let time = |name: &str, at: Option<Timestamp>| {
            at.map_or_else(String::new, |at| format!(" --{name} {at}"))
        };
        let (since, until) = match report.window {
            Some((from, to)) => (Some(from), Some(to)),
            None => (scope.since, scope.until),
        };
        range.push_str(&time("since", since));
        range.push_str(&time("until", until));
        if report.window.is_none() {
            for (name, of) in [("actor", &scope.actor), ("server", &scope.server)] {
                if let Some(of) = of {
                    let _ = write!(range, " --{name} {}", word(of)); // A string takes everything.
                }
            }
        }
        Self {
            logs: logs.join(" "),
            key: about.key.as_deref().map(word),
            places: report.places.iter().map(place).collect(),
            range,
        }
    }

    /// Shows one record.
    pub(super) fn record(&self, spot: Spot) -> String {
        let place = self.places.get(spot.log).and_then(Option::as_ref).unwrap_or(&self.logs);
        format!("warrantd audit show --seq {} {place}", spot.seq)
    }

    /// Shows all records of the report's range, with more options.
    pub(super) fn range(&self, more: &str) -> String {
        format!("warrantd audit show{}{more} {}", self.range, self.logs)
    }

    /// Verifies the log.
    pub(super) fn verify(&self) -> String {
        let key = self.key.as_deref().unwrap_or("audit.pub");
        format!("warrantd audit verify --key {key} {}", self.logs)
    }
}

/// A word of a shell's command line, quoted if it must be.
fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:@%+,=".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_what_it_seems() {
        for (text, expected) in [
            ("/var/log/warrantd", "/var/log/warrantd"),
            ("my log", "'my log'"),
            ("a'; rm -rf /; '", r"'a'\''; rm -rf /; '\'''"),
            ("", "''"),
            ("$(id)", "'$(id)'"),
        ] {
            assert_eq!(word(text), expected);
        }
    }
}
