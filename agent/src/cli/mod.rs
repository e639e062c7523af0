//! The command line: one file for each subcommand; each parses, calls and prints.
#![forbid(unsafe_code)]

mod audit;
mod check;
mod connect;
mod discover;
mod doctor;
mod explain;
mod failure;
mod instances;
mod judge;
mod kernel;
mod key;
mod kill;
mod learn;
mod output;
mod pin;
mod probe;
mod run;
mod schema;
mod serve;
mod signals;
mod status;
mod test;
mod thaw;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use tracing_subscriber::EnvFilter;

pub use failure::Failure;

/// Treat MCP servers like shells: authenticate every caller, decide every call, confine the server,
/// and check what each call really did before its response leaves.
#[derive(Debug, Parser)]
#[command(name = "warrantd", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Run),
    Serve(serve::Serve),
    Connect(connect::Connect),
    Status(status::Status),
    Thaw(thaw::Thaw),
    Kill(kill::Kill),
    Check(check::Check),
    Explain(explain::Explain),
    Test(test::Test),
    Schema(schema::Schema),
    Learn(learn::Learn),
    Key(key::Key),
    Pin(pin::Pin),
    Audit(audit::Audit),
    Discover(discover::Discover),
    Doctor(doctor::Doctor),
    #[command(hide = true)]
    SelfTestProbe(probe::Probe),
}

/// The whole command line, for what is made from it: manual pages and shell completions.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs the command line and says how it ended.
pub fn main() -> ExitCode {
    let command = Cli::parse().command;
    let filter = EnvFilter::try_from_env("WARRANTD_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match command {
        // The service manager's journal adds the time.
        Command::Serve(_) => subscriber.with_target(false).with_ansi(false).without_time().init(),
        _ => subscriber.compact().with_target(false).without_time().init(),
    }
    let done = match command {
        Command::Run(command) => command.execute(),
        Command::Serve(command) => command.execute(),
        Command::Connect(command) => command.execute(),
        Command::Status(command) => command.execute(),
        Command::Thaw(command) => command.execute(),
        Command::Kill(command) => command.execute(),
        Command::Check(command) => command.execute(),
        Command::Explain(command) => command.execute(),
        Command::Test(command) => command.execute(),
        Command::Schema(command) => command.execute(),
        Command::Learn(command) => command.execute(),
        Command::Key(command) => command.execute(),
        Command::Pin(command) => command.execute(),
        Command::Audit(command) => command.execute(),
        Command::Discover(command) => command.execute(),
        Command::Doctor(command) => command.execute(),
        Command::SelfTestProbe(command) => command.execute(),
    };
    match done {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}
