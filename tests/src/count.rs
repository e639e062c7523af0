//! How many calls a test makes of each kind, and what came of them.

use std::collections::BTreeMap;
use std::env;
use std::fmt;

/// Says how many calls tests that count make of each kind.
pub const CALLS_VARIABLE: &str = "WARRANTD_TEST_CALLS";

/// How many calls a test makes of each kind: what [`CALLS_VARIABLE`] says, else `default`.
pub fn calls(default: u32) -> u32 {
    env::var(CALLS_VARIABLE).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Outcomes by name, and how often each came.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Counts(BTreeMap<String, u32>);

impl Counts {
    /// Counts one more.
    pub fn add(&mut self, outcome: &str) {
        *self.0.entry(outcome.to_owned()).or_default() += 1;
    }

    /// How often an outcome came.
    pub fn of(&self, outcome: &str) -> u32 {
        self.0.get(outcome).copied().unwrap_or_default()
    }

    /// Shows them to whoever runs the tests.
    #[allow(clippy::print_stderr, reason = "figures are what such a test is run for")]
    pub fn tell(&self, what: &str) {
        eprintln!("{what}: {self}");
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: Vec<_> = self.0.iter().map(|(name, count)| format!("{count} {name}")).collect();
        f.write_str(&shown.join(", "))
    }
}
