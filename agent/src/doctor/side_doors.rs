//! Ways to a server that do not lead through warrantd.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use url::Url;

use super::finding::{Finding, some};
use super::site::{Site, SiteServer};
use crate::config::SideDoor;
use crate::discover::{Found, Process, Transport};

/// Sockets whose owner can do everything on this host.
const MASTERS: [&str; 5] = [
    "/run/docker.sock",
    "/var/run/docker.sock",
    "/run/containerd/containerd.sock",
    "/run/podman/podman.sock",
    "/run/crio/crio.sock",
];
/// Programs that only start others.
const LAUNCHERS: [&str; 18] = [
    "bash", "bun", "bunx", "deno", "docker", "env", "node", "npx", "podman", "python", "python3",
    "sh", "sudo", "timeout", "uv", "uvx", "pipx", "pnpm",
];
/// Words between a launcher and what it starts.
const VERBS: [&str; 5] = ["dlx", "exec", "run", "tool", "x"];

/// Looks at the files of clients, at what runs, and at the doors of servers over HTTP.
pub(super) fn check(site: &Site, found: &[Found], processes: &[Process]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for server in site.servers() {
        findings.extend(own_doors(server));
        findings.extend(clients(server, found));
        findings.extend(running(server, processes));
        findings.extend(masters(server));
    }
    if findings.is_empty() {
        findings
            .push(Finding::ok("no way to a server was found that does not lead through warrantd"));
    }
    findings.extend(strangers(site, found));
    findings
}

/// Doors that the configuration leaves open.
fn own_doors(server: SiteServer) -> Option<Finding> {
    let upstream = server.config.upstream.as_ref()?;
    let managed = !server.config.command.is_empty();
    let id = &server.config.id;
    if upstream.unobserved {
        let what = format!(
            "server `{id}` is elsewhere: who else reaches it is not known, nor what it does"
        );
        return Some(
            Finding::note(what)
                .at(server.place("upstream.unobserved"))
                .todo("have it let in warrantd's address or credential alone"),
        );
    }
    if let Some(socket) = &upstream.unix {
        let open = anybody_may_open(socket) && !upstream.closes_side_door(managed);
        return open.then(|| {
            Finding::bad(format!(
                "everybody can open the socket of server `{id}`, {}",
                socket.display()
            ))
            .at(server.place("upstream.unix"))
            .todo("put it into a directory that only root can enter")
        });
    }
    if upstream.closes_side_door(managed) {
        return None;
    }
    let what = format!(
        "whoever reaches the port of server `{id}` is served past warrantd ({})",
        upstream.url
    );
    let at = match upstream.side_door {
        Some(SideDoor::Open | SideDoor::Closed) => server.place("upstream.side_door"),
        None => server.place("upstream"),
    };
    Some(Finding::bad(what).at(at).todo("write `side_door: closed`"))
}

/// Whether a user who is nobody can open a socket.
fn anybody_may_open(socket: &Path) -> bool {
    let may =
        |path: &Path, bit: u32| std::fs::metadata(path).is_ok_and(|meta| meta.mode() & bit != 0);
    may(socket, 0o002) && socket.ancestors().skip(1).all(|dir| may(dir, 0o001))
}

/// Clients that start the same program themselves, or connect to it.
fn clients(server: SiteServer, found: &[Found]) -> Vec<Finding> {
    let own = subject(&server.config.command);
    let port = server.config.upstream.as_ref().and_then(|it| Url::parse(&it.url).ok());
    let id = &server.config.id;
    let mut findings = Vec::new();
    for Found { account, client, file, entry, .. } in found {
        if entry.disabled || entry.is_behind_warrantd() {
            continue;
        }
        let how = match &entry.transport {
            Transport::Stdio { command, .. } if own.is_some() && subject(command) == own => {
                "starts"
            }
            Transport::Http { url, .. } if leads_to(url, port.as_ref()) => "connects to",
            _ => continue,
        };
        let user = account.as_ref().map_or("every user", |account| account.name.as_str());
        let what = format!(
            "{client} of {user} {how} `{}`, which is server `{id}`, without warrantd",
            entry.name
        );
        let todo =
            format!("have it run `warrantd connect {id}`; `warrantd discover` shows the file");
        findings.push(Finding::bad(what).at(file.clone()).todo(todo));
    }
    findings
}

