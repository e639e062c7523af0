//! What users copy must work: the shipped policies. The documents have tests of their own, in tests/documents.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use warrantd_tests::places;

use super::tally::Tally;
use crate::shell::{root, run};

/// Validates every shipped policy.
pub(super) fn check(tally: &mut Tally) -> anyhow::Result<()> {
    let policies = yaml_files(&root().join("policies"))?;
    tally.step("the shipped policies are valid", || {
        ensure!(!policies.is_empty(), "there are none");
        warrantd("check", &policies)
    });
    let cases = yaml_files(&root().join("policies/tests"))?;
    if !cases.is_empty() {
        tally.step("the shipped policies decide as their tests say", || warrantd("test", &cases));
    }
    Ok(())
}

fn warrantd(subcommand: &str, files: &[PathBuf]) -> anyhow::Result<()> {
    run(Command::new(places::program("warrantd")?).arg(subcommand).args(files))
}

/// The YAML files of a directory; none when there is no such directory.
fn yaml_files(dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !dir.is_dir() {
        return Ok(Vec::new());
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| format!("{}", dir.display()))? {
        files.push(entry?.path());
    }
    files.retain(|file| file.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    Ok(files)
}
