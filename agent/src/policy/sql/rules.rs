//! A policy's limits on SQL, and whether what a text does keeps them.

use std::collections::BTreeSet;

use super::limit::RowLimit;
use super::names::{Name, Pattern};
use super::statement::OPERATIONS;
use super::walk::Found;
use super::{Dialect, SqlDenial, builtin};

/// Functions that neither the policy nor the database's own documentation names: written by users
/// of the database, or brought by extensions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UserFunctions {
    /// Denied. Such a function can do anything, so the other limits hold only without it.
    #[default]
    Deny,
    /// Allowed, unless the name is one of a known extension's or administration function's. For
    /// databases whose grants see to it that no such function writes.
    Allow,
}

/// Limits on SQL, as a policy writes them. Absent limits do not limit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SqlRules {
    /// What the database speaks.
    pub dialect: Dialect,
    /// Operations that a statement may perform, in any case: `SELECT`, `INSERT`, `CREATE TABLE`.
    pub allowed_operations: Option<Vec<String>>,
    /// Tables that a statement may name: `users`, `public.users`, `public.*`. Without a schema the
    /// name means what it means to the database, and `public.` (PostgreSQL) or `main.` (SQLite).
    pub allowed_tables: Option<Vec<String>>,
    /// Tables that it may not name, whatever is allowed. Without a schema: in no schema.
    pub denied_tables: Vec<String>,
    /// Functions that it may call, beside the built-in ones without side effects.
    pub allowed_functions: Vec<String>,
    /// What happens to functions that nobody knows.
    pub user_functions: UserFunctions,
    /// Most rows that it may ask for. One that does not say how many it wants is allowed.
    pub max_rows: Option<u64>,
}

/// Validated limits.
#[derive(Debug, Clone)]
pub struct Compiled {
    dialect: Dialect,
    operations: Option<BTreeSet<&'static str>>,
    allowed: Option<Vec<Pattern>>,
    denied: Vec<Pattern>,
    functions: BTreeSet<String>,
    user_functions: UserFunctions,
    max_rows: Option<u64>,
}

/// What is wrong with limits on SQL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct SqlRulesError {
    /// The key, with an index where it is a list: `allowed_tables[2]`.
    pub field: String,
    /// What is wrong, and what to write instead.
    pub reason: String,
}

impl SqlRules {
    /// Validates the limits.
    pub fn compile(&self) -> Result<Compiled, SqlRulesError> {
        let tables = |key: &str, entries: &[String]| {
            each(key, entries, |entry| Pattern::read(self.dialect, entry))
        };
        let operations = self.allowed_operations.as_deref();
        let allowed = self.allowed_tables.as_deref();
        Ok(Compiled {
            dialect: self.dialect,
            operations: operations
                .map(|entries| each("allowed_operations", entries, operation))
                .transpose()?
                .map(BTreeSet::from_iter),
            allowed: allowed.map(|entries| tables("allowed_tables", entries)).transpose()?,
            denied: tables("denied_tables", &self.denied_tables)?,
            functions: each("allowed_functions", &self.allowed_functions, function)?
                .into_iter()
                .collect(),
            user_functions: self.user_functions,
            max_rows: self.max_rows,
        })
    }
}

fn each<T>(
    key: &str,
    entries: &[String],
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<Vec<T>, SqlRulesError> {
    entries
        .iter()
        .enumerate()
        .map(|(index, entry)| {
            read(entry).map_err(|reason| SqlRulesError { field: format!("{key}[{index}]"), reason })
        })
        .collect()
}

fn operation(entry: &str) -> Result<&'static str, String> {
    let words: Vec<_> = entry.split_whitespace().map(str::to_ascii_uppercase).collect();
    let name = words.join(" ");
    let known = OPERATIONS.into_iter().find(|known| *known == name);
    known.ok_or_else(|| match name.as_str() {
        "VALUES" | "TABLE" | "WITH" => format!("`{entry}` is covered by SELECT; write SELECT"),
        _ => format!("no operation `{entry}` (they are: {})", OPERATIONS.join(", ")),
    })
}

fn function(entry: &str) -> Result<String, String> {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$');
    let ok = entry.split('.').all(|part| !part.is_empty() && part.chars().all(plain));
    if !ok {
        return Err(format!("`{entry}` is no function name; write NAME or SCHEMA.NAME"));
    }
    let name = entry.to_lowercase();
    Ok(name.strip_prefix("pg_catalog.").unwrap_or(&name).to_owned())
}

