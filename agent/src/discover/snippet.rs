//! What to write into the files of clients, so that they reach the planned servers through warrantd.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::clients::Syntax;
use super::plan::{Found, Plan};
use crate::learn::flow::{comment, scalar};

/// A text in Markdown: for each client's file, what stands in place of its entries.
pub fn snippets(plan: &Plan) -> String {
    let mut by_file: BTreeMap<_, Vec<(&Found, &str)>> = BTreeMap::new();
    for server in &plan.servers {
        for found in &server.of {
            let file = (found.file.as_str(), found.project.as_deref());
            by_file.entry(file).or_default().push((found, &server.id));
        }
    }
    let mut text = "# Clients\n\nIn place of the entries of these names:\n".to_owned();
    for ((file, project), entries) in by_file {
        let Some((first, _)) = entries.first() else { continue };
        let shown = comment(file).replace('`', "'");
        let _ = write!(text, "\n## {}: `{shown}`\n\n", first.client);
        if let Some(project) = project {
            let _ = write!(text, "For the project `{}`:\n\n", comment(project).replace('`', "'"));
        }
        text += &block(first, &entries);
    }
    text
}

fn block(file: &Found, entries: &[(&Found, &str)]) -> String {
    match file.syntax {
        Syntax::Json => {
            let servers: Map<_, _> = entries
                .iter()
                .map(|(found, id)| (found.entry.name.clone(), json_entry(found.client, id)))
                .collect();
            let whole = json!({ file.key: servers });
            format!("```json\n{whole:#}\n```\n")
        }
        Syntax::Toml => {
            let tables = entries.iter().map(|(found, id)| {
                let name = Value::from(found.entry.name.clone());
                format!(
                    "[{}.{name}]\ncommand = \"warrantd\"\nargs = [\"connect\", \"{id}\"]\n",
                    file.key
                )
            });
            format!("```toml\n{}```\n", tables.collect::<Vec<_>>().join("\n"))
        }
        Syntax::Yaml => {
            let lines = entries.iter().map(|(found, id)| {
                let name = scalar(&found.entry.name);
                if found.client == "Goose" {
                    return format!(
                        "  {name}: {{type: stdio, name: {name}, enabled: true, cmd: warrantd, args: [connect, {id}]}}\n"
                    );
                }
                format!("  - {{name: {name}, command: warrantd, args: [connect, {id}]}}\n")
            });
            format!("```yaml\n{}:\n{}```\n", file.key, lines.collect::<String>())
        }
    }
}

fn json_entry(client: &str, id: &str) -> Value {
    match client {
        "opencode" => json!({"type": "local", "command": ["warrantd", "connect", id]}),
        "Zed" => json!({"source": "custom", "command": "warrantd", "args": ["connect", id]}),
        name if name.starts_with("VS Code") || name == "Crush" => {
            json!({"type": "stdio", "command": "warrantd", "args": ["connect", id]})
        }
        _ => json!({"command": "warrantd", "args": ["connect", id]}),
    }
}

#[cfg(test)]
mod tests {
    use super::super::entry::{Entry, Transport};
    use super::super::passwd::Account;
    use super::super::plan::{Planned, Way};
    use super::super::{HOME_FILES, read};
    use super::*;

    /// What a client reads that was told so.
    fn told(client: &str) -> Entry {
        let file = HOME_FILES.iter().find(|file| file.client == client).expect("a known client");
        let command = vec!["x".to_owned()];
        let transport = Transport::Stdio { command, env: BTreeMap::new(), cwd: None };
        let found = Found {
            account: Some(Account { name: "ada".into(), uid: 1000, home: "/home/ada".into() }),
            client: file.client,
            file: "~/file`\n```".into(),
            syntax: file.syntax,
            key: file.places[0].last().expect("a key"),
            project: None,
            entry: Entry { name: "my \"files\"".into(), transport, disabled: false },
        };
        let server = Planned {
            id: "files".into(),
            way: Way::Reach { url: String::new(), headers: BTreeMap::new(), cgroup: None },
            actor: ("ada".into(), 1000),
            review: Vec::new(),
            of: vec![found],
        };
        let text = snippets(&Plan { servers: vec![server], left_out: Vec::new() });
        assert_eq!(text.matches("```").count(), 2, "{text}");
        let (_, block) = text.split_once("```").expect("a block");
        let (_, block) = block.split_once('\n').expect("its language");
        let (block, _) = block.split_once("```").expect("its end");
        let reading = read(file, block).expect("the client reads it");
        reading.entries.into_iter().next().expect("an entry").entry
    }

    #[test]
    fn every_kind_of_client_reads_what_it_is_told() {
        for client in ["Cursor", "VS Code", "Zed", "opencode", "Codex", "Goose", "Continue"] {
            let entry = told(client);
            assert_eq!(entry.name, "my \"files\"", "{client}");
            assert!(entry.is_behind_warrantd(), "{client}: {entry:?}");
        }
    }
}
