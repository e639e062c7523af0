//! The kernel layer against the running kernel: every test puts real processes into real sessions and
//! looks at what the programs refused and reported.
//!
//! Needs root, cgroup2 and BPF. Where one is missing every test is listed as ignored, with the reason;
//! none passes. Addresses that are not loopback exist only in network namespaces that a test makes.

#![allow(clippy::expect_used, reason = "an actor that cannot go on fails its test")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "actors print what tests read")]

mod actor;
mod attached;
mod changes;
mod confinement;
mod deeds;
mod files;
mod flood;
mod floor;
mod foreign;
mod gap;
mod gate;
mod leave;
mod lifecycle;
mod load;
mod matrix;
mod names;
mod network;
mod paths;
mod reach;
mod support;
mod swaps;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};

type Test = (&'static str, fn() -> Result<(), Failed>);

fn main() -> ExitCode {
    // The same binary is the program that runs inside sessions.
    let mut words = std::env::args().skip(1);
    if words.next().as_deref() == Some(actor::MARK) {
        return actor::run(words);
    }

    let arguments = Arguments::from_args();
    let mut tests: Vec<Test> = [
        files::TESTS,
        paths::TESTS,
        network::TESTS,
        foreign::TESTS,
        names::TESTS,
        leave::TESTS,
        gate::TESTS,
        flood::TESTS,
        confinement::TESTS,
        lifecycle::TESTS,
        attached::TESTS,
        matrix::TESTS,
        swaps::TESTS,
        gap::TESTS,
        floor::TESTS,
    ]
    .concat();
    let obstacle = support::obstacle();
    tests.extend(matrix::again());
    if let Some(reason) = &obstacle {
        eprintln!("kernel tests cannot run here, none was run: {reason}");
    }
    let trials = tests
        .into_iter()
        .map(|(name, test)| Trial::test(name, test).with_ignored_flag(obstacle.is_some()))
        .collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    support::stop();
    conclusion.exit_code()
}
