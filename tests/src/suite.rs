//! The protocol's own conformance suite, and what it finds.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::places;
use crate::scratch::Scratch;

/// How often a check passed and failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tried {
    /// Times it passed.
    pub passed: u32,
    /// Times it failed, or passed with a warning.
    pub failed: u32,
}

/// What the suite found: checks by scenario, id and name, and for those that failed how.
#[derive(Debug, Default)]
pub struct Findings {
    /// By `SCENARIO CHECK/NAME`.
    pub checks: BTreeMap<String, Tried>,
    /// What it said of a failure.
    pub said: BTreeMap<String, String>,
}

/// Runs every scenario that a revision requires, and those that it runs without counting them, against a server.
pub fn run(url: &str, revision: &str) -> anyhow::Result<Findings> {
    let scratch = Scratch::new()?;
    let results = scratch.path("results")?;
    let suite = places::conformance_suite().map_err(anyhow::Error::msg)?;
    let (node, script) = suite.split_first().context("a program")?;
    let mut command = Command::new(node);
    command.args(script).args(["server", "--url", url, "--requirements", revision, "-o"]);
    // That something failed is in the results.
    let output = command.arg(&results).output().with_context(|| format!("{command:?}"))?;
    let mut findings = Findings::default();
    let complaints = String::from_utf8_lossy(&output.stderr);
    let entries = fs::read_dir(&results).with_context(|| format!("no results: {complaints}"))?;
    for entry in entries {
        let dir = entry?;
        let name = dir.file_name();
        let scenario = scenario(&name.to_string_lossy()).to_owned();
        findings.add(&scenario, &dir.path().join("checks.json"))?;
    }
    ensure!(findings.checks.len() > 50, "too few checks: {:?}; {complaints}", findings.checks);
    Ok(findings)
}

/// The scenario in the name of a directory of results: `server-SCENARIO-2026-11-23T21-12-24-251Z`.
fn scenario(directory: &str) -> &str {
    const TIME: usize = "-2026-11-23T21-12-24-251Z".len();
    let name = directory.strip_prefix("server-").unwrap_or(directory);
    name.len().checked_sub(TIME).and_then(|end| name.get(..end)).unwrap_or(name)
}

impl Findings {
    fn add(&mut self, scenario: &str, file: &Path) -> anyhow::Result<()> {
        let text = fs::read_to_string(file).with_context(|| format!("{}", file.display()))?;
        let checks: Vec<Value> = serde_json::from_str(&text)?;
        for check in checks {
            let text = |key: &str| check[key].as_str().unwrap_or_default().to_owned();
            let name = format!("{scenario} {}/{}", text("id"), text("name"));
            let tried = self.checks.entry(name.clone()).or_default();
            match check["status"].as_str() {
                Some("SUCCESS") => tried.passed += 1,
                Some("FAILURE" | "WARNING") => {
                    tried.failed += 1;
                    let details: String = check["details"].to_string().chars().take(400).collect();
                    self.said.insert(name, format!("{} {details}", text("errorMessage")));
                }
                _ => {} // Skipped, or for information.
            }
        }
        Ok(())
    }

    /// The checks that went worse here than there, and what the suite said.
    pub fn worse_than<'a>(&'a self, other: &'a Self) -> BTreeMap<&'a str, String> {
        let mut worse = BTreeMap::new();
        for (name, there) in &other.checks {
            let here = self.checks.get(name).copied().unwrap_or_default();
            if here.passed < there.passed || here.failed > there.failed {
                worse.insert(name.as_str(), format!("{there:?} became {here:?}"));
            }
        }
        // Some checks are only mentioned when they fail.
        for (name, here) in &self.checks {
            if here.failed > 0 && !other.checks.contains_key(name) {
                worse.insert(name, format!("{here:?}, not tried otherwise"));
            }
        }
        for (name, why) in &mut worse {
            if let Some(said) = self.said.get(*name) {
                *why += &format!(": {said}");
            }
        }
        worse
    }

    /// All checks that passed.
    pub fn passed(&self) -> u32 {
        self.checks.values().map(|tried| tried.passed).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(checks: &[(&str, u32, u32)]) -> Findings {
        let tried = |&(name, passed, failed): &(&str, u32, u32)| {
            (name.to_owned(), Tried { passed, failed })
        };
        Findings { checks: checks.iter().map(tried).collect(), said: BTreeMap::new() }
    }

    #[test]
    fn what_is_worse_is_named() {
        let before = findings(&[("a", 2, 0), ("b", 0, 1), ("c", 1, 0), ("d", 1, 0)]);
        let after = findings(&[("a", 1, 1), ("b", 1, 0), ("c", 1, 0), ("e", 0, 1), ("f", 1, 0)]);
        let worse: Vec<_> = after.worse_than(&before).into_keys().collect();
        assert_eq!(worse, ["a", "d", "e"]);
    }

    #[test]
    fn directories_name_scenarios() {
        assert_eq!(
            scenario("server-server-initialize-2026-11-23T21-12-24-251Z"),
            "server-initialize"
        );
    }
}
