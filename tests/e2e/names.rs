//! Hosts by name: what real resolvers inside a session hear, and what it opens.

use std::net::SocketAddr;

use anyhow::{Context, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use warrantd_tests::harness::test;
use warrantd_tests::needs::Need;
use warrantd_tests::places;
use warrantd_tests::records::{self, Record};

use crate::names_world::{OTHER, PORT, World};

pub(crate) fn tests() -> Vec<Trial> {
    const PROBER: &[Need] = &[Need::Kernel, Need::Netns];
    const V6: &[Need] = &[Need::Kernel, Need::Netns, Need::Ipv6];
    const GLIBC: &[Need] =
        &[Need::Kernel, Need::Netns, Need::Program("python3"), Need::Program("getent")];
    const GLIBC_V6: &[Need] = &[Need::Kernel, Need::Netns, Need::Ipv6, Need::Program("python3")];
    const NODE: &[Need] = &[Need::Kernel, Need::Netns, Need::Program("node")];
    vec![
        test("names::the_c_library_resolves_listed_names_alone", GLIBC, c_library),
        test("names::node_resolves_listed_names_alone", NODE, node),
        test("names::over_ipv6_as_well", GLIBC_V6, over_v6),
        test("names::answers_seem_to_come_from_whom_was_asked", PROBER, seeming),
        test("names::answers_seem_to_come_from_whom_was_asked_over_ipv6", V6, seeming_v6),
        test("names::an_address_is_closed_until_its_name_is_asked_for", PROBER, until_asked),
        test("names::names_open_no_special_address", PROBER, special),
        test("names::aliases_and_short_lives_and_long_answers", GLIBC, shapes),
        test("names::there_is_no_other_resolver", PROBER, no_other),
    ]
}

/// Fails unless the two are equal.
fn same<A: PartialEq<B> + std::fmt::Debug, B: std::fmt::Debug>(
    found: &A,
    wanted: &B,
) -> anyhow::Result<()> {
    ensure!(*found == *wanted, "found {found:#?}, wanted {wanted:#?}");
    Ok(())
}

const API: &str = "{host: api.example.com, ports: [8080], protocol: tcp}";

fn c_library() -> anyhow::Result<()> {
    let world = World::new(API)?;
    let mut session = world.session()?;
    same(&session.script("python3", "lookup.py", &["api.example.com"])?, &["8.8.8.4 ok"])?;
    same(&session.script("python3", "lookup.py", &["evil.example.net"])?, &["failed EAI_NONAME"])?;
    let found = session.run(&["getent", "ahostsv4", "api.example.com"])?;
    ensure!(found.first().is_some_and(|line| line.starts_with("8.8.8.4 ")), "{found:?}");
    same(&session.run(&["getent", "ahostsv4", "evil.example.net"])?, &[""; 0])?;
    session.client.finish()?;

    let record = world.refused("evil.example.net (A")?;
    same(&record.text("policy_decision"), &"DENY")?;
    ensure!(
        record.text("error").ends_with("no `host` rule of the policy covers it"),
        "{record:#?}"
    );
    connected_by_name(&world)?;
    let asked = world.upstream.asked();
    ensure!(asked.iter().all(|asked| asked.contains(" api.example.com ")), "{asked:?}");
    world.expect_no_other()
}

/// Demands that connections to the host are recorded with the name that led there, and that nothing was
/// refused.
fn connected_by_name(world: &World) -> anyhow::Result<()> {
    let calls = records::calls(&world.rig.audit)?;
    let peers: Vec<&Value> = calls
        .iter()
        .flat_map(Record::exceeded)
        .filter(|effect| effect.get("peer").is_some())
        .collect();
    let expected = |effect: &&Value| {
        effect["kind"] == "connect"
            && effect["outcome"] == "allowed"
            && effect["names"] == json!(["api.example.com"])
            && effect["peer"].as_str().is_some_and(|peer| peer.ends_with(":8080"))
    };
    // The C library tries out which of several addresses it could reach by connecting datagram sockets.
    let streams: Vec<_> = peers.iter().filter(|effect| effect["protocol"] == "tcp").collect();
    ensure!(!streams.is_empty() && streams.iter().all(|effect| expected(effect)), "{peers:#?}");
    Ok(())
}

fn node() -> anyhow::Result<()> {
    let world = World::new(API)?;
    let mut session = world.session()?;
    for way in ["lookup", "resolve4"] {
        same(&session.script("node", "lookup.js", &[way, "api.example.com"])?, &["8.8.8.4 ok"])?;
        let failed = session.script("node", "lookup.js", &[way, "evil.example.net"])?;
        same(&failed, &["failed ENOTFOUND"])?;
    }
    session.client.finish()?;
    world.refused("evil.example.net (A")?;
    connected_by_name(&world)?;
    world.expect_no_other()
}

fn over_v6() -> anyhow::Result<()> {
    let world = World::build(API, true)?;
    let mut session = world.session()?;
    let both = session.script("python3", "lookup.py", &["api.example.com"])?;
    same(&both, &["2600::4 ok", "8.8.8.4 ok"])?;
    same(&session.script("python3", "lookup.py", &["evil.example.net"])?, &["failed EAI_NONAME"])?;
    if places::system_program("node").is_ok() {
        let found = session.script("node", "lookup.js", &["resolve6", "api.example.com"])?;
        same(&found, &["2600::4 ok"])?;
    }
    session.client.finish()?;
    world.refused("evil.example.net (A")?;
    connected_by_name(&world)?;
    world.expect_no_other()
}

/// The answer must seem to come from the name server that was asked, but for the connected socket's own
/// peer, which is the resolver.
fn seems(world: &World, server: &str) -> anyhow::Result<()> {
    let server: SocketAddr = server.parse()?;
    let mut session = world.session()?;
    let names = ["api.example.com", "evil.example.net"];
    for way in ["udp", "udp-connected", "tcp"] {
        let lines = session.ask(&format!("{way} {server}"), &names)?;
        let [listed, unlisted] = lines.as_slice() else {
            anyhow::bail!("{way} {server}: {lines:?}")
        };
        ensure!(listed.ends_with(" code 0 8.8.8.4"), "{way} {server}: {listed}");
        ensure!(unlisted.ends_with(" code 3"), "{way} {server}: {unlisted}");
        for line in [listed, unlisted] {
            let words: Vec<_> = line.split(' ').collect();
            let address = |word: &str| -> anyhow::Result<SocketAddr> {
                let place =
                    words.iter().position(|found| *found == word).context(word.to_owned())?;
                Ok(words.get(place + 1).context("an address")?.parse()?)
            };
            if way != "tcp" {
                same(&address("from")?, &server)?;
            }
            if way != "udp" {
                let peer = address("peer")?;
                ensure!(peer.ip().to_canonical().is_loopback() && peer.port() != 53, "{line}");
            }
        }
    }
    session.client.finish()?;
    world.expect_no_other()
}

fn seeming() -> anyhow::Result<()> {
    let world = World::new(API)?;
    // The last one does not exist.
    for server in ["9.9.9.9:53", "10.9.9.53:53", "127.0.0.1:53", "203.0.113.53:53"] {
        seems(&world, server)?;
    }
    Ok(())
}

fn seeming_v6() -> anyhow::Result<()> {
    let world = World::build(API, true)?;
    for server in ["[2600::53]:53", "[::1]:53", "[::ffff:9.9.9.9]:53", "[64:ff9b::909:909]:53"] {
        seems(&world, server)?;
    }
    Ok(())
}

fn until_asked() -> anyhow::Result<()> {
    let world = World::new(API)?;
    let mut session = world.session()?;
    let target = format!("tcp 8.8.8.4:{PORT}");
    same(&session.reach(&target)?, &"EPERM")?;
    session.ask("udp 9.9.9.9:53", &["api.example.com"])?;
    same(&session.reach(&target)?, &"ok")?;
    // What the rule does not say stays closed: ports, protocols, neighbours.
    for target in ["tcp 8.8.8.4:8081", "udp 8.8.8.4:8080", "tcp 8.8.8.5:8080", "tcp 8.8.8.4:853"] {
        same(&(target, session.reach(target)?.as_str()), &(target, "EPERM"))?;
    }
    // So does the address for other sessions, and for a later one.
    let mut later = world.session()?;
    same(&later.reach(&target)?, &"EPERM")?;
    session.client.finish()?;
    later.client.finish()?;
    same(&world.session()?.reach(&target)?, &"EPERM")?;
    same(&world.hosts.answered(), &["tcp 0.0.0.0:8080"])
}

fn special() -> anyhow::Result<()> {
    let rule = "{host: '*.example.com', ports: [8080], protocol: tcp}";
    let hosts = [("meta.example.com", "169.254.169.254"), ("inner.example.com", "10.0.0.1")];
    let world = World::new(rule)?;
    let mut session = world.session()?;
    for (name, address) in hosts {
        let heard = session.ask("udp 9.9.9.9:53", &[name])?;
        ensure!(
            heard.iter().all(|line| line.ends_with(" code 0")) && heard.len() == 1,
            "{heard:?}"
        );
        same(&session.reach(&format!("tcp {address}:{PORT}"))?, &"EPERM")?;
    }
    // What is public among what is not is opened alone.
    let heard = session.ask("udp 9.9.9.9:53", &["mixed.example.com"])?;
    ensure!(heard.first().is_some_and(|line| line.ends_with(" code 0 8.8.8.7")), "{heard:?}");
    same(&session.reach("tcp 8.8.8.7:8080")?, &"ok")?;
    same(&session.reach("tcp 10.0.0.1:8080")?, &"EPERM")?;
    session.client.finish()?;
    for (name, address) in hosts {
        let record = world.refused(name)?;
        ensure!(record.text("error").contains(&format!("leads to {address}")), "{record:#?}");
    }

    // The twin: both are listed by address, too.
    let cidr = |address: &str| format!("{{cidr: {address}/32, ports: [{PORT}], protocol: tcp}}");
    let world = World::new(&[rule, &cidr("169.254.169.254"), &cidr("10.0.0.1")].join(", "))?;
    let mut session = world.session()?;
    for (name, address) in hosts {
        let heard = session.ask("udp 9.9.9.9:53", &[name])?;
        let told = heard.first().is_some_and(|line| line.ends_with(&format!(" code 0 {address}")));
        ensure!(told, "{heard:?}");
        same(&session.reach(&format!("tcp {address}:{PORT}"))?, &"ok")?;
    }
    Ok(())
}

fn shapes() -> anyhow::Result<()> {
    let names = ["alias", "zero", "many"]
        .map(|name| format!("{{host: {name}.example.com, ports: [{PORT}], protocol: tcp}}"));
    let world = World::new(&names.join(", "))?;
    let mut session = world.session()?;
    let mut look_up = |name: &str| session.script("python3", "lookup.py", &[name]);
    same(&look_up("alias.example.com")?, &["8.8.8.6 ok"])?;
    same(&look_up("zero.example.com")?, &["8.8.8.5 ok"])?;
    // A name on the way of an alias is not listed by that.
    same(&look_up("edge.cdn.example.net")?, &["failed EAI_NONAME"])?;
    let many = look_up("many.example.com")?;
    ensure!(many.len() == 64 && many.iter().all(|line| line.ends_with(" ok")), "{many:?}");
    let asked = world.upstream.asked();
    ensure!(asked.contains(&"tcp many.example.com 1".to_owned()), "{asked:?}");
    let heard = session.ask("udp 9.9.9.9:53", &["many.example.com"])?;
    ensure!(heard.first().is_some_and(|line| line.contains(" code 0 cut 8.8.8.1")), "{heard:?}");
    let left_out = session.reach("tcp 8.8.8.199:8080")?;
    same(&left_out, &"EPERM")?;
    session.client.finish()?;
    world.expect_no_other()
}

fn no_other() -> anyhow::Result<()> {
    let ways = ["tcp 9.9.9.9:853", "udp 9.9.9.9:853", "tcp 9.9.9.9:443", "udp 9.9.9.9:443"];
    let world = World::new(API)?;
    let mut session = world.session()?;
    for way in ways {
        same(&(way, session.reach(way)?.as_str()), &(way, "EPERM"))?;
    }
    let heard = session.ask("tcp 9.9.9.9:53", &["api.example.com", "evil.example.net"])?;
    ensure!(heard.len() == 2 && heard.iter().all(|line| !line.contains(OTHER)), "{heard:?}");
    session.client.finish()?;
    ensure!(world.hosts.answered().is_empty(), "somebody was reached");
    world.expect_no_other()?;

    // The twins: with all of these listed by address, they are reached; and without `host` rules there
    // is no resolver in between.
    let world = World::new("{cidr: 9.9.9.9/32}")?;
    let mut session = world.session()?;
    for way in ways {
        same(&(way, session.reach(way)?.as_str()), &(way, "ok"))?;
    }
    for way in ["tcp", "udp", "udp-connected"] {
        let heard = session.ask(&format!("{way} 9.9.9.9:53"), &["api.example.com"])?;
        ensure!(heard.first().is_some_and(|line| line.ends_with(" code 0 9.9.9.9")), "{heard:?}");
    }
    // Without any rule, port 53 is as closed as the others.
    let world = World::new("")?;
    let mut session = world.session()?;
    for way in ["tcp 9.9.9.9:53", "udp 9.9.9.9:53", "udp-connected 9.9.9.9:53"] {
        same(&(way, session.reach(way)?.as_str()), &(way, "EPERM"))?;
    }
    world.expect_no_other()
}
