//! The checks of one constraint on a call's arguments, by what the arguments mean.

mod path;
mod schema;
mod size;
mod sql;
mod url;

use serde_json::{Map, Value};

use super::arguments::{Meaning, Named, named};

pub(super) use path::{approve_paths, named_paths};
pub(super) use schema::check_schema;
pub(super) use size::check_size;
pub(super) use sql::check_sql;
pub(super) use url::check_urls;

/// A denial in the making.
pub(super) struct Denial {
    /// The key of the rule.
    pub(super) rule: String,
    /// Why, in one line.
    pub(super) reason: String,
    /// The arguments are not what the tool takes: the caller can correct itself.
    pub(super) bad_arguments: bool,
}

/// A denial by `rule`.
pub(super) fn deny<T>(rule: impl Into<String>, reason: impl Into<String>) -> Result<T, Denial> {
    Err(Denial { rule: rule.into(), reason: reason.into(), bad_arguments: false })
}

/// The texts of a meaning that a call names. A call that names none, or something that is no text,
/// cannot be judged by a limit on them.
fn texts<'a>(
    arguments: &'a Map<String, Value>,
    meaning: Meaning,
    names: Option<&[String]>,
    key: &str,
) -> Result<Vec<Named<'a>>, Denial> {
    let what = match meaning {
        Meaning::Path => "path",
        Meaning::Url => "URL",
        Meaning::Query => "SQL query",
    };
    match named(arguments, meaning, names) {
        Ok(found) if found.is_empty() => {
            deny(key, format!("the tool is limited by {what}, and the call names none"))
        }
        Ok(found) => Ok(found),
        Err(name) => deny(key, format!("argument `{name}` is not a {what}")),
    }
}
