//! What was found, for a terminal and for a page.

use std::fmt::Write as _;

use crate::machine::Machine;
use crate::rows::{Limit, Row, rounded};

/// A table in Markdown, which a terminal shows as well.
#[must_use]
pub fn table(rows: &[Row]) -> String {
    let mut lines = vec![["row", "must be", "is", "middle half", "figures", ""].map(str::to_owned)];
    lines.extend(rows.iter().map(line));
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max();
    let widths: Vec<usize> = (0..6).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for (n, line) in lines.iter().enumerate() {
        let cells = line.iter().zip(&widths).map(|(cell, width)| {
            let room = width - cell.chars().count();
            format!(" {cell}{} ", " ".repeat(room))
        });
        let _ = writeln!(text, "|{}|", cells.collect::<Vec<_>>().join("|"));
        if n == 0 {
            let rules = widths.iter().map(|width| "-".repeat(width + 2));
            let _ = writeln!(text, "|{}|", rules.collect::<Vec<_>>().join("|"));
        }
    }
    text
}

fn line(row: &Row) -> [String; 6] {
    let unit = row.unit;
    let with_unit = |number: String| format!("{number} {unit}");
    let must = match row.limit {
        Limit::AtMost(most) => format!("≤ {}", with_unit(most.to_string())),
        Limit::AtLeast(least) => format!("≥ {}", with_unit(least.to_string())),
        Limit::None => String::new(),
    };
    let (is, half) = row.value.map_or(("not measured".to_owned(), String::new()), |value| {
        let half = format!("{} to {}", rounded(value.low), rounded(value.high));
        // One value has no spread.
        let half = if value.low < value.high { half } else { String::new() };
        (with_unit(rounded(value.median)), half)
    });
    let reached = match row.is_reached() {
        Some(true) => "yes",
        Some(false) => "no",
        None => "",
    };
    [row.title.clone(), must, is, half, row.figures.clone(), reached.to_owned()]
}

/// The page: machine, versions, the table, and what could not be measured.
#[must_use]
pub fn page(machine: &Machine, method: &str, rows: &[Row], notes: &[String]) -> String {
    let mut text = format!("{}.\n\n", machine.line());
    let versions: Vec<String> =
        machine.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
    let _ = writeln!(text, "Versions: {}. {method}\n", versions.join(", "));
    text.push_str(&table(rows));
    if !notes.is_empty() {
        text.push('\n');
        for note in notes {
            let _ = writeln!(text, "- {note}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::Spread;

    #[test]
    fn a_row_says_whether_it_reaches_what_it_must() {
        let row = |limit, median: f64| Row {
            id: "a".into(),
            title: "calls".into(),
            limit,
            unit: "×",
            value: Some(Spread { median, low: median - 0.1, high: median + 0.1 }),
            figures: "1 µs".into(),
        };
        let rows =
            [row(Limit::AtMost(1.25), 1.2), row(Limit::AtLeast(1.0), 0.7), row(Limit::None, 3.0)];
        let table = table(&rows);
        assert!(table.contains("| ≤ 1.25 × | 1.20 × | 1.10 to 1.30 | 1 µs    | yes |"), "{table}");
        assert!(table.contains("| ≥ 1 ×    | 0.70 × | 0.60 to 0.80 | 1 µs    | no  |"), "{table}");
        assert!(table.contains("|          | 3.00 × |"), "{table}");
    }
}
