//! Connections and datagrams on loopback: what is listed passes, what is not is refused and reported.

use std::net::{IpAddr, TcpListener, UdpSocket};

use libtest_mimic::Failed;
use warrantd::policy::network::{PortRange, Rule, Table, compile};
use warrantd::warrant::{Outcome, Protocol};

use crate::support::{
    ensure, equal, kernel, peers, run, run_in, run_spec, runtime, spec, wait_for_word,
};
use crate::{Test, actor};

/// The tests of this file.
pub(crate) const TESTS: &[Test] = &[
    ("tcp_is_refused_and_its_listed_twin_passes", tcp),
    ("tcp_fast_open_and_mptcp_are_no_way_around", other_tcp),
    ("udp_is_refused_and_its_listed_twin_passes", udp),
    ("mapped_addresses_are_ipv4", mapped),
    ("ports_and_protocols_are_told_apart", ports),
    ("refused_sockets_are_reported", sockets),
    ("a_policy_is_replaced_for_open_sockets_too", replaced),
    ("sessions_have_policies_of_their_own", separate),
    ("every_connection_is_reported_with_its_process", reported),
];

fn tcp() -> Result<(), Failed> {
    for local in ["127.0.0.1", "::1"] {
        let listener = TcpListener::bind((local.parse::<IpAddr>()?, 0))?;
        let peer = listener.local_addr()?.to_string();
        let refused = run("tcp", &Table::default(), &["tcp", &peer])?;
        equal(refused.printed.as_str(), "EPERM")?;
        equal(peers(&refused), vec![format!("connect tcp {peer} denied")])?;

        let allowed = run("tcp", &allow(&[&peer], Protocol::Tcp)?, &["tcp", &peer])?;
        equal(allowed.printed.as_str(), "ok")?;
        equal(peers(&allowed), vec![format!("connect tcp {peer} allowed")])?;
    }
    Ok(())
}

fn other_tcp() -> Result<(), Failed> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let peer = listener.local_addr()?.to_string();
    // Not every kernel is built with MPTCP.
    let has_mptcp = std::path::Path::new("/proc/sys/net/mptcp").exists();
    let deeds: &[&str] = if has_mptcp { &["tcp-fast-open", "mptcp"] } else { &["tcp-fast-open"] };
    for deed in deeds.iter().copied() {
        let refused = run(deed, &Table::default(), &[deed, &peer])?;
        equal(refused.printed.as_str(), "EPERM")?;
        equal(peers(&refused), vec![format!("connect tcp {peer} denied")])?;

        let allowed = run(deed, &allow(&[&peer], Protocol::Tcp)?, &[deed, &peer])?;
        equal(allowed.printed.as_str(), "ok")?;
        equal(peers(&allowed), vec![format!("connect tcp {peer} allowed")])?;
    }
    Ok(())
}

fn udp() -> Result<(), Failed> {
    for local in ["127.0.0.1", "::1"] {
        let socket = UdpSocket::bind((local.parse::<IpAddr>()?, 0))?;
        socket.set_read_timeout(Some(std::time::Duration::from_secs(5)))?;
        let peer = socket.local_addr()?.to_string();
        for (deed, kind) in [("udp", "send"), ("udp-connected", "connect")] {
            let refused = run(deed, &Table::default(), &[deed, &peer])?;
            equal(refused.printed.as_str(), "EPERM")?;
            equal(peers(&refused), vec![format!("{kind} udp {peer} denied")])?;

            let allowed = run(deed, &allow(&[&peer], Protocol::Udp)?, &[deed, &peer])?;
            equal(allowed.printed.as_str(), "ok")?;
            equal(peers(&allowed), vec![format!("{kind} udp {peer} allowed")])?;
            // Exactly one datagram came: the refused one did not.
            equal(socket.recv(&mut [0; 8])?, 1)?;
            socket.set_nonblocking(true)?;
            ensure(socket.recv(&mut [0; 8]).is_err(), "a refused datagram arrived")?;
            socket.set_nonblocking(false)?;
        }
    }
    Ok(())
}

