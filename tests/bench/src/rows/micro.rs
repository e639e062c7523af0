//! Parts of a call by themselves, as `cargo bench --bench decision` measures them.

use std::process::Command;

use anyhow::{Context, ensure};
use serde_json::json;

use super::{Bench, Limit};
use crate::figures::Spread;

/// Row, benchmark, title, and the most it may take in microseconds.
const ROWS: [(&str, &str, &str, f64); 4] = [
    ("policy-path", "path_rule_by_policy_size", "policy decision alone, path rule", 1.0),
    ("policy-sql", "sql_rule", "policy decision alone, SQL rule", 15.0),
    ("policy-schema", "schema_of_fifty_fields", "policy decision alone, 50-field schema", 10.0),
    ("sanitize", "sanitize_a_kibibyte", "sanitizing 1 KiB of arguments", 5.0),
];

pub(super) fn rows(bench: &mut Bench) -> anyhow::Result<()> {
    if !bench.settings.wants(&ROWS.map(|row| row.0)) {
        return Ok(());
    }
    let Some(program) = bench.settings.micro.clone() else { return Ok(()) };
    Bench::say("parts of a call by themselves");
    let output = Command::new(&program).arg("--bench").output().context("the micro benchmarks")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    bench.raw.push(json!({ "group": "micro", "divan": text }));
    for (id, name, title, most) in ROWS {
        let row = bench.row(id, title, Limit::AtMost(most), "µs");
        if let Some(found) = found(&text, name) {
            row.value = Some(Spread { median: found.median, low: found.fastest, high: found.mean });
            row.figures = format!("{:.2} µs at the fastest", found.fastest);
        }
    }
    Ok(())
}

/// What divan says of a benchmark, in microseconds.
#[derive(Debug, PartialEq)]
struct Found {
    fastest: f64,
    median: f64,
    mean: f64,
}

/// The line of a benchmark, or the first of its cases below it.
fn found(text: &str, name: &str) -> Option<Found> {
    let mut lines = text.lines().skip_while(|line| bare(line).split(' ').next() != Some(name));
    lines.find_map(times)
}

fn bare(line: &str) -> &str {
    line.trim_start_matches(|c: char| c.is_whitespace() || "├╰─│".contains(c))
}

/// Columns: name and fastest, slowest, median, mean, samples, iterations.
fn times(line: &str) -> Option<Found> {
    let mut columns = bare(line).split('│');
    let fastest = time(columns.next()?)?;
    let (_slowest, median, mean) =
        (columns.next()?, time(columns.next()?)?, time(columns.next()?)?);
    Some(Found { fastest, median, mean })
}

/// The time at the end of a column.
fn time(column: &str) -> Option<f64> {
    let mut words = column.split_whitespace().rev();
    let unit = match words.next()? {
        "ps" => 1e-6,
        "ns" => 1e-3,
        "µs" => 1.0,
        "ms" => 1e3,
        "s" => 1e6,
        _ => return None,
    };
    Some(words.next()?.parse::<f64>().ok()? * unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_in_what_divan_prints() {
        let text = "
Timer precision: 20 ns
decision                        fastest       │ slowest       │ median        │ mean          │ samples │ iters
├─ denied_path_by_policy_size                 │               │               │               │         │
│  ├─ (10, 10)                  861.4 ns      │ 1.2 µs        │ 870.1 ns      │ 881.1 ns      │ 100     │ 800
│  ╰─ (1000, 100)               1.021 µs      │ 2.2 µs        │ 1.05 µs       │ 1.08 µs       │ 100     │ 400
╰─ sql_rule                     9.812 µs      │ 31.4 µs       │ 10.02 µs      │ 10.99 µs      │ 100     │ 100
";
        let path = found(text, "denied_path_by_policy_size").expect("cases");
        assert!((path.median - 0.8701).abs() < 1e-9, "{path:?}");
        let sql = found(text, "sql_rule").expect("a line");
        assert_eq!(sql, Found { fastest: 9.812, median: 10.02, mean: 10.99 });
        assert_eq!(found(text, "missing"), None);
    }
}
