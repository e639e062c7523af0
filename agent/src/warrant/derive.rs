//! What a call may do when its policy does not say: read the paths it names, or also write them
//! when the tool's name begins with a word for it; reach the hosts of the URLs by which it is limited.
//! Nothing else.

use std::path::Path;

use super::grant::{DELETE, FileGrant, READ, Scope, WRITE, Warrant};
use super::peers::of_url;
use crate::policy::Decision;

/// First words of tool names that change what they name.
const WRITES: [&str; 17] = [
    "write", "create", "edit", "append", "save", "update", "put", "insert", "add", "set", "move",
    "rename", "copy", "make", "mkdir", "replace", "patch",
];
/// First words of tool names that take away what they name.
const DELETES: [&str; 4] = ["delete", "remove", "move", "rename"];
/// Words anywhere in tool names that look at what lies below a directory.
const RECURSES: [&str; 8] = ["list", "search", "find", "grep", "glob", "tree", "walk", "directory"];

/// First words of tool names that put what one argument names where another one says.
const CARRIES: [&str; 3] = ["move", "rename", "copy"];
/// Arguments of such tools that name what is there, and those that name what will be.
const SOURCES: [&str; 7] =
    ["source", "src", "from", "old_path", "source_path", "from_path", "old_name"];
const DESTINATIONS: [&str; 8] =
    ["destination", "dst", "dest", "to", "new_path", "target", "destination_path", "new_name"];

/// What happens to a path that a call names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fate {
    read: bool,
    written: bool,
    deleted: bool,
}

/// The warrant of a call of `tool` that was decided, for a server whose root is `root`.
pub(super) fn derive(tool: &str, decision: &Decision, root: &str) -> Warrant {
    let words = words(tool);
    let recurses = words.iter().any(|word| RECURSES.contains(&word.as_str()));
    let mut files = Vec::new();
    for path in &decision.paths {
        let real = &path.real;
        let fate = fate(tool, &path.argument);
        if fate.read {
            let scope = if recurses { Scope::Subtree } else { Scope::Exactly };
            files.push(FileGrant { kinds: READ, scope: scope(real.clone()) });
        }
        if writes(tool) {
            // Before it writes, a careful server looks at the directories that lead there.
            let within = |dir: &&Path| dir.starts_with(root);
            for dir in Path::new(real).ancestors().skip(1).take_while(within) {
                let dir = dir.to_string_lossy().into_owned();
                files.push(FileGrant { kinds: READ, scope: Scope::Exactly(dir) });
            }
        }
        if fate.written {
            files.push(FileGrant { kinds: WRITE, scope: Scope::Exactly(real.clone()) });
            files.push(FileGrant { kinds: WRITE, scope: Scope::Beside(real.clone()) });
        }
        if fate.deleted {
            files.push(FileGrant { kinds: DELETE, scope: Scope::Exactly(real.clone()) });
        }
    }
    // A host that cannot be written as a grant is not granted.
    let peers = decision.urls.iter().filter_map(|peer| of_url(peer).ok()).collect();
    Warrant { files, runs: Vec::new(), peers }
}

/// What a tool does to the path that one of its arguments names.
fn fate(tool: &str, argument: &str) -> Fate {
    let name = argument.split('[').next().unwrap_or(argument).to_ascii_lowercase();
    let carries = words(tool).first().is_some_and(|word| CARRIES.contains(&word.as_str()));
    if carries && SOURCES.contains(&name.as_str()) {
        Fate { read: true, written: false, deleted: deletes(tool) }
    } else if carries && DESTINATIONS.contains(&name.as_str()) {
        Fate { read: false, written: true, deleted: false }
    } else {
        Fate { read: true, written: writes(tool), deleted: deletes(tool) }
    }
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
    use super::super::effect::EffectKind;
    use super::super::effect::tests::file;
    use super::*;

    use crate::policy::{ApprovedPath, url};

    fn warrant(tool: &str, paths: &[(&str, &str)]) -> Warrant {
        let paths = paths.iter().map(|(argument, real)| ApprovedPath {
            argument: (*argument).into(),
            lexical: "/srv/link".into(),
            real: (*real).into(),
        });
        let decision = Decision { paths: paths.collect(), ..Decision::denied("", "") };
        derive(tool, &decision, "/srv")
    }

    fn text(warrant: &Warrant) -> String {
        serde_json::to_string(warrant).expect("serialises")
    }

    fn json(tool: &str) -> String {
        text(&warrant(tool, &[("path", "/srv/a")]))
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
    #[test]
    fn what_is_carried_away_is_not_written_and_where_it_goes_is_not_read() {
        let paths = [("source", "/srv/a"), ("destination", "/srv/b/c")];
        for tool in ["move_file", "renameFile"] {
            let warrant = warrant(tool, &paths);
            let expected = concat!(
                r#"{"read":["/srv/a","/srv","/srv/b","/srv"],"#,
                r#""write":["/srv/b/c","/srv/b/c.*"],"delete":["/srv/a"]}"#
            );
            assert_eq!(text(&warrant), expected, "{tool}");
            let may = |kind, path| warrant.covers(&file(kind, path));
            assert!(
                may(EffectKind::FileRename, "/srv/a") && may(EffectKind::FileRename, "/srv/b/c")
            );
            assert!(
                !may(EffectKind::FileWrite, "/srv/a") && !may(EffectKind::FileDelete, "/srv/b/c")
            );
        }
        let copy = warrant("copy_file", &[("src", "/srv/a"), ("dst", "/srv/b")]);
        assert!(!copy.covers(&file(EffectKind::FileDelete, "/srv/a")));
        assert!(!copy.covers(&file(EffectKind::FileRename, "/srv/a")));
        assert!(copy.covers(&file(EffectKind::FileRead, "/srv/a")));
        assert!(copy.covers(&file(EffectKind::FileCreate, "/srv/b")));
        let many = warrant("move_files", &[("source[0]", "/srv/a"), ("source[1]", "/srv/b")]);
        assert!(many.covers(&file(EffectKind::FileDelete, "/srv/b")));
    }

    #[test]
    fn a_url_grants_its_host_and_port_and_no_other() {
        let urls = ["https://api.example.com/a", "http://192.0.2.7:8080/"];
        let urls = urls.iter().map(|text| url::peer(text).expect("a URL")).collect();
        let decision = Decision { urls, ..Decision::denied("", "") };
        let warrant = derive("fetch", &decision, "/srv");
        let expected = r#"{"connect":["api.example.com port 443","192.0.2.7/32 port 8080"]}"#;
        assert_eq!(text(&warrant), expected);
    }
}
