//! What warrantd would run of what was found, so that clients can reach it through warrantd.

use std::collections::{BTreeMap, BTreeSet};

use secrecy::SecretString;

use super::clients::Syntax;
use super::entry::{Entry, Transport};
use super::passwd::Account;
use crate::config::{HeaderSource, UpstreamConfig};

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
    /// The control group of whatever listens on a port of loopback, if it is a service's own.
    fn service(&self, port: u16) -> Option<String>;
}

/// A server that warrantd would be in front of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// Its id.
    pub id: String,
    /// How warrantd gets to it.
    pub way: Way,
    /// Who may call it: name and number of a user.
    pub actor: (String, u32),
    /// What to look at before it is used.
    pub review: Vec<String>,
    /// The entries that it stands for.
    pub of: Vec<Found>,
}

/// How warrantd gets to a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// It runs it.
    Run {
        /// Program and arguments.
        command: Vec<String>,
        /// Environment variables.
        env: BTreeMap<String, String>,
        /// Its working directory.
        root: String,
        /// The user it runs as.
        user: String,
    },
    /// It connects to it.
    Reach {
        /// Where.
        url: String,
        /// Headers it sends.
        headers: BTreeMap<String, String>,
        /// The control group that it runs in; without one the kernel does not see it.
        cgroup: Option<String>,
    },
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
        (&self.way, &self.actor) == (&other.way, &other.actor)
    }
}

fn planned(found: &Found, host: &impl Host) -> Result<Planned, String> {
    if found.entry.disabled {
        return Err("it is disabled".to_owned());
    }
    let account = found.account.as_ref().ok_or("it is for every user of the host")?;
    let (way, review) = match &found.entry.transport {
        Transport::Stdio { command, env, cwd } => {
            let dirs = [cwd.as_deref(), found.project.as_deref()];
            run(command, env, dirs, account, host)?
        }
        Transport::Http { url, headers } => reach(url, headers, host)?,
    };
    let actor = (account.name.clone(), account.uid);
    Ok(Planned { id: String::new(), way, actor, review, of: vec![found.clone()] })
}

/// A server to run, and what to look at. `dirs` are where it may be meant to work.
fn run(
    command: &[String],
    env: &BTreeMap<String, String>,
    dirs: [Option<&str>; 2],
    account: &Account,
    host: &impl Host,
) -> Result<(Way, Vec<String>), String> {
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
    let dirs = dirs.into_iter().flatten().chain([home]);
    let root = dirs.into_iter().find(|dir| dir.starts_with('/') && host.is_directory(dir));
    let command = [vec![program], command.get(1..).unwrap_or_default().to_vec()].concat();
    let way = Way::Run {
        command,
        env: env.clone(),
        root: root.unwrap_or("/").to_owned(),
        user: if superuser { "nobody".to_owned() } else { account.name.clone() },
    };
    Ok((way, review))
}

/// A server to connect to, and what to look at.
fn reach(
    url: &str,
    headers: &BTreeMap<String, String>,
    host: &impl Host,
) -> Result<(Way, Vec<String>), String> {
    let source = |value: &String| HeaderSource::Value(SecretString::from(value.as_str()));
    let config = UpstreamConfig {
        url: url.to_owned(),
        unix: None,
        headers: headers.iter().map(|(name, value)| (name.clone(), source(value))).collect(),
        ca: None,
        cgroup: None,
        unobserved: true,
        side_door: None,
    };
    let parsed = config.check("upstream").map_err(|problem| problem.message)?;
    if parsed.path().trim_end_matches('/').ends_with("/sse") {
        return Err(
            "it speaks the transport of 2024-11-05, HTTP with SSE, which warrantd does not"
                .to_owned(),
        );
    }
    let local = parsed.host_str().is_some_and(|host| {
        let ip = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
        host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback())
    });
    let port = parsed.port_or_known_default().filter(|_| local);
    let cgroup = port.and_then(|port| host.service(port));
    let mut review = Vec::new();
    match (&cgroup, local) {
        (Some(_), _) => {}
        (None, true) => review.push(
            "the kernel does not see it: have warrantd run it (`command`), or name the cgroup that it runs in"
                .to_owned(),
        ),
        (None, false) => {
            review.push("it runs elsewhere: what its calls do there is not seen".to_owned());
        }
    }
    if !headers.is_empty() {
        let names: Vec<_> = headers.keys().map(String::as_str).collect();
        review.push(format!("the values of {} stand in this file", names.join(", ")));
    }
    if [url].into_iter().chain(headers.values().map(String::as_str)).any(is_template) {
        review.push(TEMPLATE.to_owned());
    }
    Ok((Way::Reach { url: url.to_owned(), headers: headers.clone(), cgroup }, review))
}

const TEMPLATE: &str = "the client fills in what stands in braces; write the value";

fn is_template(text: &str) -> bool {
    text.contains("${") || text.contains("{{")
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
    if texts.any(|text| is_template(text)) {
        remarks.push(TEMPLATE.to_owned());
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

        fn service(&self, port: u16) -> Option<String> {
            (port == 9000).then(|| "/system.slice/search.service".to_owned())
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
        let user = |server: &Planned| match &server.way {
            Way::Run { user, command, .. } => {
                assert_eq!(*command, ["/usr/bin/server", "a"]);
                user.clone()
            }
            other @ Way::Reach { .. } => panic!("{other:?}"),
        };
        let said: Vec<_> = plan
            .servers
            .iter()
            .map(|server| (server.id.as_str(), user(server), server.of.len()))
            .collect();
        let said: Vec<_> = said.iter().map(|(id, user, of)| (*id, user.as_str(), *of)).collect();
        assert_eq!(
            said,
            [("files", "u1000", 2), ("files-u1001", "u1001", 1), ("files-root", "nobody", 1)]
        );
        assert!(plan.servers[2].review[0].contains("as root"));
    }

    #[test]
    fn what_cannot_run_is_left_out_with_a_reason() {
        let all = [
            found("a", 1000, &json!({"command": "absent"})),
            found("b", 1000, &json!({"command": "x", "disabled": true})),
            found("c", 1000, &json!({"url": "https://example.com/sse"})),
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
    fn servers_that_clients_connect_to_are_reached() {
        let all = [
            found("here", 1000, &json!({"url": "http://localhost:9000/mcp"})),
            found("also", 1000, &json!({"url": "http://127.0.0.1:9001/mcp"})),
            found(
                "far",
                1000,
                &json!({"url": "https://example.com/mcp", "headers": {"X-Key": "k"}}),
            ),
            found("odd", 1000, &json!({"url": "https://a:b@example.com/mcp"})),
            found(
                "own",
                1000,
                &json!({"url": "https://example.com/mcp", "headers": {"Host": "x"}}),
            ),
        ];
        let plan = plan(&all, &Nowhere);
        let cgroups: Vec<_> = plan
            .servers
            .iter()
            .map(|server| match &server.way {
                Way::Reach { cgroup, .. } => cgroup.as_deref(),
                other @ Way::Run { .. } => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(cgroups, [Some("/system.slice/search.service"), None, None]);
        assert_eq!(plan.left_out.len(), 2, "{:?}", plan.left_out);
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
