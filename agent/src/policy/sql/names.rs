//! Names of tables and functions: how a database folds them, and which rules mean them.

use std::fmt;

use sqlparser::ast::{Ident, ObjectName};

use super::Dialect;

/// Bytes of an identifier after which PostgreSQL cuts (`NAMEDATALEN` - 1).
const POSTGRES_IDENTIFIER: usize = 63;

/// A name as the database folds it, part by part, the outermost first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name(pub(super) Vec<String>);

impl Name {
    /// The schema and what is before it, and the name itself.
    pub(super) fn split(&self) -> (&[String], &str) {
        match self.0.as_slice() {
            [scope @ .., last] => (scope, last),
            [] => (&[], ""),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, part) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(".")?;
            }
            if part.contains(['.', '"']) {
                write!(f, "\"{}\"", part.replace('"', "\"\""))?;
            } else {
                f.write_str(part)?;
            }
        }
        Ok(())
    }
}

/// A table's name.
pub(super) fn table(dialect: Dialect, name: &ObjectName) -> Result<Name, String> {
    parts(name, |ident| fold(dialect, ident))
}

/// A function's name. Only PostgreSQL tells upper from lower case, and only in quotes. A schema
/// that always holds the built-in ones is left out.
pub(super) fn function(dialect: Dialect, name: &ObjectName) -> Result<Name, String> {
    let mut name = parts(name, |ident| match dialect {
        Dialect::Postgres => fold(dialect, ident),
        Dialect::Mysql | Dialect::Sqlite | Dialect::Generic => ident.value.to_ascii_lowercase(),
    })?;
    if dialect == Dialect::Postgres
        && let [scope, _] = name.0.as_slice()
        && scope == "pg_catalog"
    {
        name.0.remove(0);
    }
    Ok(name)
}

/// The name of a common table expression. Where a database may or may not fold, the spelling
/// counts: a name that does not match is taken for a table, which is the safe side.
pub(super) fn expression(dialect: Dialect, ident: &Ident) -> String {
    match dialect {
        Dialect::Postgres | Dialect::Sqlite => fold(dialect, ident),
        Dialect::Mysql | Dialect::Generic => ident.value.clone(),
    }
}

fn parts(name: &ObjectName, fold: impl Fn(&Ident) -> String) -> Result<Name, String> {
    name.0
        .iter()
        .map(|part| {
            let ident = part.as_ident().ok_or("it names an object by a function")?;
            if ident.value.is_empty() {
                return Err("a name is empty".to_owned());
            }
            Ok(fold(ident))
        })
        .collect::<Result<Vec<_>, String>>()
        .map(Name)
}

/// An identifier as the database folds it.
fn fold(dialect: Dialect, ident: &Ident) -> String {
    match (dialect, ident.quote_style) {
        (Dialect::Postgres, None) => cut(ident.value.to_ascii_lowercase()),
        (Dialect::Postgres, Some(_)) => cut(ident.value.clone()),
        (Dialect::Sqlite, _) | (Dialect::Generic, None) => ident.value.to_ascii_lowercase(),
        // MySQL folds on some platforms and not on others.
        (Dialect::Mysql, _) | (Dialect::Generic, Some(_)) => ident.value.clone(),
    }
}

fn cut(mut name: String) -> String {
    if name.len() > POSTGRES_IDENTIFIER {
        let end = (0..=POSTGRES_IDENTIFIER).rev().find(|end| name.is_char_boundary(*end));
        name.truncate(end.unwrap_or(0));
    }
    name
}

/// A table as a policy names it: `users`, `public.users`, `public.*`, `"Odd Name"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    scope: Vec<String>,
    /// None is every table of the schema.
    last: Option<String>,
    dialect: Dialect,
}

impl Pattern {
    /// Reads a policy's entry.
    pub(super) fn read(dialect: Dialect, text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        loop {
            let (ident, after) = read_part(rest)
                .ok_or_else(|| format!("`{text}` is no table name; write TABLE or SCHEMA.TABLE"))?;
            parts.push(ident);
            match after.strip_prefix('.') {
                Some(after) => rest = after,
                None if after.is_empty() => break,
                None => return Err(format!("`{text}` is no table name; write one per entry")),
            }
        }
        let Some(last) = parts.pop() else { return Err(format!("`{text}` is no table name")) };
        let scope: Vec<_> = parts.iter().map(|ident| fold(dialect, ident)).collect();
        let every = last.value == "*" && last.quote_style.is_none();
        if every && scope.is_empty() {
            return Err("`*` names no table; remove the key to allow every table".to_owned());
        }
        Ok(Self { scope, last: (!every).then(|| fold(dialect, &last)), dialect })
    }

