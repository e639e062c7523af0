//! `cargo xtask docs`: the pages that are made from the types.

use clap::Args;

use crate::shell::{cargo, run};

/// Write the pages of reference anew: what the types and the command line say
#[derive(Debug, Args)]
pub(crate) struct Docs {
    /// Write nothing, and fail when a page is not what would be written
    #[arg(long)]
    check: bool,
}

impl Docs {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        // It asks the program for the schemas.
        run(&mut cargo(&["build", "--quiet", "--package", "warrantd", "--bin", "warrantd"]))?;
        let mut make = cargo(&["run", "--quiet", "--package", "warrantd-documents"]);
        if self.check {
            make.args(["--", "--check"]);
        }
        run(&mut make)
    }
}
