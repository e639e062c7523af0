//! End-to-end tests of warrantd: real servers, real clients, a rogue server, the real kernel.
#![forbid(unsafe_code)]

mod attribution;
mod crash;
mod daemon;
mod filesystem;
mod floor;
mod frozen;
mod gap;
mod learn;
mod lifecycle;
mod names;
mod names_world;
mod network;
mod pinning;
mod processes;
mod python;
mod rig;
mod rogue;
mod start_effects;
mod startup;
mod tasks;

use std::process::ExitCode;

fn main() -> ExitCode {
    let subjects = [
        filesystem::tests(),
        rogue::tests(),
        network::tests(),
        names::tests(),
        daemon::tests(),
        lifecycle::tests(),
        crash::tests(),
        gap::tests(),
        floor::tests(),
        pinning::tests(),
        startup::tests(),
        learn::tests(),
        start_effects::tests(),
        attribution::tests(),
        tasks::tests(),
        frozen::tests(),
    ];
    warrantd_tests::harness::run(subjects.into_iter().flatten().collect())
}
