//! What an SQL text would do, and whether policy allows it.
//!
//! A text is proved unambiguous, parsed, and its whole tree walked: which operations it performs,
//! wherever they stand (a write inside a common table expression is a write), which tables it
//! names, which functions it calls and how many rows it asks for. A node that the walk does not
//! know denies the text.
//!
//! Limits of this view, which the database's own grants must close: a view or a trigger is judged
//! by its name and not by its body, operators and casts of user-defined types count as pure, and
//! row types' user-defined functions written as attributes (`t.f` for `f(t)`, PostgreSQL) cannot
//! be told from columns.

mod adapt;
mod adapt_calls;
mod adapt_others;
mod builtin;
mod caps;
mod ddl;
mod expr;
mod function;
mod lex;
mod limit;
mod names;
mod query;
mod reserved;
mod rules;
mod scan;
mod shape;
mod statement;
mod table;
mod walk;
mod write;

#[cfg(test)]
mod attack_tests;
#[cfg(test)]
mod bound_tests;
#[cfg(test)]
mod corpus_tests;

use serde::Serialize;

pub use crate::config::Dialect;

pub use self::rules::{Compiled, SqlRules, SqlRulesError, UserFunctions};
use self::walk::Found;

/// Most bytes of an SQL text.
pub const MAX_BYTES: usize = 64 * 1024;

/// What an SQL text does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SqlFacts {
    /// The operation that the text counts as: the write or the lock where it holds one.
    pub operation: String,
    /// Every operation that it performs, sorted. All of them must be allowed.
    pub operations: Vec<String>,
    /// The tables that it names, sorted, without repeats, as the database folds them:
    /// `users`, `public.users`. A part that holds a dot or a quote is written in double quotes.
    pub tables: Vec<String>,
    /// The functions that it calls, sorted, without repeats, as the database folds them.
    pub functions: Vec<String>,
    /// The rows that it asks for at most, when it says so.
    pub limit: Option<u64>,
}

/// Why an SQL text is denied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct SqlDenial {
    /// The key of the policy that denies: `allowed_operations`, `allowed_tables`, `denied_tables`,
    /// `allowed_functions`, `max_rows`, or `dialect` for a text that is not understood.
    pub limit: &'static str,
    /// Why, in one line.
    pub reason: String,
}

impl SqlDenial {
    fn new(limit: &'static str, reason: impl Into<String>) -> Self {
        Self { limit, reason: reason.into() }
    }
}

/// Decides about a text. The facts are those of an allowed text.
pub fn judge(rules: &Compiled, sql: &str) -> Result<SqlFacts, SqlDenial> {
    let found = find(rules.dialect(), sql)?;
    rules.check(&found)?;
    Ok(found.facts())
}

/// What a text does, without rules.
pub fn inspect(dialect: Dialect, sql: &str) -> Result<SqlFacts, SqlDenial> {
    find(dialect, sql).map(|found| found.facts())
}

fn find(dialect: Dialect, sql: &str) -> Result<Found, SqlDenial> {
    let statement = lex::parse(dialect, sql).map_err(|reason| SqlDenial::new("dialect", reason))?;
    walk::walk(dialect, &statement)
        .map_err(|reason| SqlDenial::new("dialect", format!("cannot judge this SQL: {reason}")))
}
