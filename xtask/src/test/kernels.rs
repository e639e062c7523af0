//! The kernel tests on other kernels, and those of the installed package, in virtual machines.

use std::collections::BTreeMap;
use std::fs;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, ensure};

use super::counted::Counted;
use super::tally::Tally;
use crate::shell::{built_with_all, is_root, root, say};
use crate::vm::{self, Configuration, Done, Series, Table, Vm};

/// Runs all kernel tests on every kernel of the matrix, and compares what they measured with the committed
/// table; then the end-to-end tests that need no server of others where the kernel enforces files.
pub(super) fn check(tally: &mut Tally) {
    say("kernel tests on other kernels, in virtual machines");
    let Some(done) = count(tally, &Vm::default(), "") else { return };
    if done.unavailable.is_empty() {
        tally.step("the table of the kernel matrix is what was measured", || compare(&done.table?));
    }
    say("end-to-end tests where the kernel enforces files, in a virtual machine");
    match end_to_end() {
        Ok(machine) => drop(count(tally, &machine, "end to end: ")),
        Err(error) => tally.failed(format!("end-to-end tests in a virtual machine: {error:#}")),
    }
    say("the installed package, in a virtual machine with systemd");
    drop(count(tally, &Vm::installed(), "installed: "));
}

/// A machine whose kernel enforces files, with the end-to-end tests of misdeeds and of enforcement.
fn end_to_end() -> anyhow::Result<Vm> {
    const PLACE: &str = "/opt/warrantd";
    let mut programs = Vec::new();
    for name in ["e2e", "warrantd", "rogue-server", "net-probe"] {
        programs.push((built_with_all(name)?, format!("{PLACE}/{name}")));
    }
    programs.push(("/usr/bin/install".to_owned(), "/usr/bin/install".to_owned()));
    let command = format!(
        "{PLACE}/e2e --test-threads=2 rogue::; rogue=$?; WARRANTD_TEST_ENFORCED=1 {PLACE}/e2e --test-threads=2 enforce:: && exit $rogue"
    );
    Ok(Vm::for_programs(vec![Series::V6_12], programs, command, 1800))
}

/// Runs machines and counts their tests; nothing when there can be none.
fn count(tally: &mut Tally, machines: &Vm, what: &str) -> Option<Done> {
    let counted: Mutex<BTreeMap<Configuration, Counted>> = Mutex::default();
    let take = |configuration, line: &str| {
        let mut counted = counted.lock().unwrap_or_else(PoisonError::into_inner);
        if line == vm::AGAIN {
            counted.remove(&configuration);
        } else {
            counted.entry(configuration).or_default().line(line);
        }
    };
    let done = match machines.machines(take) {
        Ok(done) => done,
        Err(error) if is_root() => {
            tally.failed(format!("virtual machines: {error:#}"));
            return None;
        }
        Err(error) => {
            tally.skipped(format!("virtual machines: {error:#}"));
            return None;
        }
    };
    let mut counted = counted.into_inner().unwrap_or_else(PoisonError::into_inner);
    for (configuration, end) in &done.ends {
        let mut results = counted.remove(configuration).unwrap_or_default();
        // A machine that ends early, or that runs no test at all, has not said which test that is.
        if results.failed.is_empty()
            && let Some(how) = vm::failure(end)
        {
            results.failed.push(how);
        }
        if results == Counted::default() {
            results.failed.push("no test was run".to_owned());
        }
        tally.add(results, &format!("{what}{configuration}: "));
    }
    // Nobody can do anything about it who only wants to test.
    done.unavailable.iter().for_each(|kernel| tally.skipped(kernel.to_string()));
    Some(done)
}

/// Compares what was measured with the table that is committed.
fn compare(measured: &Table) -> anyhow::Result<()> {
    let path = root().join(vm::TABLE);
    if measured.is_empty() && !path.exists() {
        return Ok(());
    }
    let committed = fs::read_to_string(path).context(vm::TABLE)?;
    let measured = measured.render();
    for (number, (was, is)) in (1..).zip(committed.lines().zip(measured.lines())) {
        ensure!(
            was == is,
            "{} line {number}: committed `{was}`, measured `{is}`; {REGENERATE}",
            vm::TABLE
        );
    }
    ensure!(committed == measured, "{} has another length; {REGENERATE}", vm::TABLE);
    Ok(())
}

const REGENERATE: &str =
    "if the change is meant, run `cargo xtask vm --write-table` and commit the file";
