//! `tests/kernel-matrix.md`: what happens to each attempt on each kernel, as the tests measured it.
//!
//! A test writes a line for each attempt, with tabs between its five fields:
//!
//! ```text
//! MATRIX  the attempt  the backend  blocked, reported or not covered  why (may be empty)
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use anyhow::{Context, bail, ensure};

use super::series::Series;

/// Where the table is, from the root of the repository.
pub(crate) const PATH: &str = "tests/kernel-matrix.md";
const MARK: &str = "MATRIX\t";

const HEAD: &str = "\
# What the kernel side catches, and where

Measured by the kernel tests in virtual machines; `cargo xtask vm --write-table` makes this file and
`cargo xtask test` compares it with what it measures.

- **blocked**: the attempt fails. When a kernel program refuses it, it is also reported as denied; the system
  call filter, missing rights and the kernel itself refuse without a report.
- **reported**: the attempt succeeds, and is in the record of effects.
- **not covered**: neither, for the reason given.
- –: this backend does not run on this kernel.

";

/// What became of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Blocked,
    Reported,
    NotCovered,
}

impl Outcome {
    fn read(text: &str) -> anyhow::Result<Self> {
        Ok(match text {
            "blocked" => Self::Blocked,
            "reported" => Self::Reported,
            "not covered" => Self::NotCovered,
            _ => bail!("`{text}` is none of `blocked`, `reported` and `not covered`"),
        })
    }

    fn shown(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::Reported => "reported",
            Self::NotCovered => "**not covered**",
        }
    }
}

/// A kernel and a backend.
type Column = (Series, String);

/// Everything that was measured.
#[derive(Debug, Default)]
pub(crate) struct Table {
    /// By name: tests run at the same time, so the order in which they come says nothing.
    attempts: BTreeSet<String>,
    cells: BTreeMap<(String, Column), (Outcome, String)>,
}

impl Table {
    /// Takes a line of a test's output. Lines of other kinds are none of its business.
    pub(crate) fn line(&mut self, series: Series, line: &str) -> anyhow::Result<()> {
        // A harness with one thread has begun the line with the name of the test.
        let Some((_, fields)) = line.split_once(MARK) else { return Ok(()) };
        self.fields(series, fields).with_context(|| format!("a row of the kernel matrix: {line}"))
    }

    fn fields(&mut self, series: Series, fields: &str) -> anyhow::Result<()> {
        let fields: Vec<_> = fields.split('\t').map(str::trim).collect();
        let [attempt, backend, outcome, reason] = fields.as_slice() else {
            bail!("{} fields instead of 4", fields.len());
        };
        ensure!(!attempt.is_empty() && !backend.is_empty(), "a field is empty");
        let cell = (Outcome::read(outcome)?, (*reason).to_owned());
        let key = ((*attempt).to_owned(), (series, (*backend).to_owned()));
        self.attempts.insert((*attempt).to_owned());
        // The same backend may have run with and without `bpf` among the security modules.
        if let Some(before) = self.cells.insert(key, cell.clone()) {
            ensure!(before == cell, "another machine with the same kernel measured {before:?}");
        }
        Ok(())
    }

    /// Whether nothing was measured.
    pub(crate) fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// The whole file.
    pub(crate) fn render(&self) -> String {
        let mut columns: Vec<&Column> = self.cells.keys().map(|(_, column)| column).collect();
        columns.sort();
        columns.dedup();
        let mut notes: Vec<&str> = Vec::new();
        let mut lines = HEAD.to_owned();
        lines.push_str("| attempt |");
        for (series, backend) in &columns {
            let _ = write!(lines, " {} {} |", series.name(), escaped(backend));
        }
        lines.push_str("\n|---|");
        lines.push_str(&"---|".repeat(columns.len()));
        lines.push('\n');
        for attempt in &self.attempts {
            let _ = write!(lines, "| {} |", escaped(attempt));
            for column in &columns {
                let cell = self.cells.get(&(attempt.clone(), (*column).clone()));
                let _ = match cell {
                    None => write!(lines, " – |"),
                    Some((outcome, reason)) if reason.is_empty() => {
                        write!(lines, " {} |", outcome.shown())
                    }
                    Some((outcome, reason)) => {
                        write!(lines, " {}[^{}] |", outcome.shown(), number(&mut notes, reason))
                    }
                };
            }
            lines.push('\n');
        }
        if !notes.is_empty() {
            lines.push('\n');
        }
        for (index, note) in notes.iter().enumerate() {
            let _ = writeln!(lines, "[^{}]: {note}", index + 1);
        }
        lines
    }
}

/// The number of a note, from 1. The same reason has one note.
fn number<'a>(notes: &mut Vec<&'a str>, reason: &'a str) -> usize {
    let known = notes.iter().position(|note| *note == reason);
    known.unwrap_or_else(|| {
        notes.push(reason);
        notes.len() - 1
    }) + 1
}

/// Text that does not end its cell.
fn escaped(text: &str) -> String {
    text.replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(lines: &[(Series, &str)]) -> Table {
        let mut table = Table::default();
        for (series, line) in lines {
            table.line(*series, line).unwrap();
        }
        table
    }

    #[test]
    fn measurements_become_a_table() {
        let table = table(&[
            (Series::V6_1, "running 45 tests"),
            (Series::V6_1, "MATRIX\trename over a file\tlsm\tblocked\t"),
            (Series::V6_1, "test a ... MATRIX\tmmap | exec\tlsm\treported\tno hook decides"),
            (Series::V5_10, "MATRIX\trename over a file\ttracepoint\tnot covered\tno hook sees it"),
            (Series::V5_10, "MATRIX\tmmap | exec\ttracepoint\tnot covered\tno hook sees it"),
            // The other machine of this kernel.
            (Series::V6_1, "MATRIX\trename over a file\tlsm\tblocked\t"),
        ]);
        let expected = "\
| attempt | 5.10 tracepoint | 6.1 lsm |
|---|---|---|
| mmap \\| exec | **not covered**[^1] | reported[^2] |
| rename over a file | **not covered**[^1] | blocked |

[^1]: no hook sees it
[^2]: no hook decides
";
        assert_eq!(table.render().strip_prefix(HEAD), Some(expected));
    }

    #[test]
    fn what_was_not_measured_is_a_dash() {
        let table = table(&[
            (Series::V6_1, "MATRIX\ta\tlsm\tblocked\t"),
            (Series::V6_12, "MATRIX\tb\tlsm\tblocked\t"),
        ]);
        assert!(table.render().ends_with("| a | blocked | – |\n| b | – | blocked |\n"));
    }

    #[test]
    fn bad_and_contradicting_rows_are_errors() {
        let mut table = table(&[(Series::V6_1, "MATRIX\ta\tlsm\tblocked\t")]);
        for bad in [
            "MATRIX\ta\tlsm\tblocked",
            "MATRIX\ta\tlsm\tperhaps\t",
            "MATRIX\t\tlsm\tblocked\t",
            "MATRIX\ta\tlsm\treported\t",
        ] {
            assert!(table.line(Series::V6_1, bad).is_err(), "{bad}");
        }
        assert!(!table.is_empty() && Table::default().is_empty());
    }
}
