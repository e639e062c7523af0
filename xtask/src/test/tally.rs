//! Counting.

use std::process::ExitCode;

use super::counted::Counted;
use crate::shell::say;

/// What passed, failed and was skipped so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    passed: u64,
    failed: Vec<String>,
    skipped: Vec<String>,
}

impl Tally {
    /// Runs a step of this command and counts it.
    pub(super) fn step(&mut self, name: &str, step: impl FnOnce() -> anyhow::Result<()>) {
        say(name);
        match step() {
            Ok(()) => self.passed += 1,
            Err(error) => {
                eprintln!("FAILED: {error:#}");
                self.failed.push(name.to_owned());
            }
        }
    }

    /// Counts what test programs counted. Their names get the prefix.
    pub(super) fn add(&mut self, counted: Counted, prefix: &str) {
        self.passed += counted.passed;
        let named = |test: String| format!("{prefix}{test}");
        self.failed.extend(counted.failed.into_iter().map(named));
        self.skipped.extend(counted.ignored.into_iter().map(named));
    }

    /// Counts a failure.
    pub(super) fn failed(&mut self, what: String) {
        self.failed.push(what);
    }

    /// Counts something that cannot be tested here, and why.
    pub(super) fn skipped(&mut self, what: String) {
        self.skipped.push(what);
    }

    /// Says what failed and what was skipped, and ends with the sums.
    pub(super) fn report(&self) -> ExitCode {
        println!();
        for skipped in &self.skipped {
            println!("skipped: {skipped}");
        }
        for failed in &self.failed {
            println!("FAILED: {failed}");
        }
        let (failed, skipped) = (self.failed.len(), self.skipped.len());
        println!("{} passed, {failed} failed, {skipped} skipped", self.passed);
        if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