fn mapped() -> Result<(), Failed> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    let tcp = listener.local_addr()?;
    let udp = socket.local_addr()?;
    let written = |port: u16| format!("[::ffff:127.0.0.1]:{port}");
    for (deed, port, seen) in [
        ("tcp", tcp.port(), format!("connect tcp {tcp}")),
        ("udp", udp.port(), format!("send udp {udp}")),
        ("udp-connected", udp.port(), format!("connect udp {udp}")),
    ] {
        let name = format!("mapped-{deed}");
        let refused = run(&name, &Table::default(), &[deed, &written(port)])?;
        equal(refused.printed.as_str(), "EPERM")?;
        equal(peers(&refused), vec![format!("{seen} denied")])?;

        let table = allow_both(&[&tcp.to_string(), &udp.to_string()])?;
        let allowed = run(&name, &table, &[deed, &written(port)])?;
        equal(allowed.printed.as_str(), "ok")?;
        let all_allowed = peers(&allowed).iter().all(|seen| seen.ends_with(" allowed"));
        ensure(
            all_allowed && !peers(&allowed).is_empty(),
            "the listed twin is not reported as allowed",
        )?;
    }
    Ok(())
}

fn ports() -> Result<(), Failed> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let peer = listener.local_addr()?;
    let next = format!("127.0.0.1:{}", peer.port() ^ 1);
    let wrong_port = run("ports", &allow(&[&next], Protocol::Tcp)?, &["tcp", &peer.to_string()])?;
    equal(wrong_port.printed.as_str(), "EPERM")?;
    let wrong_protocol = allow(&[&peer.to_string()], Protocol::Udp)?;
    let wrong_protocol = run("ports", &wrong_protocol, &["tcp", &peer.to_string()])?;
    equal(wrong_protocol.printed.as_str(), "EPERM")?;
    // Sixteen ranges, the right one last: all of them are searched.
    let ranges: Vec<PortRange> = (0..15)
        .map(|index| PortRange { low: index * 2 + 1, high: index * 2 + 1 })
        .chain([PortRange { low: peer.port(), high: peer.port() }])
        .collect();
    let rule = Rule { net: "127.0.0.1/32".parse()?, ports: ranges, protocol: Some(Protocol::Tcp) };
    let last = run("ports", &compile(&[rule])?, &["tcp", &peer.to_string()])?;
    equal(last.printed.as_str(), "ok")
}

fn sockets() -> Result<(), Failed> {
    let everything = compile(&[
        Rule { net: "0.0.0.0/0".parse()?, ports: vec![], protocol: None },
        Rule { net: "127.0.0.0/8".parse()?, ports: vec![], protocol: None },
    ])?;
    let session = kernel()?.open_session("sockets", &everything)?;
    // As root, who may make raw sockets, so that it is the program which refuses.
    let as_root = |words: &[&str]| {
        let mut spec = spec(actor::command(words));
        spec.user = None;
        run_spec(&session, &spec)
    };
    let number = |value: i32| value.to_string();
    let inet = number(libc::AF_INET);
    let (raw, dgram) = (number(libc::SOCK_RAW), number(libc::SOCK_DGRAM));
    for (kind, protocol, code) in [
        (&raw, libc::IPPROTO_ICMP, 1),
        (&raw, libc::IPPROTO_RAW, 255),
        (&raw, libc::IPPROTO_UDP, 17),
    ] {
        let refused = as_root(&["socket", &inet, kind, &number(protocol)])?;
        equal(refused.printed.as_str(), "EPERM")?;
        let name = if code == 17 { "udp".into() } else { format!("protocol {code}") };
        equal(peers(&refused), vec![format!("socket {name} 0.0.0.0:0 denied")])?;
    }
    // Families that no cgroup program sees are refused before.
    for (family, kind) in
        [(libc::AF_PACKET, &raw), (libc::AF_VSOCK, &dgram), (libc::AF_ALG, &dgram)]
    {
        let refused = as_root(&["socket", &number(family), kind, "0"])?;
        equal(refused.printed.as_str(), "EPERM")?;
    }
    let netlink = number(libc::AF_NETLINK);
    let connector = as_root(&["socket", &netlink, &raw, &number(libc::NETLINK_KOBJECT_UEVENT)])?;
    equal(connector.printed.as_str(), "EPERM")?;
    // The twins that servers need.
    for (family, kind) in
        [(libc::AF_INET6, &dgram), (libc::AF_INET, &dgram), (libc::AF_NETLINK, &raw)]
    {
        let made = as_root(&["socket", &number(family), kind, "0"])?;
        equal((made.printed.as_str(), peers(&made)), ("ok", vec![]))?;
    }
    Ok(())
}

