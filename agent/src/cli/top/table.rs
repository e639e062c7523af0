//! A table of things that are seen: columns, rows, and in which order.

use std::cmp::Ordering;

/// A column.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    pub(super) name: &'static str,
    /// Characters; the last column of a table takes what is left.
    pub(super) width: u16,
    /// It is shown where the screen has so many characters.
    pub(super) from: u16,
    /// Numbers stand at the right.
    pub(super) right: bool,
}

impl Column {
    pub(super) const fn text(name: &'static str, width: u16, from: u16) -> Self {
        Self { name, width, from, right: false }
    }

    pub(super) const fn number(name: &'static str, width: u16, from: u16) -> Self {
        Self { name, width, from, right: true }
    }
}

/// How much a row wants to be looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Tone {
    #[default]
    Plain,
    /// Something to know.
    Odd,
    /// Something to act on.
    Bad,
}

/// A cell. Its text is safe for a terminal.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cell {
    pub(super) text: String,
    key: Key,
}

#[derive(Debug, Clone, PartialEq)]
enum Key {
    Text(String),
    Number(f64),
}

impl Cell {
    /// A text that is safe already.
    pub(super) fn text(text: String) -> Self {
        Self { key: Key::Text(text.to_lowercase()), text }
    }

    pub(super) fn number(value: f64, text: String) -> Self {
        Self { key: Key::Number(value), text }
    }

    #[allow(clippy::cast_precision_loss)] // Nobody sees the difference.
    pub(super) fn count(value: u64) -> Self {
        let text = if value == 0 { "-".to_owned() } else { crate::cli::words::brief(value) };
        Self::number(value as f64, text)
    }

    /// What is not known stands last.
    pub(super) fn unknown() -> Self {
        Self::number(-1.0, "-".to_owned())
    }
}

/// A row.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Row {
    pub(super) cells: Vec<Cell>,
    pub(super) tone: Tone,
    /// Everything about it, line by line; safe for a terminal.
    pub(super) detail: Vec<String>,
}

/// By which column rows are sorted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) column: usize,
    pub(super) reverse: bool,
}

/// The rows that have the filter's text in a cell, sorted: numbers from the largest, texts from A.
pub(super) fn arrange(mut rows: Vec<Row>, order: Order, filter: &str) -> Vec<Row> {
    let filter = filter.to_lowercase();
    let has = |row: &Row| row.cells.iter().any(|cell| cell.text.to_lowercase().contains(&filter));
    rows.retain(|row| filter.is_empty() || has(row));
    rows.sort_by(|a, b| {
        let by_column = compare(a.cells.get(order.column), b.cells.get(order.column));
        if order.reverse { by_column.reverse() } else { by_column }
    });
    rows
}

fn compare(a: Option<&Cell>, b: Option<&Cell>) -> Ordering {
    match (a.map(|cell| &cell.key), b.map(|cell| &cell.key)) {
        (Some(Key::Number(a)), Some(Key::Number(b))) => b.total_cmp(a),
        (Some(Key::Text(a)), Some(Key::Text(b))) => a.cmp(b),
        _ => Ordering::Equal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Row> {
        let row = |name: &str, number| Row {
            cells: vec![Cell::text(name.into()), Cell::count(number)],
            detail: vec![format!("it is {name}")],
            ..Row::default()
        };
        vec![row("b", 1), row("A", 3), row("c", 0)]
    }

    fn names(rows: &[Row]) -> String {
        rows.iter().map(|row| row.cells[0].text.as_str()).collect()
    }

    #[test]
    fn numbers_begin_with_the_largest_and_texts_with_a() {
        let order = |column, reverse| Order { column, reverse };
        assert_eq!(names(&arrange(rows(), order(0, false), "")), "Abc");
        assert_eq!(names(&arrange(rows(), order(0, true), "")), "cbA");
        assert_eq!(names(&arrange(rows(), order(1, false), "")), "Abc");
        assert_eq!(names(&arrange(rows(), order(1, true), "")), "cbA");
        assert_eq!(names(&arrange(rows(), order(7, false), "")), "bAc", "as they came");
    }

    #[test]
    fn a_filter_looks_into_cells_and_at_no_case() {
        assert_eq!(names(&arrange(rows(), Order::default(), "a")), "A");
        assert_eq!(names(&arrange(rows(), Order::default(), "nowhere")), "");
    }
}
