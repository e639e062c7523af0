//! Which SQL a call may run.

use serde_json::{Map, Value};

use super::{Denial, deny, texts};
use crate::policy::arguments::{Meaning, Named};
use crate::policy::limits::{Limits, SqlLimits};
use crate::policy::sql::{SqlFacts, judge};

/// Arguments by which a caller says how many rows it wants.
const ROWS: [&str; 7] =
    ["max_rows", "maxrows", "row_limit", "rowlimit", "limit", "max_results", "maxresults"];

/// Judges every query that a call names, and how many rows it asks for. What the queries do is
/// the answer.
pub(in crate::policy) fn check_sql(
    limits: &Limits,
    arguments: &Map<String, Value>,
) -> Result<Vec<SqlFacts>, Denial> {
    let Some(sql) = &limits.sql else { return Ok(Vec::new()) };
    check_rows(sql, &limits.key, arguments)?;
    let names = sql.arguments.as_deref();
    texts(arguments, Meaning::Query, names, &limits.key)?
        .into_iter()
        .map(|Named { name, value }| {
            judge(&sql.rules, value).or_else(|denial| {
                let rule = format!("{}.{}", limits.key, denial.limit);
                deny(rule, format!("argument `{name}`: {}", denial.reason))
            })
        })
        .collect()
}

/// A number of rows beside the query must keep the limit, too.
fn check_rows(sql: &SqlLimits, key: &str, arguments: &Map<String, Value>) -> Result<(), Denial> {
    let Some(most) = sql.max_rows else { return Ok(()) };
    let asked = arguments.iter().filter(|(name, value)| {
        ROWS.contains(&name.to_ascii_lowercase().as_str()) && !value.is_null()
    });
    for (name, value) in asked {
        let rows = match value {
            Value::String(text) => text.trim().parse().ok(),
            value => value.as_u64(),
        };
        if rows.is_none_or(|rows| rows > most) {
            let reason = format!("argument `{name}` must be a number of rows, at most {most}");
            return deny(format!("{key}.max_rows"), reason);
        }
    }
    Ok(())
}
