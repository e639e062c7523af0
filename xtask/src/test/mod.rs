//! `cargo xtask test`: everything that can be tested on one machine.

mod counted;
mod kernels;
mod object;
mod package;
mod policies;
mod suite;
mod tally;

use std::process::ExitCode;

use crate::setup;
use crate::shell::{cargo, is_root, run, say};
use tally::Tally;

/// Runs every step, also after one failed, and ends with one line that sums them up.
pub(crate) fn everything() -> anyhow::Result<ExitCode> {
    let mut tally = Tally::default();
    if is_root() {
        tally.step("what the tests need is installed", setup::for_tests);
    } else {
        say("not root: nothing is installed, and tests of the kernel are skipped");
    }
    tally.step("the code is formatted", || cargo_succeeds(&["fmt", "--all", "--check"]));
    tally.step("clippy has no complaint", || {
        cargo_succeeds(&[
            "clippy",
            "--quiet",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ])
    });
    tally.step("dependencies have permissive licences and known sources", dependencies);
    object::check(&mut tally);
    suite::test_workspace(&mut tally)?;
    policies::check(&mut tally)?;
    package::check(&mut tally)?;
    kernels::check(&mut tally);
    Ok(tally.report())
}

fn cargo_succeeds(arguments: &[&str]) -> anyhow::Result<()> {
    run(&mut cargo(arguments))
}

fn dependencies() -> anyhow::Result<()> {
    setup::cargo_deny()?;
    let mut deny = cargo(&["deny", "--log-level", "error", "check", "bans", "licenses", "sources"]);
    run(crate::cache::on_path(&mut deny))
}
