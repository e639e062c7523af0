//! What warrantd would run of what was found, so that clients can reach it through warrantd.

use std::collections::{BTreeMap, BTreeSet};

use super::clients::Syntax;
use super::entry::{Entry, Transport};
use super::passwd::Account;

/// A server in a client's file, with all that is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Whose file it is; nothing when it is the host's.
    pub account: Option<Account>,
    /// The client.
    pub client: &'static str,
    /// The file.
    pub file: String,
    /// How the file is written.
    pub syntax: Syntax,
    /// The key under which the file has its servers.
    pub key: &'static str,
    /// The directory of the project that it is for, if it is for one.
    pub project: Option<String>,
    /// What the file says.
    pub entry: Entry,
}

/// What a plan needs to know of the host.
pub trait Host {
    /// Where a program is that a user's client would start by this name.
    fn program(&self, name: &str, home: &str) -> Option<String>;
    /// Whether there is such a directory.
    fn is_directory(&self, path: &str) -> bool;
}

/// A server that warrantd would run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// Its id.
    pub id: String,
    /// Program and arguments.
    pub command: Vec<String>,
    /// Environment variables.
    pub env: BTreeMap<String, String>,
    /// Its working directory.
    pub root: String,
    /// The user it runs as.
    pub user: String,
    /// Who may call it: name and number of a user.
    pub actor: (String, u32),
    /// What to look at before it is used.
    pub review: Vec<String>,
    /// The entries that it stands for.
    pub of: Vec<Found>,
}

/// An entry that is not planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// The entry.
    pub found: Found,
    /// Why.
    pub why: String,
}

/// What warrantd would run, and what not.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The servers.
    pub servers: Vec<Planned>,
    /// The rest of the entries, but for those that are behind warrantd already.
    pub left_out: Vec<LeftOut>,
}

/// Longest id of a server: it becomes a file name and part of a cgroup's name.
const ID: usize = 32;

/// Plans what to run. Entries that are the same for the same user become one server.
pub fn plan(found: &[Found], host: &impl Host) -> Plan {
    let mut plan = Plan::default();
    let mut ids = BTreeSet::from(["control".to_owned()]);
    let mut actors: BTreeMap<u32, String> = BTreeMap::new();
    for found in found.iter().filter(|found| !found.entry.is_behind_warrantd()) {
        match planned(found, host) {
            Err(why) => plan.left_out.push(LeftOut { found: found.clone(), why }),
            Ok(mut server) => {
                // Two names of one user are one actor.
                let (name, uid) = &mut server.actor;
                name.clone_from(actors.entry(*uid).or_insert_with(|| name.clone()));
                if let Some(same) = plan.servers.iter_mut().find(|other| other.is_same(&server)) {
                    same.of.push(found.clone());
                    continue;
                }
                server.id = id(&found.entry.name, &server.actor.0, &mut ids);
                plan.servers.push(server);
            }
        }
    }
    plan
}

impl Planned {
    fn is_same(&self, other: &Self) -> bool {
        let what = |server: &Self| {
            let Planned { command, env, root, user, actor, .. } = server.clone();
            (command, env, root, user, actor)
        };
        what(self) == what(other)
    }
}

fn planned(found: &Found, host: &impl Host) -> Result<Planned, String> {
    let Transport::Stdio { command, env, cwd } = &found.entry.transport else {
        return Err("the client connects to it, and does not start it".to_owned());
    };
    if found.entry.disabled {
        return Err("it is disabled".to_owned());
    }
    let account = found.account.as_ref().ok_or("it is for every user of the host")?;
    let odd = |text: &String| text.contains('\0');
    if command.iter().chain(env.keys()).chain(env.values()).any(odd) {
        return Err("its command or environment has a zero byte".to_owned());
    }
    let name = command.first().map_or("", String::as_str);
    let program = host
        .program(name, &account.home)
        .ok_or_else(|| format!("its program `{name}` is not found; a full path helps"))?;
    let mut review = remarks(command, env);
    if program.starts_with(&format!("{}/", account.home)) {
        review.push("its user can replace the program, which lies in the user's home".to_owned());
    }
    let superuser = account.uid == 0;
    if superuser {
        review.push("root's client ran it as root; give it a user that may do its work".to_owned());
    }
    let home = if superuser { "/" } else { account.home.as_str() };
    let roots = [cwd.as_deref(), found.project.as_deref(), Some(home)].into_iter().flatten();
    let mut roots = roots.filter(|dir| dir.starts_with('/') && host.is_directory(dir));
    let mut command = command.clone();
    if let Some(first) = command.first_mut() {
        first.clone_from(&program);
    }
    Ok(Planned {
        id: String::new(),
        command,
        env: env.clone(),
        root: roots.next().unwrap_or("/").to_owned(),
        user: if superuser { "nobody".to_owned() } else { account.name.clone() },
        actor: (account.name.clone(), account.uid),
        review,
        of: vec![found.clone()],
    })
}

