//! From a file's text to the servers in it.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::clients::ClientFile;
use super::document::parse;
use super::entry::Entry;

/// Servers that are read of one file; a file with more is not one that a person keeps.
const MOST: usize = 1000;

/// What a file says.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Its servers.
    pub entries: Vec<Placed>,
    /// Entries that cannot be understood, and why.
    pub unread: Vec<String>,
    /// Directories of projects that the file speaks of.
    pub projects: BTreeSet<String>,
}

/// A server and where it stands in its file.
#[derive(Debug, PartialEq, Eq)]
pub struct Placed {
    /// The server.
    pub entry: Entry,
    /// The project's directory that it is for, if it is for one.
    pub project: Option<String>,
    /// The key under which it stands.
    pub key: &'static str,
}

/// Reads a client's file. The error says why it cannot be read.
pub fn read(file: &ClientFile, text: &str) -> Result<Reading, String> {
    let document = parse(file.syntax, text)?;
    let mut reading = Reading::default();
    for place in file.places {
        reading.follow(&document, place, "", None);
    }
    if reading.entries.len() > MOST {
        reading.entries.truncate(MOST);
        reading.unread.push(format!("it has more than {MOST} servers"));
    }
    Ok(reading)
}

impl Reading {
    /// Goes the rest of the way to a place, from the value under `last`.
    fn follow(
        &mut self,
        value: &Value,
        place: &[&'static str],
        last: &'static str,
        project: Option<&str>,
    ) {
        match place {
            [] => self.servers(value, last, project),
            ["*", rest @ ..] => {
                for (name, value) in value.as_object().into_iter().flatten() {
                    self.projects.insert(name.clone());
                    self.follow(value, rest, last, Some(name));
                }
            }
            [key, rest @ ..] => {
                if let Some(value) = value.get(*key) {
                    self.follow(value, rest, key, project);
                }
            }
        }
    }

    /// Servers by name, or a list of servers that have one.
    fn servers(&mut self, value: &Value, key: &'static str, project: Option<&str>) {
        let named = |item: &Value| item.get("name").and_then(Value::as_str).map(str::to_owned);
        let none = Map::new();
        let pairs: Vec<(String, &Value)> = match value {
            Value::Array(items) => (1..)
                .zip(items)
                .map(|(n, item)| (named(item).unwrap_or_else(|| format!("server {n}")), item))
                .collect(),
            other => {
                let map = other.as_object().unwrap_or(&none);
                map.iter().map(|(name, value)| (name.clone(), value)).collect()
            }
        };
        for (name, value) in pairs {
            match Entry::read(&name, value) {
                Ok(Some(entry)) => {
                    self.entries.push(Placed { entry, project: project.map(str::to_owned), key });
                }
                Ok(None) => {}
                Err(why) => self.unread.push(format!("`{name}`: {why}")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discover::{HOME_FILES, Transport};

    fn file(client: &str, path: &str) -> &'static ClientFile {
        let found =
            HOME_FILES.iter().find(|file| file.client == client && file.path.ends_with(path));
        found.expect("a known file")
    }

    fn names(reading: &Reading) -> Vec<&str> {
        reading.entries.iter().map(|placed| placed.entry.name.as_str()).collect()
    }

    #[test]
    fn projects_have_servers_of_their_own() {
        let text = r#"{
            "mcpServers": {"a": {"command": "x"}},
            "projects": {"/srv/p": {"mcpServers": {"b": {"command": "y"}}}, "/srv/q": {}}
        }"#;
        let reading = read(file("Claude Code", ".claude.json"), text).expect("it is JSON");
        assert_eq!(names(&reading), ["a", "b"]);
        assert_eq!(reading.entries[1].project.as_deref(), Some("/srv/p"));
        assert!(reading.projects.contains("/srv/q"));
    }

    #[test]
    fn lists_and_other_syntaxes_are_read() {
        let yaml = "name: a\nmcpServers:\n  - {name: b, command: x}\n  - {command: y}\n";
        let reading = read(file("Continue", "config.yaml"), yaml).expect("it is YAML");
        assert_eq!(names(&reading), ["b", "server 2"]);
        let toml = "[mcp_servers.docs]\ncommand = \"npx\"\nargs = [\"-y\", \"docs\"]\n";
        let reading = read(file("Codex", "config.toml"), toml).expect("it is TOML");
        assert_eq!(names(&reading), ["docs"]);
        let yaml = "extensions:\n  dev: {type: builtin}\n  web: {type: streamable_http, uri: 'http://a/'}\n";
        let reading = read(file("Goose", "config.yaml"), yaml).expect("it is YAML");
        assert_eq!(names(&reading), ["web"]);
        assert!(matches!(reading.entries[0].entry.transport, Transport::Http { .. }));
        let settings = r#"{"mcp": {"servers": {"a": {"command": "x"}}}, "editor.fontSize": 12,}"#;
        let reading = read(file("VS Code", "settings.json"), settings).expect("it is JSON");
        assert_eq!(names(&reading), ["a"]);
    }

    #[test]
    fn what_is_not_understood_does_not_hide_the_rest() {
        let text = r#"{"mcpServers": {"a": 7, "b": {"command": "x"}}}"#;
        let reading = read(file("Cursor", "mcp.json"), text).expect("it is JSON");
        assert_eq!((names(&reading), reading.unread.len()), (vec!["b"], 1));
        assert!(read(file("Cursor", "mcp.json"), "{").is_err());
        assert_eq!(read(file("Cursor", "mcp.json"), "[]"), Ok(Reading::default()));
        assert_eq!(read(file("Cursor", "mcp.json"), ""), Ok(Reading::default()));
    }
}
