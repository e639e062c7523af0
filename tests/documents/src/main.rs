//! `warrantd-documents`: writes the pages that are made from the types; `cargo xtask docs` runs it.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "a tool for a terminal")]

use clap::Parser;
use warrantd_documents::reference;

/// Write the pages of reference anew: what the types and the command line say
#[derive(Debug, Parser)]
struct Cli {
    /// Write nothing, and fail when a page is not what would be written
    #[arg(long)]
    check: bool,
}

fn main() -> anyhow::Result<()> {
    let made = reference::made()?;
    if Cli::parse().check {
        return reference::check(&made);
    }
    for path in reference::write(&made)? {
        println!("{path} is new");
    }
    Ok(())
}
