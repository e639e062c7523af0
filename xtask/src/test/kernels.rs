//! The kernel tests on other kernels, in virtual machines.

use std::collections::BTreeMap;
use std::fs;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, ensure};

use super::counted::Counted;
use super::tally::Tally;
use crate::shell::{is_root, root, say};
use crate::vm::{self, Configuration, Table, Vm};

/// Runs all kernel tests on every kernel of the matrix, and compares what they measured with the committed table.
pub(super) fn check(tally: &mut Tally) {
    say("kernel tests on other kernels, in virtual machines");
    let counted: Mutex<BTreeMap<Configuration, Counted>> = Mutex::default();
    let count = |configuration, line: &str| {
        let mut counted = counted.lock().unwrap_or_else(PoisonError::into_inner);
        counted.entry(configuration).or_default().line(line);
    };
    let done = match Vm::default().machines(count) {
        Ok(done) => done,
        Err(error) if is_root() => return tally.failed(format!("virtual machines: {error:#}")),
        Err(error) => return tally.skipped(format!("virtual machines: {error:#}")),
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
        tally.add(results, &format!("{configuration}: "));
    }
    // Nobody can do anything about it who only wants to test.
    done.unavailable.iter().for_each(|kernel| tally.skipped(kernel.to_string()));
    if done.unavailable.is_empty() {
        tally.step("the table of the kernel matrix is what was measured", || compare(&done.table?));
    }
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
