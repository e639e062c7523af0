//! Everything a developer of warrantd runs. One file for each subcommand.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a tool for a terminal")]

mod bench;
mod cache;
mod demo;
mod dist;
mod docs;
mod ebpf;
mod receivers;
mod setup;
mod shell;
mod test;
mod vm;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use nix::sys::stat::{Mode, umask};

/// Everything a developer of warrantd runs
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Install what the demonstration, the tests and the kernel object need
    Setup,
    /// Rebuild the kernel object that is committed in agent/kernel
    Ebpf,
    /// Show in a minute what warrantd does (as root)
    Demo(demo::Demo),
    Docs(docs::Docs),
    /// Measure what warrantd costs (as root)
    Bench(bench::Bench),
    /// Make packages to install
    Dist(dist::Dist),
    /// Test everything that can be tested on one machine (`WARRANTD_TEST_CALLS=1000` makes that many calls
    /// where verdicts are counted)
    Test,
    /// Run the kernel tests, or any command, in virtual machines with other kernels (as root)
    Vm(vm::Vm),
}

fn main() -> ExitCode {
    if vm::is_init() {
        return vm::run_as_init();
    }
    // Servers run as another user and must be able to read what is installed and built.
    umask(Mode::S_IWGRP | Mode::S_IWOTH);
    let done = match Cli::parse().command {
        Command::Setup => setup::everything().map(|()| ExitCode::SUCCESS),
        Command::Ebpf => ebpf::run().map(|()| ExitCode::SUCCESS),
        Command::Demo(demo) => demo.run().map(|()| ExitCode::SUCCESS),
        Command::Docs(docs) => docs.run().map(|()| ExitCode::SUCCESS),
        Command::Bench(bench) => bench.run(),
        Command::Dist(dist) => dist.run().map(|()| ExitCode::SUCCESS),
        Command::Test => test::everything(),
        Command::Vm(vm) => vm.run(),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
