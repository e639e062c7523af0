//! How many rows a query asks for.

use sqlparser::ast::{Expr, LimitClause, Query, SetExpr, TopQuantity, Value};

/// The rows that a statement's outermost query asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum RowLimit {
    /// It does not say.
    #[default]
    Absent,
    /// At most so many.
    Rows(u64),
    /// It says so in a way that is not a plain number of rows.
    Unclear,
}

/// The limit of an outermost query.
pub(super) fn of(query: &Query) -> RowLimit {
    let mut query = query;
    loop {
        if let Some(limit) = own(query) {
            return limit;
        }
        match query.body.as_ref() {
            SetExpr::Query(inner) => query = inner,
            SetExpr::Select(_)
            | SetExpr::SetOperation { .. }
            | SetExpr::Values(_)
            | SetExpr::Insert(_)
            | SetExpr::Update(_)
            | SetExpr::Delete(_)
            | SetExpr::Merge(_)
            | SetExpr::Table(_) => return RowLimit::Absent,
        }
    }
}

/// The smallest of the limits that stand at the query itself; any unclear one spoils them.
fn own(query: &Query) -> Option<RowLimit> {
    let clause = query.limit_clause.as_ref().and_then(|clause| match clause {
        LimitClause::LimitOffset { limit, offset: _, limit_by } if limit_by.is_empty() => {
            limit.as_ref().map(literal)
        }
        LimitClause::LimitOffset { .. } => Some(RowLimit::Unclear),
        LimitClause::OffsetCommaLimit { offset: _, limit } => Some(literal(limit)),
    });
    let fetch = query.fetch.as_ref().map(|fetch| {
        if fetch.percent || fetch.with_ties {
            RowLimit::Unclear
        } else {
            fetch.quantity.as_ref().map_or(RowLimit::Rows(1), literal)
        }
    });
    let top = match query.body.as_ref() {
        SetExpr::Select(select) => select.top.as_ref().map(|top| {
            if top.percent || top.with_ties {
                return RowLimit::Unclear;
            }
            match &top.quantity {
                Some(TopQuantity::Constant(rows)) => RowLimit::Rows(*rows),
                Some(TopQuantity::Expr(expr)) => literal(expr),
                None => RowLimit::Unclear,
            }
        }),
        _ => None,
    };
    [clause, fetch, top].into_iter().flatten().reduce(|a, b| match (a, b) {
        (RowLimit::Rows(a), RowLimit::Rows(b)) => RowLimit::Rows(a.min(b)),
        _ => RowLimit::Unclear,
    })
}

/// A plain decimal number; `-1`, which SQLite reads as no limit, is none.
fn literal(expr: &Expr) -> RowLimit {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse().map_or(RowLimit::Unclear, RowLimit::Rows)
            }
            _ => RowLimit::Unclear,
        },
        _ => RowLimit::Unclear,
    }
}
