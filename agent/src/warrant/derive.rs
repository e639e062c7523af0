//! What a call may do when its policy does not say: read the paths it names, or also write them
//! when the tool's name begins with a word for it. Nothing else.

use std::path::Path;

use super::grant::{DELETE, FileGrant, READ, Scope, WRITE, Warrant};
use crate::policy::ApprovedPath;

/// First words of tool names that change what they name.
const WRITES: [&str; 17] = [
    "write", "create", "edit", "append", "save", "update", "put", "insert", "add", "set", "move",
    "rename", "copy", "make", "mkdir", "replace", "patch",
];
/// First words of tool names that take away what they name.
const DELETES: [&str; 4] = ["delete", "remove", "move", "rename"];
/// Words anywhere in tool names that look at what lies below a directory.
const RECURSES: [&str; 8] = ["list", "search", "find", "grep", "glob", "tree", "walk", "directory"];

/// The warrant of a call of `tool` that names `paths`, for a server whose root is `root`.
pub(super) fn derive(tool: &str, paths: &[ApprovedPath], root: &str) -> Warrant {
    let words = words(tool);
    let recurses = words.iter().any(|word| RECURSES.contains(&word.as_str()));
    let mut files = Vec::new();
    for path in paths {
        let real = &path.real;
        let scope = if recurses { Scope::Subtree } else { Scope::Exactly };
        files.push(FileGrant { kinds: READ, scope: scope(real.clone()) });
        if writes(tool) {
            // Before it writes, a careful server looks at the directories that lead there.
            let within = |dir: &&Path| dir.starts_with(root);
            for dir in Path::new(real).ancestors().skip(1).take_while(within) {
                let dir = dir.to_string_lossy().into_owned();
                files.push(FileGrant { kinds: READ, scope: Scope::Exactly(dir) });
            }
            files.push(FileGrant { kinds: WRITE, scope: Scope::Exactly(real.clone()) });
            files.push(FileGrant { kinds: WRITE, scope: Scope::Beside(real.clone()) });
        }
        if deletes(tool) {
            files.push(FileGrant { kinds: DELETE, scope: Scope::Exactly(real.clone()) });
        }
    }
    Warrant { files, peers: Vec::new() }
}

/// Whether the warrants of a tool let it write what it names.
pub(super) fn writes(tool: &str) -> bool {
    words(tool).first().is_some_and(|word| WRITES.contains(&word.as_str()))
}

/// Whether the warrants of a tool let it take away what it names.
pub(super) fn deletes(tool: &str) -> bool {
    words(tool).first().is_some_and(|word| DELETES.contains(&word.as_str()))
}

/// `readTextFile`, `read-text-file` and `read_text_file` as `read`, `text`, `file`.
fn words(tool: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for c in tool.chars() {
        if !c.is_alphanumeric() {
            words.push(String::new());
            continue;
        }
        let starts =
            c.is_uppercase() && words.last().is_some_and(|word| word.ends_with(char::is_lowercase));
        if starts {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.push(c);
        }
    }
    words.retain(|word| !word.is_empty());
    words.into_iter().map(|word| word.to_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(tool: &str) -> String {
        let path = ApprovedPath {
            argument: "path".into(),
            lexical: "/srv/link".into(),
            real: "/srv/a".into(),
        };
        serde_json::to_string(&derive(tool, &[path], "/srv")).expect("serialises")
    }

    #[test]
    fn a_read_grants_that_file_after_links_and_nothing_else() {
        assert_eq!(json("read_text_file"), r#"{"read":["/srv/a"]}"#);
        assert_eq!(json("frobnicate"), r#"{"read":["/srv/a"]}"#);
    }

    #[test]
    fn a_listing_grants_the_subtree() {
        for tool in ["list_directory", "searchFiles", "directory-tree"] {
            assert_eq!(json(tool), r#"{"read":["/srv/a/**"]}"#, "{tool}");
        }
    }

    #[test]
    fn writes_and_moves_grant_what_they_need() {
        let write = r#"{"read":["/srv/a","/srv"],"write":["/srv/a","/srv/a.*"]}"#;
        assert_eq!(json("write_file"), write);
        assert!(json("move_file").contains(r#""delete":["/srv/a"]"#));
        assert!(!json("read_write_log").contains("\"write\""), "only the first word counts");
    }
}
