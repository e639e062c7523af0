//! `cargo test`, with its results counted.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use anyhow::Context;

use super::counted::Counted;
use super::tally::Tally;
use crate::shell::{cargo, run, say};

/// Runs all tests of the workspace.
pub(super) fn test_workspace(tally: &mut Tally) -> anyhow::Result<()> {
    // The end-to-end tests run the programs of other packages, which `cargo test` does not build.
    tally.step("everything builds", || {
        run(&mut cargo(&["build", "--quiet", "--workspace", "--all-targets"]))
    });
    say("unit, property, kernel and end-to-end tests");
    let mut command = cargo(&["test", "--workspace", "--no-fail-fast"]);
    let mut tests = command.stdout(Stdio::piped()).spawn().context("cannot run cargo")?;
    let output = tests.stdout.take().context("its output is piped")?;
    let mut counted = Counted::default();
    for line in BufReader::new(output).lines() {
        let line = line?;
        println!("{line}");
        counted.line(&line);
    }
    let ended = tests.wait()?;
    // A test program that crashes or does not compile prints no result.
    if !ended.success() && counted.failed.is_empty() {
        counted.failed.push(format!("cargo test ended with {ended}"));
    }
    tally.add(counted, "");
    Ok(())
}
