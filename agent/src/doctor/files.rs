//! Who can write what warrantd trusts, and who can read what it keeps secret.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Group, Uid, User};

use super::finding::{Finding, some};
use super::keys::holds_key;
use super::site::Site;
use crate::config::{HeaderSource, KeySource};

/// A user as whom servers run.
#[derive(Debug, Clone)]
struct ServerUser {
    server: String,
    uid: u32,
    gid: u32,
}

/// What is wrong with a file.
enum Flaw {
    Bad(String),
    Odd(String),
}

/// Looks at the configuration's files, keys, state and programs.
pub(super) fn check(site: &Site) -> Vec<Finding> {
    let users = server_users(site);
    let mut findings = Vec::new();
    let trusted = trusted(site);
    let count = trusted.len();
    // Directories that several files lie in are told once.
    let mut seen = BTreeSet::new();
    for (what, path) in trusted {
        for (place, flaw) in flaws(&path, &users) {
            if seen.insert(place.clone()) {
                findings.push(told(&what, &path, &place, flaw));
            }
        }
    }
    if findings.is_empty() {
        let what =
            format!("{count} files and directories that warrantd trusts are root's to write");
        findings.push(Finding::ok(what));
    }
    let secrets = secrets(site);
    let count = secrets.len();
    let before = findings.len();
    for (what, path) in secrets {
        findings.extend(readable(&what, &path));
    }
    if findings.len() == before && count > 0 {
        findings.push(Finding::ok(format!(
            "{count} files with secrets can be read by their owner alone"
        )));
    }
    findings.extend(programs(site, &users));
    findings.extend(shared_users(site));
    findings
}

fn server_users(site: &Site) -> Vec<ServerUser> {
    let run = site.servers().filter(|server| !server.config.command.is_empty());
    run.filter_map(|server| {
        let name = server.config.user();
        let by_number =
            || name.parse().ok().map(Uid::from_raw).and_then(|uid| User::from_uid(uid).ok()?);
        let user = User::from_name(name).ok().flatten().or_else(by_number)?;
        Some(ServerUser {
            server: server.config.id.clone(),
            uid: user.uid.as_raw(),
            gid: user.gid.as_raw(),
        })
    })
    .collect()
}

/// What decides what warrantd does, and what it has to say.
fn trusted(site: &Site) -> Vec<(String, PathBuf)> {
    let mut all: Vec<(String, PathBuf)> = Vec::new();
    let mut add = |what: &str, path: PathBuf| all.push((what.to_owned(), path));
    for file in site.files() {
        add("the configuration", file.to_owned());
        let drop_ins = file.parent().map(|dir| dir.join("conf.d"));
        if let Some(dir) = drop_ins.filter(|dir| dir.exists()) {
            add("the configuration", dir);
        }
    }
    for server in site.servers() {
        add("the accepted tools", server.pins());
    }
    for (what, path) in secrets(site) {
        add(&what, path);
    }
    add("the audit log", site.config.audit.dir.clone());
    add("the state", site.config.state_dir.clone());
    add("the sockets", site.config.runtime_dir.clone());
    all
}

/// What nobody else may read.
fn secrets(site: &Site) -> Vec<(String, PathBuf)> {
    let mut all = Vec::new();
    let mut add = |what: String, path: PathBuf| {
        if path.exists() {
            all.push((what, path));
        }
    };
    add("the audit log's key".to_owned(), site.loaded.fixed.audit_key());
    for actor in &site.config.actors {
        for key in &actor.api_keys {
            if let KeySource::File(file) = &key.source
                && holds_key(file)
            {
                add(format!("a key of `{}`", actor.id), file.clone());
            }
        }
    }
    for tls in site.config.listen.iter().filter_map(|listener| listener.tls.as_ref()) {
        add("a TLS key".to_owned(), site.beside(&tls.key));
    }
    for receiver in &site.config.audit.ship {
        if let Some(file) = &receiver.token_file {
            add(format!("the token for `{}`", receiver.name), site.beside(file));
        }
    }
    for server in site.servers() {
        for (name, source) in server.config.upstream.iter().flat_map(|it| &it.headers) {
            if let HeaderSource::File(file) = source {
                add(format!("header `{name}`"), site.beside(file));
            }
        }
        if let Some(file) = &server.policy.sanitize_key_file {
            add("the key for hashes in the log".to_owned(), file.clone());
        }
    }
    all
}

