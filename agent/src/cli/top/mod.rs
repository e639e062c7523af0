//! `warrantd top`: the same as `warrantd status`, refreshed, with what happens in a second.
//!
//! `feed` asks, `model` keeps what it was told, `tables` say what there is to see of it, `screen` draws
//! that, `keys` change what is seen.

mod draw;
mod feed;
mod header;
mod history;
mod keys;
mod model;
mod plain;
mod screen;
mod table;
mod tables;
#[cfg(test)]
mod tests;

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::instances::Instances;
use super::{Failure, output};

/// Watch every warrantd that runs here
///
/// Servers with calls in a second and how long they take, calls in flight with their warrants, peers, sessions,
/// and what receivers of the audit log do not have yet. A warrantd that is started anew is waited for. Keys: `?`
/// shows them. Where the output is no terminal, one picture is printed, as with --once.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  sudo warrantd top\n  sudo warrantd top --once | head -40")]
pub(super) struct Top {
    /// Seconds between two looks, from 0.1
    #[arg(short, long, value_name = "SECONDS", default_value = "1", value_parser = delay)]
    delay: Duration,
    /// Print one picture, without colours, and end
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    instances: Instances,
}

fn delay(text: &str) -> Result<Duration, String> {
    let wrong = || "a number of seconds from 0.1 to 3600".to_owned();
    let seconds: f64 = text.parse().map_err(|_| wrong())?;
    if !(0.1..=3600.0).contains(&seconds) {
        return Err(wrong());
    }
    Ok(Duration::from_secs_f64(seconds))
}

impl Top {
    pub(super) fn execute(self) -> Result<ExitCode, Failure> {
        if self.once || !std::io::stdout().is_terminal() {
            let lines = plain::picture(&self.instances, self.delay)?;
            lines.iter().try_for_each(|line| output::line(line))?;
        } else {
            screen::run(self.instances, self.delay)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