impl Compiled {
    /// What the database speaks.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Whether what a text does keeps every limit.
    pub(super) fn check(&self, found: &Found) -> Result<(), SqlDenial> {
        self.check_operations(found)?;
        self.check_tables(found)?;
        self.check_functions(found)?;
        self.check_rows(found.limit)
    }

    fn check_operations(&self, found: &Found) -> Result<(), SqlDenial> {
        let Some(allowed) = &self.operations else { return Ok(()) };
        match found.operations.iter().find(|operation| !allowed.contains(**operation)) {
            None => Ok(()),
            Some(operation) => {
                let reason = format!("the statement does {operation}, which is not allowed");
                Err(SqlDenial::new("allowed_operations", reason))
            }
        }
    }

    fn check_tables(&self, found: &Found) -> Result<(), SqlDenial> {
        let key = if self.allowed.is_some() { "allowed_tables" } else { "denied_tables" };
        if let Some(operation) = found.opaque
            && (self.allowed.is_some() || !self.denied.is_empty())
        {
            let reason = format!("{operation} does not show which tables it reads");
            return Err(SqlDenial::new(key, reason));
        }
        for table in &found.tables {
            if self.denied.iter().any(|entry| entry.denies(table)) {
                let reason = format!("table `{table}` is denied");
                return Err(SqlDenial::new("denied_tables", reason));
            }
            let allowed = self.allowed.as_ref();
            if !allowed.is_none_or(|entries| entries.iter().any(|entry| entry.allows(table))) {
                let reason = format!("table `{table}` is not among the allowed tables");
                return Err(SqlDenial::new("allowed_tables", reason));
            }
        }
        Ok(())
    }

    fn check_functions(&self, found: &Found) -> Result<(), SqlDenial> {
        for function in &found.functions {
            if !self.allows_function(function) {
                let reason = format!("function `{function}` is not among the allowed functions");
                return Err(SqlDenial::new("allowed_functions", reason));
            }
        }
        let acts = |name: &&String| {
            builtin::acts_as_attribute(name) && !self.functions.contains(name.as_str())
        };
        if let Some(name) = found.attributes.iter().find(acts) {
            let reason = format!("`.{name}` calls function `{name}`, which is not allowed");
            return Err(SqlDenial::new("allowed_functions", reason));
        }
        Ok(())
    }

    fn allows_function(&self, function: &Name) -> bool {
        let (scope, name) = function.split();
        if self.functions.contains(&function.to_string()) {
            return true;
        }
        if scope.is_empty() && builtin::is_pure(self.dialect, name) {
            return true;
        }
        self.user_functions == UserFunctions::Allow && !builtin::acts(name)
    }

    fn check_rows(&self, limit: RowLimit) -> Result<(), SqlDenial> {
        let Some(max) = self.max_rows else { return Ok(()) };
        let reason = match limit {
            RowLimit::Absent => return Ok(()),
            RowLimit::Rows(rows) if rows <= max => return Ok(()),
            RowLimit::Rows(rows) => format!("it asks for {rows} rows, and {max} are allowed"),
            RowLimit::Unclear => format!("write how many rows it wants, at most {max}"),
        };
        Err(SqlDenial::new("max_rows", reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_name_their_place() {
        let rules = |f: fn(&mut SqlRules)| {
            let mut rules = SqlRules::default();
            f(&mut rules);
            rules.compile().unwrap_err().field
        };
        assert_eq!(
            rules(|r| r.allowed_operations = Some(vec!["SELECT".into(), "SELEKT".into()])),
            "allowed_operations[1]"
        );
        assert_eq!(rules(|r| r.allowed_tables = Some(vec!["a b".into()])), "allowed_tables[0]");
        assert_eq!(rules(|r| r.denied_tables = vec!["a".into(), "*".into()]), "denied_tables[1]");
        assert_eq!(rules(|r| r.allowed_functions = vec!["f()".into()]), "allowed_functions[0]");
    }

    #[test]
    fn operations_are_read_in_any_case() {
        assert_eq!(operation("select"), Ok("SELECT"));
        assert_eq!(operation("Create  table"), Ok("CREATE TABLE"));
        assert!(operation("VALUES").is_err_and(|why| why.contains("write SELECT")));
    }
}