/// What is wrong with who can write a path, or a directory above it.
fn flaws(path: &Path, users: &[ServerUser]) -> Vec<(PathBuf, Flaw)> {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut found = Vec::new();
    // What is there; a file that is not made yet will be made in its directory.
    for place in absolute.ancestors() {
        if let Ok(meta) = std::fs::metadata(place)
            && let Some(flaw) = flaw(&meta, users)
        {
            found.push((place.to_owned(), flaw));
        }
    }
    found
}

fn flaw(meta: &Metadata, users: &[ServerUser]) -> Option<Flaw> {
    let (mode, uid, gid) = (meta.mode() & 0o7777, meta.uid(), meta.gid());
    // In a directory with the sticky bit nobody takes away what is another's.
    let sticky = meta.is_dir() && mode & 0o1000 != 0;
    if let Some(user) = users.iter().find(|user| user.uid == uid) {
        return Some(Flaw::Bad(format!("belongs to the user of server `{}`", user.server)));
    }
    if uid != 0 && uid != Uid::effective().as_raw() {
        return Some(Flaw::Bad(format!("belongs to {}", user_name(uid))));
    }
    if mode & 0o002 != 0 && !sticky {
        return Some(Flaw::Bad(format!("can be written by everybody (mode {mode:o})")));
    }
    if mode & 0o020 != 0 && gid != 0 && !sticky {
        if let Some(user) = users.iter().find(|user| user.gid == gid) {
            let what =
                format!("can be written by the group of server `{}` (mode {mode:o})", user.server);
            return Some(Flaw::Bad(what));
        }
        return Some(Flaw::Odd(format!("can be written by {} (mode {mode:o})", group_name(gid))));
    }
    None
}

fn told(what: &str, path: &Path, place: &Path, flaw: Flaw) -> Finding {
    let of = if place == path { String::new() } else { format!(" ({})", path.display()) };
    let text = |why: &str| format!("{what}{of}: {} {why}", place.display());
    let todo = "`chown root:root` and `chmod go-w` it";
    match flaw {
        Flaw::Bad(why) => Finding::bad(text(&why)),
        Flaw::Odd(why) => Finding::note(text(&why)),
    }
    .at(place.display().to_string())
    .todo(todo)
}

fn readable(what: &str, path: &Path) -> Option<Finding> {
    let meta = std::fs::metadata(path).ok()?;
    let mode = meta.mode() & 0o777;
    let shown = path.display();
    let finding = if mode & 0o004 != 0 {
        Finding::bad(format!("{what}: {shown} can be read by everybody (mode {mode:o})"))
    } else if mode & 0o040 != 0 && meta.gid() != 0 {
        let group = group_name(meta.gid());
        Finding::note(format!("{what}: {shown} can be read by {group} (mode {mode:o})"))
    } else {
        return None;
    };
    Some(finding.at(shown.to_string()).todo("`chmod 600` it, and make a new one if it was read"))
}

/// Programs that their own server could exchange.
fn programs(site: &Site, users: &[ServerUser]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for server in site.servers() {
        let Some(loaded) = site.loaded.servers.iter().find(|it| it.server.id == server.config.id)
        else {
            continue;
        };
        let line = loaded.server.command_line();
        let program = line.split(' ').next().unwrap_or_default();
        let Some(own) = users.iter().find(|user| user.server == server.config.id) else { continue };
        let Ok(meta) = std::fs::metadata(program) else { continue };
        if let Some(Flaw::Bad(why)) = flaw(&meta, std::slice::from_ref(own)) {
            findings.push(
                Finding::bad(format!("the program of server `{}`: {program} {why}", own.server))
                    .at(server.place("command"))
                    .todo("install it as root, where its user cannot write"),
            );
        }
    }
    findings
}

