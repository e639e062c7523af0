//! Words that can name neither a table nor a column nor an alias without quotes. Where the parser takes one for
//! a name all the same, it has read the text otherwise than the database will.

use std::cmp::Ordering;

use sqlparser::ast::{Ident, TableAlias};

use super::Dialect;

/// PostgreSQL 18, appendix C, sorted: the reserved words, also those that may be a function or a type.
const POSTGRES: [&str; 102] = [
    "all",
    "analyse",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "asymmetric",
    "authorization",
    "binary",
    "both",
    "case",
    "cast",
    "check",
    "collate",
    "collation",
    "column",
    "concurrently",
    "constraint",
    "create",
    "cross",
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "default",
    "deferrable",
    "desc",
    "distinct",
    "do",
    "else",
    "end",
    "except",
    "false",
    "fetch",
    "for",
    "foreign",
    "freeze",
    "from",
    "full",
    "grant",
    "group",
    "having",
    "ilike",
    "in",
    "initially",
    "inner",
    "intersect",
    "into",
    "is",
    "isnull",
    "join",
    "lateral",
    "leading",
    "left",
    "like",
    "limit",
    "localtime",
    "localtimestamp",
    "natural",
    "not",
    "notnull",
    "null",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "outer",
    "overlaps",
    "placing",
    "primary",
    "references",
    "returning",
    "right",
    "select",
    "session_user",
    "similar",
    "some",
    "symmetric",
    "system_user",
    "table",
    "tablesample",
    "then",
    "to",
    "trailing",
    "true",
    "union",
    "unique",
    "user",
    "using",
    "variadic",
    "verbose",
    "when",
    "where",
    "window",
    "with",
    "within",
];

/// Sorted, words that carry syntax behind a table's name in MySQL or SQLite.
const OTHERS: [&str; 34] = [
    "dumpfile",
    "except",
    "for",
    "force",
    "from",
    "group",
    "having",
    "ignore",
    "indexed",
    "inner",
    "intersect",
    "into",
    "join",
    "lateral",
    "left",
    "limit",
    "lock",
    "natural",
    "on",
    "order",
    "outfile",
    "partition",
    "procedure",
    "right",
    "select",
    "set",
    "straight_join",
    "table",
    "union",
    "update",
    "use",
    "using",
    "where",
    "with",
];

/// Fails on a name that is a reserved word without quotes.
pub(super) fn check(dialect: Dialect, name: &Ident) -> Result<(), String> {
    let words: &[&str] = match dialect {
        Dialect::Postgres => &POSTGRES,
        Dialect::Mysql | Dialect::Sqlite | Dialect::Generic => &OTHERS,
    };
    let same = |word: &&str| order(word, &name.value);
    if name.quote_style.is_none() && words.binary_search_by(same).is_ok() {
        return Err(format!("`{}` where a name belongs", name.value));
    }
    Ok(())
}

/// The order of a word in small letters and a text in any.
fn order(word: &str, text: &str) -> Ordering {
    word.bytes().cmp(text.bytes().map(|byte| byte.to_ascii_lowercase()))
}

/// The same for a column's name, where some reserved words stand for values.
pub(super) fn check_column(dialect: Dialect, name: &Ident) -> Result<(), String> {
    check(dialect, name).or_else(|reason| {
        let word = name.value.to_ascii_lowercase();
        let value = word.starts_with("current_") || word.starts_with("local");
        let of_column =
            matches!(word.as_str(), "default" | "user" | "session_user" | "system_user");
        if value || of_column { Ok(()) } else { Err(reason) }
    })
}

/// The same for an alias.
pub(super) fn check_alias(dialect: Dialect, alias: Option<&TableAlias>) -> Result<(), String> {
    alias.map_or(Ok(()), |alias| check(dialect, &alias.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reserved_word_is_found_in_any_case() {
        for (dialect, words) in [(Dialect::Postgres, &POSTGRES[..]), (Dialect::Mysql, &OTHERS[..])]
        {
            for word in words {
                assert!(check(dialect, &Ident::new(*word)).is_err(), "{word}");
                assert!(check(dialect, &Ident::new(word.to_uppercase())).is_err(), "{word}");
                assert!(check(dialect, &Ident::with_quote('"', *word)).is_ok(), "{word}");
                assert!(check(dialect, &Ident::new(format!("{word}s"))).is_ok(), "{word}");
            }
        }
    }

    #[test]
    fn words_that_stand_for_values_are_columns() {
        let column = |name: &str| check_column(Dialect::Postgres, &Ident::new(name)).is_ok();
        assert!(column("Current_Date") && column("LOCALTIME") && column("user") && column("id"));
        assert!(!column("FROM") && !column("order"));
    }
}