/// What a command line runs: its program, or what a launcher is to start, without path and version.
fn subject(command: &[String]) -> Option<String> {
    let base = |word: &str| word.rsplit('/').next().unwrap_or(word).to_owned();
    let mut words = command.iter();
    let program = base(words.next()?);
    if !LAUNCHERS.contains(&program.as_str()) {
        return Some(program);
    }
    let target = words.find(|word| {
        !word.starts_with('-')
            && !VERBS.contains(&word.as_str())
            && !LAUNCHERS.contains(&base(word).as_str())
    })?;
    // `@scope/name@1.2` is a package, `/opt/server.py` a file.
    let whole = match target.strip_prefix('@') {
        Some(scoped) => format!("@{}", scoped.split('@').next().unwrap_or(scoped)),
        None => base(target).split(['@', '=']).next().unwrap_or(target).to_owned(),
    };
    Some(whole)
}

/// Whether a URL leads to the same place as another, on this host.
fn leads_to(url: &str, server: Option<&Url>) -> bool {
    let (Ok(url), Some(server)) = (Url::parse(url), server) else { return false };
    let local = |url: &Url| {
        matches!(url.host_str(), Some("localhost" | "[::1]"))
            || url.host_str().is_some_and(|host| host.starts_with("127."))
    };
    let same_host = url.host_str() == server.host_str() || (local(&url) && local(server));
    same_host && url.port_or_known_default() == server.port_or_known_default()
}

/// Processes of the same program that are not in a cgroup of warrantd's.
fn running(server: SiteServer, processes: &[Process]) -> Option<Finding> {
    // A shell or a `cat` runs everywhere.
    let own = subject(&server.config.command).filter(|own| own.len() > 3)?;
    let outside = processes.iter().filter(|process| {
        let guarded = process.cgroup.split('/').any(|part| part == "warrantd");
        !guarded && subject(&process.command).as_ref() == Some(&own)
    });
    let pids: Vec<_> = outside.map(|process| process.pid.to_string()).collect();
    if pids.is_empty() {
        return None;
    }
    let id = &server.config.id;
    let what =
        format!("`{own}`, which is server `{id}`, runs outside warrantd: process {}", some(pids));
    Some(
        Finding::note(what)
            .at(server.place("command"))
            .todo("see who started it, and have it use warrantd"),
    )
}

/// Sockets by which a server could have everything done.
fn masters(server: SiteServer) -> Vec<Finding> {
    let id = &server.config.id;
    let mut findings = Vec::new();
    for (index, socket) in server.policy.network.unix.iter().enumerate() {
        if MASTERS.contains(&socket.as_str()) {
            let what = format!(
                "server `{id}` may open {socket}, by which everything can be done on this host"
            );
            findings.push(
                Finding::bad(what)
                    .at(server.place_in_policy(&format!("network.unix[{index}]")))
                    .todo("remove it, or put a proxy before it that allows single calls"),
            );
        }
    }
    if !server.config.command.is_empty() {
        let open: BTreeSet<_> =
            MASTERS.iter().filter(|path| anybody_may_open(Path::new(path))).collect();
        for socket in open {
            let what =
                format!("everybody on this host can open {socket}, and have everything done by it");
            findings.push(Finding::bad(what).at((*socket).to_owned()).todo("`chmod o-rw` it"));
        }
    }
    findings
}

