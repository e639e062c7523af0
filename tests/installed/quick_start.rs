//! What a newcomer does: the commands of the quick start, as they stand in that document.

use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, ensure};
use libtest_mimic::Trial;
use warrantd_tests::harness::test;
use warrantd_tests::records;

use crate::files::Snapshot;
use crate::machine::{AUDIT, is_active, measured, succeeds};
use crate::service::last_call_was_within;

/// The document, as `cargo xtask vm` put it here.
const DOCUMENT: &str = "/usr/lib/warrantd-tests/quick-start.md";
/// How its block of commands begins.
const FENCE: &str = "```sh machine";
/// Where the package is.
const PACKAGES: &str = "/srv/packages";
/// So many commands a newcomer is promised. How long they take is told and not asserted: an emulated machine on a
/// busy host says nothing about that.
const COMMANDS: usize = 5;

pub(crate) fn tests() -> Vec<Trial> {
    vec![test("quick_start::five_commands_to_the_first_enforced_call", &[], walk)]
}

fn walk() -> anyhow::Result<()> {
    Snapshot::take()?.keep()?;
    let document = fs::read_to_string(DOCUMENT).context(DOCUMENT)?;
    let commands = commands(&document)?;
    ensure!(commands.len() <= COMMANDS, "{} commands: {commands:#?}", commands.len());
    let first = commands.first().context("there are no commands")?;
    ensure!(first.contains("install") && first.contains("./warrantd.deb"), "{first}");
    let start = Instant::now();
    for command in &commands {
        let begun = Instant::now();
        succeeds(&format!("cd {PACKAGES} && {command}"))?;
        measured(&format!("`{command}`"), begun.elapsed());
    }
    let whole = start.elapsed();
    measured(&format!("{} commands to the first enforced call", commands.len()), whole);
    is_active()?;
    last_call_was_within()?;
    let calls = records::calls(Path::new(AUDIT))?;
    ensure!(calls.len() == 1, "the first call is one of {}", calls.len());
    Ok(())
}

/// The commands of the document, one a line; a line that ends with `\` goes on.
fn commands(document: &str) -> anyhow::Result<Vec<String>> {
    let mut lines = document.lines().skip_while(|line| line.trim_end() != FENCE);
    lines
        .next()
        .with_context(|| format!("the document has no block that begins with `{FENCE}`"))?;
    let block: Vec<_> = lines.take_while(|line| !line.starts_with("```")).collect();
    let block = block.join("\n").replace("\\\n", " ");
    let commands = block.lines().map(str::trim);
    Ok(commands.filter(|line| !line.is_empty() && !line.starts_with('#')).map(Into::into).collect())
}
