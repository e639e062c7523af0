//! `cargo xtask bench`: what warrantd costs.

mod apart;
mod document;
mod kernel;
mod performance;
mod soak;
mod speed;

use std::process::ExitCode;

use clap::{Args, Subcommand};

/// Measure what warrantd costs
///
/// Without a subcommand: a table of what calls cost on their way, each row against a floor that is measured in the
/// same run.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_help = "Example:\n  cargo xtask bench --rows unix --rounds 7")]
pub(crate) struct Bench {
    #[command(subcommand)]
    part: Option<Part>,
    #[command(flatten)]
    speed: speed::Speed,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// What the kernel layer adds to opens, connections and programs (as root)
    Kernel(kernel::Kernel),
    /// Half the peak rate for a long time, with reloads and sessions that come and go (as root)
    Soak(soak::Soak),
}

impl Bench {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        match self.part {
            None => self.speed.run(),
            Some(Part::Kernel(kernel)) => kernel.run(),
            Some(Part::Soak(soak)) => soak.run(),
        }
    }
}
