//! Makes the manual pages and shell completions of warrantd from its command line.
//!
//! `warrantd-pages DIR` fills `DIR/man` with a page for each subcommand, and `DIR/completions` with
//! a file for each shell.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod page;

use std::fs;
use std::path::Path;

use anyhow::{Context, ensure};
use clap::Command;
use clap_complete::{Shell, generate_to};
use clap_mangen::Man;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    let out = arguments.next().context("usage: warrantd-pages DIR")?;
    ensure!(arguments.next().is_none(), "usage: warrantd-pages DIR");
    let out = Path::new(&out);
    pages(&fresh(&out.join("man"))?)?;
    completions(&fresh(&out.join("completions"))?)
}

/// An empty directory: no page of a subcommand that is gone stays behind.
fn fresh(dir: &Path) -> anyhow::Result<std::path::PathBuf> {
    if dir.exists() {
        fs::remove_dir_all(dir).with_context(|| format!("{}", dir.display()))?;
    }
    fs::create_dir_all(dir).with_context(|| format!("{}", dir.display()))?;
    Ok(dir.to_owned())
}

fn pages(dir: &Path) -> anyhow::Result<()> {
    let mut command = warrantd::cli::command().disable_help_subcommand(true);
    command.build();
    all(&command, dir)
}

/// The page of a command, and those of the commands below it.
fn all(command: &Command, dir: &Path) -> anyhow::Result<()> {
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        all(below, dir)?;
    }
    let file = dir.join(Man::new(command.clone()).get_filename());
    let mut text = Vec::new();
    page::write(command, &mut text)?;
    fs::write(&file, text).with_context(|| format!("{}", file.display()))
}

fn completions(dir: &Path) -> anyhow::Result<()> {
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        generate_to(shell, &mut warrantd::cli::command(), "warrantd", dir)
            .with_context(|| format!("completions for {shell}"))?;
    }
    Ok(())
}