    /// Whether an allowed entry means the table. A name without a schema means what a query without
    /// one means, and the same in the schema where the database looks for it: PostgreSQL's
    /// `public` and `pg_catalog`, SQLite's `main`.
    pub(super) fn allows(&self, name: &Name) -> bool {
        let (scope, last) = name.split();
        self.last.as_ref().is_none_or(|own| own == last)
            && (self.scope == scope
                || (self.scope.is_empty() && self.is_default_scope(scope, last))
                || (scope.is_empty() && self.is_catalog(&self.scope) && last.starts_with("pg_")))
    }

    /// Whether a denied entry may mean the table: in any case, in any schema that is not said to
    /// be another.
    pub(super) fn denies(&self, name: &Name) -> bool {
        let (scope, last) = name.split();
        let same = |a: &String, b: &String| a.to_lowercase() == b.to_lowercase();
        self.last.as_ref().is_none_or(|own| own.to_lowercase() == last.to_lowercase())
            && self.scope.iter().rev().zip(scope.iter().rev()).all(|(a, b)| same(a, b))
            && (self.last.is_some() || !scope.is_empty())
    }

    fn is_default_scope(&self, scope: &[String], last: &str) -> bool {
        let [scope] = scope else { return false };
        match self.dialect {
            Dialect::Postgres => {
                scope == "public" || (scope == "pg_catalog" && last.starts_with("pg_"))
            }
            Dialect::Sqlite => scope == "main",
            Dialect::Mysql | Dialect::Generic => false,
        }
    }

    fn is_catalog(&self, scope: &[String]) -> bool {
        self.dialect == Dialect::Postgres && matches!(scope, [only] if only == "pg_catalog")
    }
}

/// One part of a dotted name, plain or in double quotes or backticks, and what follows it.
fn read_part(text: &str) -> Option<(Ident, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '`'));
    let Some(quote) = quote else {
        let end = text.find('.').unwrap_or(text.len());
        let (part, rest) = text.split_at(end);
        let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$' | '-' | '#');
        let ok = !part.is_empty() && (part == "*" || part.chars().all(plain));
        return ok.then(|| (Ident::new(part), rest));
    };
    let mut value = String::new();
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if c != quote {
            value.push(c);
        } else if chars.next_if(|(_, c)| *c == quote).is_some() {
            value.push(quote);
        } else {
            let rest = text.get(at + 1..)?;
            return (!value.is_empty()).then(|| (Ident::with_quote(quote, value), rest));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name(text.split('.').map(str::to_owned).collect())
    }

    fn pattern(text: &str) -> Pattern {
        Pattern::read(Dialect::Postgres, text).unwrap()
    }

    #[test]
    fn an_allowed_entry_means_little() {
        for (entry, table, expected) in [
            ("users", "users", true),
            ("Users", "users", true),
            ("\"Users\"", "users", false),
            ("users", "public.users", true),
            ("users", "secret.users", false),
            ("public.users", "users", false),
            ("public.users", "public.users", true),
            ("public.*", "public.users", true),
            ("public.*", "users", false),
            ("public.*", "secret.users", false),
            ("pg_class", "pg_catalog.pg_class", true),
            ("pg_catalog.pg_class", "pg_class", true),
            ("pg_catalog.*", "users", false),
            ("users", "db.public.users", false),
        ] {
            assert_eq!(pattern(entry).allows(&name(table)), expected, "{entry} {table}");
        }
    }

    #[test]
    fn a_denied_entry_means_much() {
        for (entry, table, expected) in [
            ("secrets", "secrets", true),
            ("secrets", "Secrets", true),
            ("secrets", "other.secrets", true),
            ("public.secrets", "secrets", true),
            ("public.secrets", "db.public.secrets", true),
            ("public.secrets", "other.secrets", false),
            ("audit.*", "audit.log", true),
            ("audit.*", "public.log", false),
            ("audit.*", "log", false),
            ("secrets", "secrets2", false),
        ] {
            assert_eq!(pattern(entry).denies(&name(table)), expected, "{entry} {table}");
        }
    }

    #[test]
    fn entries_that_name_no_table_are_errors() {
        for bad in ["", "*", ".", "a.", ".a", "a b", "\"a", "a;b", "\"\"", "a,b", "\"a\"b"] {
            assert!(Pattern::read(Dialect::Generic, bad).is_err(), "accepted {bad:?}");
        }
    }
}
