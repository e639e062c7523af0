//! A plan as files: the daemon's configuration, and a policy for each server that only observes.

use std::collections::BTreeMap;

use super::plan::{Plan, Planned, Way};
use super::snippet::snippets;
use crate::learn::flow::{comment, scalar};

/// A file to write.
#[derive(Debug, PartialEq, Eq)]
pub struct WrittenFile {
    /// Its path below the directory that is written.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// The name of the daemon's configuration.
const CONFIG: &str = "warrantd.yaml";

const HEAD: &str = "\
# Written by `warrantd discover`. Each of these servers is only observed at first: its calls are decided about and
# recorded, and nothing is held back. When they have been used for a while, `warrantd learn` makes a policy from the
# log. Read the lines marked REVIEW before this is used.
";

const POLICY: &str = "\
# Observed: what happens is recorded, and nothing is held back. `warrantd learn` makes a policy of the log; one that
# is enforced has no `mode`.
mode: observe
default_action: DENY
";

/// The files of a plan: the configuration, the policies, and what clients are to be told.
pub fn files(plan: &Plan) -> Vec<WrittenFile> {
    let mut files = vec![WrittenFile { path: CONFIG.to_owned(), text: config(plan) }];
    for server in &plan.servers {
        let text = format!(
            "{POLICY}actors:\n  - id: {}\n    allowed_tools: []\n",
            scalar(&server.actor.0)
        );
        files.push(WrittenFile { path: policy(server), text });
    }
    files.push(WrittenFile { path: "clients.md".to_owned(), text: snippets(plan) });
    files
}

fn policy(server: &Planned) -> String {
    format!("policies/{}.yaml", server.id)
}

fn config(plan: &Plan) -> String {
    let mut text = HEAD.to_owned();
    for left in &plan.left_out {
        let (name, file) = (comment(&left.found.entry.name), comment(&left.found.file));
        text += &format!("# Left out: `{name}` of {file}: {}\n", comment(&left.why));
    }
    text += "\nactors:\n";
    let actors: BTreeMap<_, _> =
        plan.servers.iter().map(|server| (server.actor.1, &server.actor.0)).collect();
    for (uid, name) in actors {
        text += &format!("  - id: {}\n    uids: [{uid}]\n", scalar(name));
    }
    text += "\nservers:\n";
    for server in &plan.servers {
        text += &format!("  - id: {}\n", scalar(&server.id));
        for found in &server.of {
            let (name, file) = (comment(&found.entry.name), comment(&found.file));
            text += &format!("    # {}: `{name}` of {file}\n", found.client);
        }
        for remark in &server.review {
            text += &format!("    # REVIEW: {}\n", comment(remark));
        }
        text += &format!("    policy: {}\n    auth: [peer_uid]\n", scalar(&policy(server)));
        text += &way(&server.way);
    }
    text
}

/// The part of a server's configuration that says how warrantd gets to it.
fn way(way: &Way) -> String {
    match way {
        Way::Run { command, env, root, user } => {
            let command: Vec<_> = command.iter().map(|word| scalar(word)).collect();
            format!(
                "    command: [{}]\n    root: {}\n    user: {}\n{}",
                command.join(", "),
                scalar(root),
                scalar(user),
                map(4, "env", env)
            )
        }
        Way::Reach { url, headers, cgroup } => {
            let seen = match cgroup {
                Some(cgroup) => format!("cgroup: {}", scalar(cgroup)),
                None => "unobserved: true".to_owned(),
            };
            let headers = map(6, "headers", headers);
            format!("    upstream:\n      url: {}\n      {seen}\n{headers}", scalar(url))
        }
    }
}

/// A map of texts; nothing when it is empty.
fn map(indent: usize, key: &str, texts: &BTreeMap<String, String>) -> String {
    if texts.is_empty() {
        return String::new();
    }
    let pairs = texts
        .iter()
        .map(|(name, value)| format!("{:indent$}  {}: {}\n", "", scalar(name), scalar(value)));
    format!("{:indent$}{key}:\n{}", "", pairs.collect::<String>())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::super::clients::Syntax;
    use super::super::entry::{Entry, Transport};
    use super::super::passwd::Account;
    use super::super::plan::{Found, Host, LeftOut, plan};
    use super::*;
    use crate::config::{DaemonConfig, PolicyFile, Source};

    struct Anything;

    impl Host for Anything {
        fn program(&self, name: &str, _home: &str) -> Option<String> {
            Some(name.to_owned())
        }

        fn is_directory(&self, _path: &str) -> bool {
            true
        }

        fn service(&self, _port: u16) -> Option<String> {
            None
        }
    }

    fn found(texts: &[String; 4]) -> Found {
        let [name, word, variable, value] = texts.clone();
        let command = vec!["/bin/server".to_owned(), word];
        let transport =
            Transport::Stdio { command, env: BTreeMap::from([(variable, value)]), cwd: None };
        Found {
            account: Some(Account { name: "ada".into(), uid: 1000, home: "/home/ada".into() }),
            client: "Cursor",
            file: format!("/home/ada/{name}"),
            syntax: Syntax::Json,
            key: "mcpServers",
            project: None,
            entry: Entry { name, transport, disabled: false },
        }
    }

    proptest! {
        #[test]
        fn whatever_clients_say_reads_back_as_it_was(
            texts in prop::array::uniform4("[^\0]{1,12}|\\PC{1,8}|[:#\\-\\[\\]{}\"'`\n\r\t ]{1,8}")
        ) {
            let found = found(&texts);
            let mut plan = plan(&[found.clone()], &Anything);
            plan.left_out.push(LeftOut { found, why: texts[1].clone() });
            let files = files(&plan);
            let source = Source::new(Path::new(CONFIG), files[0].text.clone());
            let config: DaemonConfig = source.parse().map_err(|e| TestCaseError::fail(e.to_string()))?;
            prop_assert_eq!(config.servers.len(), 1);
            let server = &config.servers[0];
            prop_assert_eq!(&server.command[1], &texts[1]);
            prop_assert_eq!(server.env.get(&texts[2]), Some(&texts[3]));
            prop_assert_eq!(server.user.as_deref(), Some("ada"));
            let source = Source::new(Path::new("policy.yaml"), files[1].text.clone());
            let policy: PolicyFile = source.parse().map_err(|e| TestCaseError::fail(e.to_string()))?;
            prop_assert_eq!(policy.actors.len(), 1);
        }
    }
}
