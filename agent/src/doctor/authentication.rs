//! Who gets in: every server must know who calls it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use nix::unistd::User;

use super::finding::{Finding, some};
use super::site::{Site, SiteServer};
use crate::config::{ActorConfig, AuthMethod, Validity};

/// Looks at servers, actors and listeners.
pub(super) fn check(site: &Site, now: Timestamp) -> Vec<Finding> {
    let mut findings: Vec<Finding> =
        site.servers().map(|server| way_in(site, server, now)).collect();
    findings.extend(servers_as_actors(site));
    findings.extend(open_listeners(site));
    findings
}

/// Who can prove to a server who they are.
fn way_in(site: &Site, server: SiteServer, now: Timestamp) -> Finding {
    let id = &server.config.id;
    let open = site.config.listen.iter().any(|listener| listener.actor.is_some());
    let can = |actor: &&ActorConfig| {
        server.config.auth.iter().any(|way| match way {
            AuthMethod::ApiKey => actor.api_keys.iter().any(|key| is_valid(key.validity, now)),
            AuthMethod::PeerUid => !actor.uids.is_empty(),
            AuthMethod::ClientCertificate => !actor.certificates.is_empty(),
        })
    };
    let actors: Vec<_> =
        site.config.actors.iter().filter(can).map(|actor| actor.id.as_str()).collect();
    let ways: Vec<_> = server.config.auth.iter().copied().map(name).collect();
    if actors.is_empty() && !open {
        return Finding::note(format!(
            "nobody can use server `{id}`: no actor has what it asks for"
        ))
        .at(server.place("auth"))
        .todo("give an actor a key (`warrantd key new`), or remove the server");
    }
    Finding::ok(format!("server `{id}` asks for {}: {}", ways.join(" or "), some(actors)))
}

fn is_valid(validity: Validity, now: Timestamp) -> bool {
    validity.not_before.is_none_or(|from| from <= now)
        && validity.expires.is_none_or(|until| now < until)
}

fn name(way: AuthMethod) -> &'static str {
    match way {
        AuthMethod::ApiKey => "an API key",
        AuthMethod::PeerUid => "a known user",
        AuthMethod::ClientCertificate => "a client certificate",
    }
}

/// Servers that run as a user who is an actor: one of them could call the others.
fn servers_as_actors(site: &Site) -> Vec<Finding> {
    let asked: BTreeSet<&str> = site
        .servers()
        .filter(|server| server.config.auth.contains(&AuthMethod::PeerUid))
        .map(|server| server.config.id.as_str())
        .collect();
    if asked.is_empty() {
        return Vec::new();
    }
    let mut users: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for server in site.servers().filter(|server| !server.config.command.is_empty()) {
        users.entry(server.config.user()).or_default().push(&server.config.id);
    }
    let mut findings = Vec::new();
    for (user, servers) in users {
        let uid = User::from_name(user).ok().flatten().map(|user| user.uid.as_raw());
        let uid = uid.or_else(|| user.parse().ok());
        for (index, actor) in site.config.actors.iter().enumerate() {
            if uid.is_some_and(|uid| actor.uids.contains(&uid)) {
                let what = format!(
                    "user `{user}`, as whom {} run, is actor `{}` for {}",
                    some(&servers),
                    actor.id,
                    some(&asked)
                );
                findings.push(
                    Finding::bad(what)
                        .at(site.place(&format!("actors[{index}].uids")))
                        .todo("give servers a user that is no actor"),
                );
            }
        }
    }
    findings
}

/// Listeners at which everybody is somebody.
fn open_listeners(site: &Site) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, listener) in site.config.listen.iter().enumerate() {
        let Some(actor) = &listener.actor else { continue };
        let at = site.place(&format!("listen[{index}].actor"));
        let todo = "give the actor `api_keys` and remove `actor` from the listener";
        let finding = match (&listener.address, &listener.unix) {
            (Some(address), _) if address.ip().to_canonical().is_loopback() => {
                let what = format!(
                    "every user and program of this host is actor `{actor}` at {address}, without proof"
                );
                Finding::note(what)
            }
            (Some(address), _) => {
                Finding::bad(format!("everybody who reaches {address} is actor `{actor}`"))
            }
            (None, path) => {
                let path = path.as_deref().unwrap_or(std::path::Path::new("")).display();
                Finding::note(format!("whoever can open {path} is actor `{actor}`, without proof"))
            }
        };
        findings.push(finding.at(at).todo(todo));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::super::finding::tests::{none_found, of, only_finding};
    use super::super::site::tests::{POLICY, Place};
    use super::*;

    fn check(daemon: &str, server: &str) -> Vec<Finding> {
        let place = Place::new();
        super::check(&place.site(daemon, server, POLICY), Timestamp::now())
    }

    fn key(rest: &str) -> String {
        format!("actors: [{{id: ada, api_keys: [{{sha256: '{}', {rest}}}]}}]", "ab".repeat(32))
    }

    #[test]
    fn a_server_that_asks_is_fine() {
        let findings = check(&key("expires: 2100-01-01T00:00:00Z"), "");
        none_found(&findings);
        assert_eq!(of(Level::Ok, &findings), ["server `files` asks for an API key: ada"]);
    }

    #[test]
    fn a_server_that_nobody_can_use_is_told() {
        for daemon in ["", &key("expires: 2000-01-01T00:00:00Z"), "actors: [{id: ada, uids: [7]}]"]
        {
            let findings = check(daemon, "");
            assert!(of(Level::Note, &findings).concat().contains("nobody can use"), "{daemon}");
        }
    }

    #[test]
    fn a_server_must_not_be_an_actor() {
        let nobody = User::from_name("nobody").expect("asked").expect("there").uid;
        let daemon = |uid: u32| format!("actors: [{{id: ada, uids: [{uid}]}}]");
        let findings = check(&daemon(nobody.as_raw()), "auth: [peer_uid]");
        only_finding(&findings, "user `nobody`, as whom files run, is actor `ada`");
        none_found(&check(&daemon(4_000_000), "auth: [peer_uid]"));
        let keys_only = format!("{}\nlisten: []", daemon(nobody.as_raw()));
        none_found(&check(&keys_only, "auth: [api_key]"));
    }

    #[test]
    fn listeners_without_proof_are_named() {
        let findings = check("listen: [{address: '127.0.0.1:8080', actor: ada}]", "");
        none_found(&findings);
        assert!(of(Level::Note, &findings).concat().contains("every user and program"));
        let unix = check("listen: [{unix: /run/x.sock, actor: ada}]", "");
        assert!(of(Level::Note, &unix).concat().contains("whoever can open /run/x.sock"));
        let asks = check(&format!("{}\nlisten: [{{address: '127.0.0.1:8080'}}]", key("")), "");
        assert!(of(Level::Note, &asks).is_empty(), "{asks:#?}");
    }
}