fn replaced() -> Result<(), Failed> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    let peer = socket.local_addr()?.to_string();
    let session = kernel()?.open_session("replaced", &allow(&[&peer], Protocol::Udp)?)?;
    let before = kernel()?.generation();
    let _runtime = runtime().enter();
    let mut child = session.spawn(&spec(actor::command(&["udp-twice", &peer])))?;
    wait_for_word(&mut child, "sent")?;
    session.set_network(&Table::default())?;
    ensure(kernel()?.generation() > before, "a new policy has no new generation")?;
    let (mut input, output) = (child.stdin.take(), child.stdout.take());
    let printed = runtime().block_on(async {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let mut text = String::new();
        if let (Some(input), Some(mut output)) = (&mut input, output) {
            input.write_all(b"g").await?;
            output.read_to_string(&mut text).await?;
        }
        std::io::Result::Ok(text)
    })?;
    // The connect was allowed then; the packet is refused now.
    equal(printed.trim(), "EPERM")?;
    let drained = session.drain();
    let outcomes: Vec<_> = drained
        .effects
        .iter()
        .filter(|effect| matches!(effect.target, warrantd::warrant::Target::Peer(_)))
        .map(|effect| (effect.kind.to_string(), effect.outcome, effect.process.pid != 0))
        .collect();
    let expected = vec![
        ("connect".to_owned(), Outcome::Allowed, true),
        ("packet".to_owned(), Outcome::Denied, true),
    ];
    equal(outcomes, expected)?;
    // And back again.
    session.set_network(&allow(&[&peer], Protocol::Udp)?)?;
    equal(run_in(&session, &["udp", &peer])?.printed.as_str(), "ok")
}

fn separate() -> Result<(), Failed> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let peer = listener.local_addr()?.to_string();
    let open = kernel()?.open_session("separate-open", &allow(&[&peer], Protocol::Tcp)?)?;
    let shut = kernel()?.open_session("separate-shut", &Table::default())?;
    for _ in 0..3 {
        equal(run_in(&open, &["tcp", &peer])?.printed.as_str(), "ok")?;
        equal(run_in(&shut, &["tcp", &peer])?.printed.as_str(), "EPERM")?;
    }
    drop(shut);
    equal(run_in(&open, &["tcp", &peer])?.printed.as_str(), "ok")
}

fn reported() -> Result<(), Failed> {
    let run = run("reported", &Table::default(), &["tcp", "127.0.0.1:9"])?;
    let own = std::fs::read_link("/proc/self/exe")?.display().to_string();
    let found = run.drained.effects.iter().find(|effect| effect.outcome == Outcome::Denied);
    let process = found.map(|effect| (effect.process.pid, effect.process.exe.clone()));
    equal(process, Some((run.pid, own)))
}

/// A table that allows exactly these peers.
pub(crate) fn allow(peers: &[&str], protocol: Protocol) -> Result<Table, Failed> {
    table(peers, Some(protocol))
}

/// The same for TCP and UDP.
pub(crate) fn allow_both(peers: &[&str]) -> Result<Table, Failed> {
    table(peers, None)
}

fn table(peers: &[&str], protocol: Option<Protocol>) -> Result<Table, Failed> {
    let rule = |peer: &&str| -> Result<Rule, Failed> {
        let peer: std::net::SocketAddr = peer.parse()?;
        let port = PortRange { low: peer.port(), high: peer.port() };
        Ok(Rule { net: peer.ip().into(), ports: vec![port], protocol })
    };
    Ok(compile(&peers.iter().map(rule).collect::<Result<Vec<_>, _>>()?)?)
}
