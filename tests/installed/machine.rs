//! The machine that the tests have to themselves.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use libtest_mimic::Trial;
use warrantd_tests::harness::test;

/// The job of a machine that `cargo xtask vm` made.
const JOB: &str = "/etc/warrantd-vm.json";
/// The unit of the package.
pub(crate) const UNIT: &str = "warrantd.service";
/// The audit log of the package.
pub(crate) const AUDIT: &str = "/var/log/warrantd";

/// What was measured, in order.
static MEASURED: Mutex<Vec<String>> = Mutex::new(Vec::new());

pub(crate) fn tests() -> Vec<Trial> {
    vec![test("machine::systemd_runs_and_no_unit_has_failed", &[], runs)]
}

/// Why this is no machine for these tests, if it is none.
pub(crate) fn is_one() -> Result<(), String> {
    let first = fs::read_to_string("/proc/1/comm").unwrap_or_default();
    if Path::new(JOB).exists() && first.trim() == "systemd" {
        return Ok(());
    }
    Err("these tests install and remove packages and kill daemons: `cargo xtask vm --systemd` runs them in a \
         machine of their own"
        .to_owned())
}

/// Keeps a figure for the end: with one thread, a test's own output would be in the middle of a line.
pub(crate) fn measured(what: &str, time: Duration) {
    let mut measured = MEASURED.lock().unwrap_or_else(PoisonError::into_inner);
    measured.push(format!("measured: {what}: {:.1} s", time.as_secs_f64()));
}

/// Says what was measured, and what the daemon said when something failed.
pub(crate) fn report(passed: bool) {
    for line in MEASURED.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        println!("{line}");
    }
    if passed {
        return;
    }
    for command in [
        "systemctl status --no-pager --full warrantd.service",
        // Without what servers do that is meant to be refused.
        "journalctl --no-pager --output=short-monotonic --unit=warrantd.service | grep -v 'outside ambient' | tail -60",
    ] {
        println!("$ {command}");
        let _ = Command::new("sh").args(["-c", &format!("{command} 2>&1")]).status();
    }
}

/// How long the machine took until its job began, which comes last.
fn boot() -> anyhow::Result<Duration> {
    let stamp =
        succeeds("systemctl show --value --property=ActiveEnterTimestampMonotonic job.service")?;
    Ok(Duration::from_micros(stamp.trim().parse().context("a time in microseconds")?))
}

fn runs() -> anyhow::Result<()> {
    measured("from power on until systemd has started everything", boot()?);
    let state = succeeds("systemctl is-system-running --wait || systemctl --failed --no-pager")?;
    ensure!(state.trim() == "running", "{state}");
    Ok(())
}

/// A shell command's exit code and output, errors among it.
pub(crate) fn sh(command: &str) -> anyhow::Result<(i32, String)> {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{{ {command}\n}} 2>&1")]).env("LC_ALL", "C");
    // There is no terminal to ask anything on.
    shell.env("DEBIAN_FRONTEND", "noninteractive");
    let done = shell.output().with_context(|| command.to_owned())?;
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    Ok((done.status.code().unwrap_or(-1), said))
}

/// The output of a shell command that must succeed.
pub(crate) fn succeeds(command: &str) -> anyhow::Result<String> {
    let (code, said) = sh(command)?;
    ensure!(code == 0, "`{command}` ended with {code}: {said}");
    Ok(said)
}

/// A property of the unit.
pub(crate) fn property(name: &str) -> anyhow::Result<String> {
    let value = succeeds(&format!("systemctl show --value --property={name} {UNIT}"))?;
    Ok(value.trim().to_owned())
}

/// Fails unless systemd has heard from the daemon that it is ready.
pub(crate) fn is_active() -> anyhow::Result<()> {
    let (state, kind) = (property("ActiveState")?, property("Type")?);
    if state != "active" {
        bail!("{UNIT} is {state}: {}", sh(&format!("journalctl --no-pager -n 20 -u {UNIT}"))?.1);
    }
    ensure!(kind.starts_with("notify"), "{UNIT} is of type {kind}: nobody knows when it is ready");
    Ok(())
}

/// Waits until something holds, for as long as slow processors may need.
pub(crate) fn in_time(what: &str, mut holds: impl FnMut() -> bool) -> anyhow::Result<Duration> {
    const PATIENCE: Duration = Duration::from_secs(90);
    let start = Instant::now();
    while !holds() {
        ensure!(start.elapsed() < PATIENCE, "not within {} s: {what}", PATIENCE.as_secs());
        thread::sleep(Duration::from_millis(50));
    }
    Ok(start.elapsed())
}

/// The lines of a text file, as a set.
pub(crate) fn lines(path: &str) -> anyhow::Result<BTreeSet<String>> {
    let text = fs::read_to_string(path).with_context(|| path.to_owned())?;
    Ok(text.lines().map(str::to_owned).collect())
}
