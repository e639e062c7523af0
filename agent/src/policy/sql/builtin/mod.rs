//! Functions by name: those without side effects, and those that are known to act.
//!
//! Only a name on the first list is allowed by itself. The second list backs it up where policy
//! allows the functions of a database's users.

mod acting;
mod mysql;
mod postgres;
mod postgres_system;
mod sqlite;

use std::collections::HashSet;
use std::sync::LazyLock;

use super::Dialect;

type Words = LazyLock<HashSet<&'static str>>;

static POSTGRES: Words = LazyLock::new(|| {
    words(&[postgres::PURE, postgres_system::SYSTEM, postgres_system::EXTENSIONS])
});
static MYSQL: Words = LazyLock::new(|| words(&[mysql::PURE]));
static SQLITE: Words = LazyLock::new(|| words(&[sqlite::PURE, sqlite::TABLES]));
static VIRTUAL: Words = LazyLock::new(|| words(&[sqlite::VIRTUAL]));
static ACTING: Words = LazyLock::new(|| words(&[acting::POSTGRES]));
static ACTING_OTHERS: Words = LazyLock::new(|| words(&[acting::OTHERS, sqlite::VIRTUAL]));

/// Beginnings of names that databases and their extensions keep for administration.
const ACTING_PREFIXES: [&str; 19] = [
    "aws_",
    "binary_upgrade_",
    "cron_",
    "currtid",
    "dblink",
    "dbms_",
    "file_fdw",
    "http_",
    "keyring_",
    "lo_",
    "net_",
    "pg_",
    "pgagent",
    "pglogical",
    "plperl",
    "plpython",
    "sp_",
    "sys_",
    "xp_",
];

fn words(lists: &[&'static str]) -> HashSet<&'static str> {
    lists.iter().flat_map(|list| list.split_whitespace()).collect()
}

/// Whether a function, by its folded name without a schema, has no side effects. For a database
/// that is not known it must have none in any.
pub(super) fn is_pure(dialect: Dialect, name: &str) -> bool {
    match dialect {
        Dialect::Postgres => POSTGRES.contains(name),
        Dialect::Mysql => MYSQL.contains(name),
        Dialect::Sqlite => SQLITE.contains(name),
        Dialect::Generic => {
            (POSTGRES.contains(name) || MYSQL.contains(name) || SQLITE.contains(name))
                && !acts(name)
        }
    }
}

/// Whether a name is known as that of a function that acts, or kept for such functions.
pub(super) fn acts(name: &str) -> bool {
    let name = name.to_lowercase();
    ACTING.contains(name.as_str())
        || ACTING_OTHERS.contains(name.as_str())
        || (ACTING_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
            && !POSTGRES.contains(name.as_str()))
}

/// Whether PostgreSQL itself has a function of that name that acts.
pub(super) fn acts_as_attribute(name: &str) -> bool {
    ACTING.contains(name)
}

/// Whether a table's name is that of one of SQLite's virtual tables that read outside the tables.
pub(super) fn is_virtual_table(name: &str) -> bool {
    VIRTUAL.contains(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIALECTS: [Dialect; 4] =
        [Dialect::Postgres, Dialect::Mysql, Dialect::Sqlite, Dialect::Generic];

    #[test]
    fn what_acts_is_never_pure() {
        for dialect in DIALECTS {
            for list in [acting::POSTGRES, acting::OTHERS, sqlite::VIRTUAL] {
                for name in list.split_whitespace() {
                    assert!(!is_pure(dialect, name), "{dialect:?} {name}");
                    assert!(acts(name), "{name}");
                }
            }
        }
    }

    #[test]
    fn everyday_functions_are_pure() {
        for name in ["lower", "count", "coalesce", "json_extract", "date", "substr", "rank"] {
            for dialect in [Dialect::Mysql, Dialect::Sqlite, Dialect::Generic] {
                assert!(is_pure(dialect, name), "{dialect:?} {name}");
            }
        }
        for name in ["jsonb_path_query", "generate_series", "to_char", "array_agg", "ts_headline"] {
            assert!(is_pure(Dialect::Postgres, name), "{name}");
        }
    }
}
