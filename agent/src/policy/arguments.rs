//! Which arguments of a call are paths.

use serde_json::{Map, Value};

/// Argument names that mean a path in the servers in use.
const WELL_KNOWN: [&str; 20] = [
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
];

/// A path that a call names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathArgument {
    /// The argument, with an index where it is a list: `paths[1]`.
    pub name: String,
    /// The path as the caller wrote it.
    pub value: String,
}

/// The paths that a call names, in the order of its arguments. `names` is the policy's
/// `path_arguments`; without it the well-known names count, as far as they hold strings. The error
/// is the name of an argument that should hold paths and holds something else.
pub fn path_arguments(
    arguments: &Map<String, Value>,
    names: Option<&[String]>,
) -> Result<Vec<PathArgument>, String> {
    let mut found = Vec::new();
    for (name, value) in arguments {
        let counts = names.map_or_else(
            || WELL_KNOWN.contains(&name.to_ascii_lowercase().as_str()),
            |names| names.contains(name),
        );
        if !counts {
            continue;
        }
        match value {
            Value::Null => {}
            Value::String(path) => {
                found.push(PathArgument { name: name.clone(), value: path.clone() });
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    let name = format!("{name}[{index}]");
                    match item {
                        Value::String(path) => {
                            found.push(PathArgument { name, value: path.clone() });
                        }
                        _ => return Err(name),
                    }
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
                Ok(path_arguments(&map, names)?.into_iter().map(|a| a.value).collect())
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
    fn a_path_that_is_no_string_is_an_error() {
        assert_eq!(of(r#"{"path":{"a":1}}"#, None), Err("path".into()));
        assert_eq!(of(r#"{"paths":["a",1]}"#, None), Err("paths[1]".into()));
    }
}
