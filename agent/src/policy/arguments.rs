//! Which arguments of a call are paths, URLs or SQL.

use serde_json::{Map, Value};

/// What an argument's text means to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    Path,
    Url,
    Query,
}

impl Meaning {
    /// Whether an argument of this name means this unless policy says otherwise.
    fn is_well_known(self, name: &str) -> bool {
        self.well_known().iter().any(|known| known.eq_ignore_ascii_case(name))
    }

    /// Argument names that mean this in the servers in use.
    fn well_known(self) -> &'static [&'static str] {
        match self {
            Self::Path => &[
                "path",
                "paths",
                "file",
                "files",
                "file_path",
                "filepath",
                "filename",
                "source",
                "destination",
                "src",
                "dst",
                "directory",
                "dir",
                "folder",
                "root",
                "uri",
                "repo_path",
                "old_path",
                "new_path",
                "target",
            ],
            Self::Url => &["url", "urls", "uri", "href", "link", "endpoint"],
            Self::Query => &["query", "sql", "statement", "sql_query"],
        }
    }
}

/// Whether an argument of this name is a path unless policy says otherwise.
pub fn means_path(name: &str) -> bool {
    Meaning::Path.is_well_known(name)
}

/// Whether an argument of this name is a URL unless policy says otherwise.
pub fn means_url(name: &str) -> bool {
    Meaning::Url.is_well_known(name)
}

/// Whether an argument of this name is SQL unless policy says otherwise.
pub fn means_query(name: &str) -> bool {
    Meaning::Query.is_well_known(name)
}

/// A text that a call names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named<'a> {
    /// The argument, with an index where it is a list: `paths[1]`.
    pub(super) name: String,
    /// The text as the caller wrote it.
    pub(super) value: &'a str,
}

/// The texts of a meaning that a call names, in the order of its arguments. `names` is what the
/// policy says; without it the well-known names count. The error is the name of an argument that
/// should hold text and holds something else.
pub(super) fn named<'a>(
    arguments: &'a Map<String, Value>,
    meaning: Meaning,
    names: Option<&[String]>,
) -> Result<Vec<Named<'a>>, String> {
    let mut found = Vec::new();
    for (name, value) in arguments {
        let counts =
            names.map_or_else(|| meaning.is_well_known(name), |names| names.contains(name));
        if !counts {
            continue;
        }
        match value {
            Value::Null => {}
            Value::String(value) => found.push(Named { name: name.clone(), value }),
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    let name = format!("{name}[{index}]");
                    let Value::String(value) = item else { return Err(name) };
                    found.push(Named { name, value });
                }
            }
            _ => return Err(name.clone()),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, names: Option<&[String]>) -> Result<Vec<String>, String> {
        match serde_json::from_str(text) {
            Ok(Value::Object(map)) => {
                let found = named(&map, Meaning::Path, names)?;
                Ok(found.into_iter().map(|a| a.value.to_owned()).collect())
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn well_known_names_are_paths() {
        let text = r#"{"path":"a","paths":["b","c"],"content":"d","head":3}"#;
        assert_eq!(of(text, None), Ok(vec!["a".into(), "b".into(), "c".into()]));
    }

    #[test]
    fn a_policy_names_its_own() {
        let names = ["where".to_owned()];
        assert_eq!(of(r#"{"path":"a","where":"b"}"#, Some(&names)), Ok(vec!["b".into()]));
    }

    #[test]
    fn urls_and_queries_have_their_own_names() {
        let map = serde_json::from_str(r#"{"url":"u","sql":"s","path":"p"}"#).expect("JSON");
        for (meaning, expected) in [(Meaning::Url, "u"), (Meaning::Query, "s")] {
            let found = named(&map, meaning, None).expect("texts");
            assert_eq!(found.iter().map(|a| a.value).collect::<Vec<_>>(), [expected]);
        }
    }

    #[test]
    fn a_path_that_is_no_string_is_an_error() {
        assert_eq!(of(r#"{"path":{"a":1}}"#, None), Err("path".into()));
        assert_eq!(of(r#"{"paths":["a",1]}"#, None), Err("paths[1]".into()));
    }
}