/// What to look at in a command.
fn remarks(command: &[String], env: &BTreeMap<String, String>) -> Vec<String> {
    let program = command.first().and_then(|program| program.rsplit('/').next()).unwrap_or("");
    let mut remarks = Vec::new();
    if ["docker", "podman", "nerdctl"].contains(&program) {
        remarks.push(
            "a container runs elsewhere: what happens in it is neither confined nor seen. Run the server itself"
                .to_owned(),
        );
    }
    if ["npx", "uvx", "bunx", "pnpm", "uv", "pipx", "npm"].contains(&program) {
        remarks.push(format!(
            "`{program}` fetches what is not installed, and a confined server has no network for that. Install \
             the server, and name its program"
        ));
    }
    let mut texts = command.iter().chain(env.values());
    if texts.any(|text| text.contains("${") || text.contains("{{")) {
        remarks.push("the client fills in what stands in braces; write the value".to_owned());
    }
    if !env.is_empty() {
        let names: Vec<_> = env.keys().map(String::as_str).collect();
        remarks.push(format!("the values of {} stand in this file", names.join(", ")));
    }
    remarks
}

/// An id that no other server has.
fn id(name: &str, user: &str, taken: &mut BTreeSet<String>) -> String {
    let plain = |text: &str| -> String {
        let dashed = text.chars().map(|c| {
            let fits = c.is_ascii_alphanumeric() || c == '-' || c == '_';
            if fits { c } else { '-' }
        });
        let dashed: String = dashed.collect();
        dashed.trim_matches('-').chars().take(ID - 4).collect()
    };
    let first = match plain(name) {
        name if name.is_empty() => "server".to_owned(),
        name => name,
    };
    let second: String = plain(&format!("{first}-{user}"));
    let numbered = (2..).map(|n| format!("{first}-{n}"));
    let mut candidates = [first.clone(), second].into_iter().chain(numbered);
    let id = candidates.find(|id| id.len() <= ID && taken.insert(id.clone()));
    id.unwrap_or(first)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    struct Nowhere;

    impl Host for Nowhere {
        fn program(&self, name: &str, _home: &str) -> Option<String> {
            let found = !name.contains("absent");
            found.then(
                || if name.starts_with('/') { name.into() } else { format!("/usr/bin/{name}") },
            )
        }

        fn is_directory(&self, path: &str) -> bool {
            !path.contains("gone")
        }
    }

    fn found(name: &str, uid: u32, entry: &serde_json::Value) -> Found {
        let user = if uid == 0 { "root".to_owned() } else { format!("u{uid}") };
        let home = format!("/home/{user}");
        Found {
            account: Some(Account { name: user, uid, home }),
            client: "Cursor",
            file: "mcp.json".into(),
            syntax: Syntax::Json,
            key: "mcpServers",
            project: None,
            entry: Entry::read(name, entry).expect("an entry").expect("a server"),
        }
    }

    #[test]
    fn entries_become_servers_of_their_users() {
        let entry = json!({"command": "server", "args": ["a"]});
        let all = [
            found("files", 1000, &entry),
            found("the same", 1000, &entry),
            found("files", 1001, &entry),
            found("files", 0, &entry),
        ];
        let plan = plan(&all, &Nowhere);
        let said: Vec<_> = plan
            .servers
            .iter()
            .map(|server| (server.id.as_str(), server.user.as_str(), server.of.len()))
            .collect();
        assert_eq!(
            said,
            [("files", "u1000", 2), ("files-u1001", "u1001", 1), ("files-root", "nobody", 1)]
        );
        assert_eq!(plan.servers[0].command, ["/usr/bin/server", "a"]);
        assert_eq!(plan.servers[2].root, "/");
        assert!(plan.servers[2].review[0].contains("as root"));
    }

    #[test]
    fn what_cannot_run_is_left_out_with_a_reason() {
        let all = [
            found("a", 1000, &json!({"command": "absent"})),
            found("b", 1000, &json!({"command": "x", "disabled": true})),
            found("c", 1000, &json!({"url": "https://example.com/mcp"})),
            found("d", 1000, &json!({"command": "warrantd", "args": ["connect", "d"]})),
            found("e", 1000, &json!({"command": "x", "args": ["\u{0}"]})),
        ];
        let plan = plan(&all, &Nowhere);
        assert!(plan.servers.is_empty());
        let names: Vec<_> =
            plan.left_out.iter().map(|left| left.found.entry.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "c", "e"]);
    }

    #[test]
    fn ids_are_such_as_the_configuration_takes() {
        let mut taken = BTreeSet::from(["control".to_owned()]);
        for name in ["../../etc", "", "control", "a b\n", "ä", "x".repeat(99).as_str(), "a b"] {
            let id = id(name, "ada", &mut taken);
            assert!((1..=32).contains(&id.len()), "{id}");
            assert!(id.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)), "{id}");
        }
        assert_eq!(taken.len(), 8);
    }
}
