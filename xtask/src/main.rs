//! Everything a developer of warrantd runs. One file for each subcommand.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a tool for a terminal")]

mod cache;
mod demo;
mod ebpf;
mod setup;
mod shell;
mod test;

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
    /// Test everything that can be tested on one machine
    Test,
}

fn main() -> ExitCode {
    // Servers run as another user and must be able to read what is installed and built.
    umask(Mode::S_IWGRP | Mode::S_IWOTH);
    let done = match Cli::parse().command {
        Command::Setup => setup::everything().map(|()| ExitCode::SUCCESS),
        Command::Ebpf => ebpf::run().map(|()| ExitCode::SUCCESS),
        Command::Demo(demo) => demo.run().map(|()| ExitCode::SUCCESS),
        Command::Test => test::everything(),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
