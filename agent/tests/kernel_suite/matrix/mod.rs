//! What must be answered, row by row: every way out that is known, tried against this kernel and observer,
//! each with a twin that is allowed and works.
//!
//! Each row prints one line, `MATRIX`, name, observer, outcome and remark, separated by tabs. The table in
//! `tests/kernel-matrix.md` is made of them.

mod files;
mod network;
mod others;
mod sockets;

use std::fmt;
use std::process::Command;

use libtest_mimic::Failed;
use warrantd::kernel::Backend;

use crate::Test;
use crate::support::kernel;

/// The tests of this directory.
pub(crate) const TESTS: &[Test] = &[
    ("matrix_of_files_and_programs", || all(files::ROWS)),
    ("matrix_of_the_network", || all(network::ROWS)),
    ("matrix_of_unix_sockets", || all(sockets::ROWS)),
    ("matrix_of_other_ways_out", || all(others::ROWS)),
    ("memory_that_shows_no_file_may_become_code", files::code_without_a_file),
];

/// The same with the last resort, where a better observer is in use.
pub(crate) fn again() -> Option<Test> {
    let better = kernel().is_ok_and(|kernel| kernel.backend() != Backend::Tracepoint);
    better.then_some(("the_same_matrix_with_tracepoints", with_tracepoints))
}

/// In a process of its own, because all tests of one share an observer.
fn with_tracepoints() -> Result<(), Failed> {
    let output = Command::new(std::env::current_exe()?)
        .arg("matrix_of")
        .env("WARRANTD_BACKEND", Backend::Tracepoint.name())
        .output()?;
    let printed = String::from_utf8_lossy(&output.stdout);
    print!(
        "{}",
        printed.lines().filter(|l| l.starts_with("MATRIX")).collect::<Vec<_>>().join("\n")
    );
    println!();
    if output.status.success() { Ok(()) } else { Err(printed.into_owned().into()) }
}

/// A way out: its name in the table, and the attempt.
pub(crate) type Row = (&'static str, fn(Backend) -> Result<Answer, Failed>);

/// How a way out was answered.
pub(crate) enum Answer {
    /// It was refused.
    Blocked,
    /// It happened and was reported as what it was.
    Reported,
    /// Neither, for a reason.
    NotCovered(&'static str),
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blocked => f.write_str("blocked\t"),
            Self::Reported => f.write_str("reported\t"),
            Self::NotCovered(why) => write!(f, "not covered\t{why}"),
        }
    }
}

/// Tries all rows, and tells of all that fail.
fn all(rows: &[Row]) -> Result<(), Failed> {
    let backend = kernel()?.backend();
    let mut failures = Vec::new();
    for (name, attempt) in rows {
        match patiently(*attempt, backend) {
            Ok(answer) => println!("MATRIX\t{name}\t{backend}\t{answer}"),
            Err(failure) => {
                failures.push(format!("{name}: {}", failure.message().unwrap_or_default()));
            }
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n").into()) }
}

/// A kernel that preempts itself leaves out runs of an observer now and then, and says so: the attempt is
/// then no proof of anything, and made anew.
fn patiently(
    attempt: fn(Backend) -> Result<Answer, Failed>,
    backend: Backend,
) -> Result<Answer, Failed> {
    for _ in 0..4 {
        match attempt(backend) {
            Err(failure) if failure.message().is_some_and(|why| why.starts_with("drain: lost")) => {
            }
            other => return other,
        }
    }
    attempt(backend)
}
