//! `cargo xtask bench`: what warrantd costs.

mod document;
mod kernel;

use std::process::ExitCode;

use clap::Subcommand;

/// Measure what warrantd costs
#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    /// What the kernel layer adds to opens, connections and programs (as root)
    Kernel(kernel::Kernel),
}

impl Bench {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Kernel(kernel) => kernel.run(),
        }
    }
}
