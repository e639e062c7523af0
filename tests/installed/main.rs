//! The package, in a Debian with systemd that has nothing else to do: installed, used, reloaded, killed,
//! upgraded and removed.
//!
//! `cargo xtask vm --systemd` runs this in a virtual machine. It changes the machine that it runs on, so it
//! runs on no other. Each test begins where the one before it ended.

mod files;
mod given;
mod hosts;
mod killed;
mod machine;
mod quick_start;
mod reload;
mod removal;
mod rogue;
mod service;
mod stage;
mod upgrade;

use std::process::ExitCode;

use warrantd_tests::harness;

fn main() -> ExitCode {
    if let Err(reason) = machine::is_one() {
        eprintln!("{reason}");
        return ExitCode::FAILURE;
    }
    let ended = harness::run(
        [
            machine::tests(),
            quick_start::tests(),
            service::tests(),
            rogue::tests(),
            reload::tests(),
            given::tests(),
            killed::tests(),
            upgrade::tests(),
            removal::tests(),
        ]
        .into_iter()
        .flatten()
        .collect(),
    );
    machine::report(ended == ExitCode::SUCCESS);
    ended
}