/// Servers that no configuration of warrantd has.
fn strangers(site: &Site, found: &[Found]) -> Option<Finding> {
    let own: BTreeSet<_> = site.servers().filter_map(|it| subject(&it.config.command)).collect();
    let other = found.iter().filter(|found| {
        let known = match &found.entry.transport {
            Transport::Stdio { command, .. } => {
                subject(command).is_some_and(|it| own.contains(&it))
            }
            Transport::Http { .. } => false,
        };
        !known && !found.entry.disabled && !found.entry.is_behind_warrantd()
    });
    let names: BTreeSet<&str> = other.map(|found| found.entry.name.as_str()).collect();
    (!names.is_empty()).then(|| {
        let what = format!(
            "clients of this host use servers that warrantd does not know: {}",
            some(names)
        );
        Finding::note(what)
            .todo("`warrantd discover` lists them, and writes a configuration for them")
    })
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::super::finding::tests::{none_found, of, only_finding};
    use super::super::site::tests::{POLICY, Place};
    use super::*;
    use crate::discover::{Account, HOME_FILES, read};

    fn found(text: &str) -> Vec<Found> {
        let file = HOME_FILES.iter().find(|file| file.client == "Cursor").expect("known");
        let account = Account { name: "ada".into(), uid: 1000, home: "/home/ada".into() };
        let reading = read(file, text).expect("it reads");
        let found = reading.entries.into_iter().map(|placed| Found {
            account: Some(account.clone()),
            client: file.client,
            file: "/home/ada/.cursor/mcp.json".into(),
            syntax: file.syntax,
            key: placed.key,
            project: placed.project,
            entry: placed.entry,
        });
        found.collect()
    }

    /// A server that is run, or is at a URL.
    fn site(place: &Place, server: &str, policy: &str) -> Site {
        place.file("policy.yaml", &format!("{POLICY}{policy}"));
        let root = place.dir.path().join("root");
        let text = format!(
            "servers: [{{id: files, root: {}, policy: policy.yaml, {server}}}]",
            root.display()
        );
        Site::read(&place.file("warrantd.yaml", &text)).unwrap_or_else(|error| panic!("{error}"))
    }

    const RUN: &str = "command: [/usr/bin/env, server-filesystem, /srv]";

    #[test]
    fn a_client_that_starts_the_server_itself_is_found() {
        let place = Place::new();
        let site = site(&place, RUN, "");
        let direct = r#"{"mcpServers": {"fs": {"command": "npx", "args":
                         ["-y", "server-filesystem@2", "/home/ada"]}}}"#;
        only_finding(&check(&site, &found(direct), &[]), "Cursor of ada starts `fs`");
        for fine in [
            r#"{"mcpServers": {"fs": {"command": "warrantd", "args": ["connect", "files"]}}}"#,
            r#"{"mcpServers": {"fs": {"command": "server-filesystem", "disabled": true}}}"#,
        ] {
            none_found(&check(&site, &found(fine), &[]));
        }
        let other = r#"{"mcpServers": {"git": {"command": "mcp-server-git"}}}"#;
        let other = check(&site, &found(other), &[]);
        none_found(&other);
        assert!(of(Level::Note, &other).concat().contains("does not know: git"), "{other:#?}");
    }

    #[test]
    fn open_doors_are_found_where_they_are() {
        let place = Place::new();
        let listen = "network: {listen: [{port: 9000, protocol: tcp}]}";
        let managed = |rest: &str| {
            let url = "http://127.0.0.1:9000/mcp";
            site(&place, &format!("command: [/bin/cat], upstream: {{url: '{url}'{rest}}}"), listen)
        };
        only_finding(&check(&managed(", side_door: open"), &[], &[]), "is served past warrantd");
        none_found(&check(&managed(""), &[], &[]));
        let client = r#"{"mcpServers": {"t": {"url": "http://localhost:9000/mcp"}}}"#;
        only_finding(&check(&managed(""), &found(client), &[]), "Cursor of ada connects to `t`");
        let other = r#"{"mcpServers": {"t": {"url": "http://localhost:9001/mcp"}}}"#;
        none_found(&check(&managed(""), &found(other), &[]));
        let attached = "upstream: {url: 'http://127.0.0.1:9000/', cgroup: /a.slice";
        only_finding(&check(&site(&place, &format!("{attached}}}"), listen), &[], &[]), "past");
        let closed = format!("{attached}, side_door: closed}}");
        none_found(&check(&site(&place, &closed, listen), &[], &[]));
    }

    #[test]
    fn a_socket_that_is_everything_is_found() {
        let place = Place::new();
        let docker = site(&place, RUN, "network: {unix: [/run/docker.sock]}");
        only_finding(&check(&docker, &[], &[]), "may open /run/docker.sock");
        let other = site(&place, RUN, "network: {unix: [/run/postgresql/.s.PGSQL.5432]}");
        none_found(&check(&other, &[], &[]));
    }

    #[test]
    fn what_runs_elsewhere_is_told() {
        let place = Place::new();
        let site = site(&place, RUN, "");
        let process = |cgroup: &str| Process {
            pid: 71,
            parent: 1,
            uid: 1000,
            command: ["node", "/opt/server-filesystem", "/srv"].map(str::to_owned).into(),
            cgroup: cgroup.into(),
            piped: true,
        };
        let outside = check(&site, &[], &[process("/user.slice")]);
        assert!(of(Level::Note, &outside).concat().contains("process 71"), "{outside:#?}");
        let inside = check(&site, &[], &[process("/warrantd/serve/files-1")]);
        assert!(of(Level::Note, &inside).is_empty(), "{inside:#?}");
    }

    #[test]
    fn a_command_line_has_a_subject() {
        let subject = |line: &str| {
            let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
            super::subject(&words)
        };
        for (line, expected) in [
            ("/usr/bin/mcp-server-git --repo x", "mcp-server-git"),
            ("npx -y @scope/server-fs@1.2 /srv", "@scope/server-fs"),
            ("uvx mcp-server-time@latest", "mcp-server-time"),
            ("uv tool run mcp-server-time==1.0", "mcp-server-time"),
            ("python3 -m mcp_server", "mcp_server"),
            ("sudo node /opt/server.js", "server.js"),
        ] {
            assert_eq!(subject(line).as_deref(), Some(expected), "{line}");
        }
        assert_eq!(subject("node"), None);
    }
}