/// Servers of one user can look into each other.
fn shared_users(site: &Site) -> Vec<Finding> {
    let mut by_user: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for server in site.servers().filter(|server| !server.config.command.is_empty()) {
        by_user.entry(server.config.user()).or_default().push(&server.config.id);
    }
    by_user
        .into_iter()
        .filter(|(_, servers)| servers.len() > 1)
        .map(|(user, servers)| {
            let what = format!(
                "servers {} run as the same user `{user}`, and can read and stop each other",
                some(servers)
            );
            Finding::note(what)
                .at(site.place("servers"))
                .todo("give each a user of its own (`user`)")
        })
        .collect()
}

fn user_name(uid: u32) -> String {
    let user = User::from_uid(Uid::from_raw(uid)).ok().flatten();
    user.map_or_else(|| format!("user {uid}"), |user| format!("user `{}`", user.name))
}

fn group_name(gid: u32) -> String {
    let group = Group::from_gid(Gid::from_raw(gid)).ok().flatten();
    group.map_or_else(|| format!("group {gid}"), |group| format!("group `{}`", group.name))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::super::finding::Level;
    use super::super::finding::tests::{none_found, of, only_finding};
    use super::super::site::tests::{POLICY, Place};
    use super::*;

    fn mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("set");
    }

    #[test]
    fn files_that_are_roots_are_fine() {
        let place = Place::new();
        none_found(&check(&place.site("", "", POLICY)));
    }

    #[test]
    fn what_everybody_can_write_is_found() {
        let place = Place::new();
        let site = place.site("", "", POLICY);
        let policy = place.dir.path().join("policy.yaml");
        mode(&policy, 0o666);
        only_finding(&check(&site), "policy.yaml can be written by everybody (mode 666)");
        mode(&policy, 0o644);
        let dir = place.dir.path().join("state");
        std::fs::create_dir(&dir).expect("made");
        mode(&dir, 0o777);
        only_finding(&check(&site), "state can be written by everybody");
        mode(&dir, 0o1777);
        none_found(&check(&site));
    }

    #[test]
    fn what_a_server_can_write_is_found() {
        if !Uid::effective().is_root() {
            return; // Only root can give files away.
        }
        let place = Place::new();
        let site = place.site("", "", POLICY);
        let nobody = User::from_name("nobody").expect("asked").expect("there");
        let policy = place.dir.path().join("policy.yaml");
        std::os::unix::fs::chown(&policy, Some(nobody.uid.as_raw()), None).expect("given");
        only_finding(&check(&site), "policy.yaml belongs to the user of server `files`");
        std::os::unix::fs::chown(&policy, Some(0), Some(nobody.gid.as_raw())).expect("given");
        mode(&policy, 0o664);
        only_finding(&check(&site), "by the group of server `files`");
        std::os::unix::fs::chown(&policy, Some(4_000_000), Some(0)).expect("given");
        only_finding(&check(&site), "belongs to user 4000000");
    }

    #[test]
    fn secrets_that_others_can_read_are_found() {
        let place = Place::new();
        let key = place.file("key", "wd_0123456789abcdefghijkl\n");
        let hash = place.file("hash", &format!("sha256:{}\n", "ab".repeat(32)));
        let daemon = format!(
            "actors: [{{id: ada, api_keys: [{{key_file: {}}}, {{key_file: {}}}]}}]",
            key.display(),
            hash.display()
        );
        let site = place.site(&daemon, "", POLICY);
        mode(&key, 0o644);
        only_finding(&check(&site), "key can be read by everybody");
        mode(&key, 0o600);
        let findings = check(&site);
        none_found(&findings);
        assert!(
            of(Level::Ok, &findings).join("\n").contains("1 files with secrets"),
            "{findings:#?}"
        );
    }

    #[test]
    fn a_program_that_its_server_can_exchange_is_found() {
        let place = Place::new();
        let program = place.file("bin/server", "#!/bin/sh\n");
        mode(&program, 0o755);
        let text = |program: &Path| {
            format!(
                "servers: [{{id: files, command: [{}], root: {}, policy: policy.yaml}}]",
                program.display(),
                place.dir.path().join("root").display()
            )
        };
        place.file("policy.yaml", POLICY);
        let site = Site::read(&place.file("warrantd.yaml", &text(&program))).expect("a site");
        none_found(&programs(&site, &server_users(&site)));
        mode(&program, 0o777);
        only_finding(&programs(&site, &server_users(&site)), "can be written by everybody");
    }
}
