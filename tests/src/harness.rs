//! Tests that say when they cannot run here.
//!
//! The standard harness knows "ignored" only at compile time; a test that needs root or a kernel
//! feature would have to return early and be counted as passed. Here it is reported as ignored with
//! the reason.

use std::process::ExitCode;

use libtest_mimic::{Arguments, Completion, Failed, Trial};

use crate::needs::{Need, missing};

/// A test that runs when all its needs are met, and is otherwise reported as ignored.
pub fn test<F>(name: &str, needs: &'static [Need], run: F) -> Trial
where
    F: FnOnce() -> anyhow::Result<()> + Send + 'static,
{
    Trial::ignorable_test(name, move || match missing(needs) {
        Some(reason) => Ok(Completion::ignored_with(reason)),
        None => match run() {
            Ok(()) => Ok(Completion::Completed),
            Err(error) => Err(Failed::from(format!("{error:#}"))),
        },
    })
}

/// Runs the tests that the command line selects.
pub fn run(tests: Vec<Trial>) -> ExitCode {
    libtest_mimic::run(&Arguments::from_args(), tests).exit_code()
}
