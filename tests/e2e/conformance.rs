//! The protocol's own conformance suite: what passes against a server passes through warrantd.

#![allow(clippy::print_stderr)] // The figures are part of what the test finds.

use anyhow::{Context, ensure};
use libtest_mimic::Trial;
use warrantd_tests::harness::test;
use warrantd_tests::needs::Need;
use warrantd_tests::suite;

use crate::daemon::Daemon;
use crate::fixture::{self, Fixture};
use crate::http_world::listeners;
use crate::rig::Rig;

/// Revisions whose required scenarios are run.
const REVISIONS: [&str; 2] = ["2025-11-25", "2026-07-28"];

const POLICY: &str = include_str!("../fixtures/conformance/policy.yaml");
const DIFFERENCES: &str = include_str!("../fixtures/conformance/differences.txt");

/// What is behind warrantd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Behind {
    /// A process for each session, on stdin and stdout.
    Stdio,
    /// One process for all sessions, likewise.
    Shared,
    /// A server that runs already, over HTTP.
    Http,
    /// A process that is spoken to in the era that the client does not speak.
    Bridge,
}

/// All of them, by name.
const BEHIND: [(&str, Behind); 4] = [
    ("stdio", Behind::Stdio),
    ("shared", Behind::Shared),
    ("http", Behind::Http),
    ("bridge", Behind::Bridge),
];

pub(crate) fn tests() -> Vec<Trial> {
    const ALONE: &[Need] = &[Need::ConformanceSuite, Need::ConformanceServer];
    const THROUGH: &[Need] = &[Need::Kernel, Need::ConformanceSuite, Need::ConformanceServer];
    let mut tests = Vec::new();
    for revision in REVISIONS {
        let name = format!("conformance::{revision}_of_the_fixture_itself");
        tests.push(test(&name, ALONE, move || alone(revision)));
        for (way, behind) in BEHIND {
            let name = format!("conformance::{revision}_over_http_in_front_of_{way}");
            tests.push(test(&name, THROUGH, move || through(revision, way, behind)));
        }
    }
    tests
}

/// Everything passes that the fixture is there for: all but the extension of tasks, which it does not have.
fn alone(revision: &str) -> anyhow::Result<()> {
    let fixture = Fixture::start()?;
    let findings = suite::run(&fixture.url(), revision)?;
    let failed: Vec<_> = findings
        .said
        .iter()
        .filter(|(name, _)| !name.starts_with("tasks-"))
        .map(|(name, said)| format!("{name}: {said}"))
        .collect();
    ensure!(failed.is_empty(), "{}", failed.join("\n"));
    eprintln!("conformance {revision}: {} checks pass", findings.passed());
    Ok(())
}

/// Runs the suite against the fixture alone and through warrantd, and compares.
fn through(revision: &str, way: &str, behind: Behind) -> anyhow::Result<()> {
    let fixture = Fixture::start()?;
    let alone = suite::run(&fixture.url(), revision)?;
    let daemon = daemon(revision, behind, &fixture)?;
    let address = listeners(&daemon, 1)?.pop().context("a listener")?;
    let found = suite::run(&format!("http://{address}/files/mcp"), revision)?;
    let explained = explained(way, revision);
    let worse = found.worse_than(&alone);
    let wrong: Vec<_> = worse
        .iter()
        .filter(|(name, _)| !explained.iter().any(|known| is_about(known, name)))
        .map(|(name, why)| format!("{name}: {why}"))
        .collect();
    let stale: Vec<_> = explained
        .iter()
        .filter(|known| !worse.iter().any(|(name, _)| is_about(known, name)))
        .collect();
    let said = daemon.process.stderr();
    ensure!(stale.is_empty(), "explained, but as without warrantd: {stale:?}");
    ensure!(wrong.is_empty(), "{} checks:\n{}\nstderr: {said}", wrong.len(), wrong.join("\n"));
    eprintln!(
        "conformance {revision} {behind:?}: {} of {} checks pass",
        found.passed(),
        alone.passed()
    );
    Ok(())
}

fn daemon(revision: &str, behind: Behind, fixture: &Fixture) -> anyhow::Result<Daemon> {
    let rig = Rig::new(POLICY)?;
    let command = fixture::stdio_command(&rig.scratch)?;
    Daemon::configured(rig, "[peer_uid]", &command, |config| {
        let config = config.replace("assistant-service", "tester");
        // A server of both eras would else be spoken to in the later one.
        let modern = (revision >= "2026") != (behind == Behind::Bridge);
        let era = format!("    protocol: {}\n", if modern { "modern" } else { "handshake" });
        let config = match behind {
            Behind::Stdio => config,
            Behind::Bridge => config + &era,
            Behind::Shared => config + &era + "    instances: shared\n",
            Behind::Http => {
                let own = ["    command:", "    root:", "    user:"];
                let kept =
                    config.lines().filter(|line| !own.iter().any(|key| line.starts_with(key)));
                let kept = kept.collect::<Vec<_>>().join("\n");
                format!(
                    "{kept}\n{era}    upstream: {{url: '{}', unobserved: true}}\n",
                    fixture.url()
                )
            }
        };
        config + "listen: [{address: '127.0.0.1:0', actor: tester}]\n"
    })
}

/// The differences that are as they should be, for what is behind warrantd.
fn explained(way: &str, revision: &str) -> Vec<&'static str> {
    let lines = DIFFERENCES.lines().filter(|line| !line.starts_with('#'));
    let checks = lines.filter_map(|line| line.split_once(" # ").map(|(check, _)| check.trim()));
    let ours = checks.filter_map(|check| {
        let (ways, check) = check.split_once(' ')?;
        let (of, check) = check.split_once(' ')?;
        let meant = of == revision && ways.split(',').any(|one| one == way || one == "all");
        meant.then_some(check)
    });
    ours.collect()
}

/// Whether a difference that is explained is about a check: `SCENARIO CHECK/NAME`, or all of a scenario's.
fn is_about(known: &str, check: &str) -> bool {
    known == check || known.strip_suffix('*').is_some_and(|start| check.starts_with(start))
}
