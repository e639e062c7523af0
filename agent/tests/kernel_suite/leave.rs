//! What is open of a session's network while a call may use it, and after.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use libtest_mimic::Failed;
use warrantd::kernel::Leave;
use warrantd::policy::network::{Rule, Table, compile};
use warrantd::policy::url::HostPattern;
use warrantd::warrant::{EffectKind, Outcome, PeerGrant, Whom};

use crate::Test;
use crate::names::{hear, say, start};
use crate::support::{ensure, equal, kernel, peers, run_in};

/// The tests of this file.
pub(crate) const TESTS: &[Test] = &[
    ("what_is_needed_is_open_and_nothing_else", part),
    ("a_closed_connection_carries_no_data", closed_connection),
    ("named_addresses_open_with_their_names", named),
    ("a_new_policy_keeps_what_is_closed_closed", replaced),
];

const LONG: Duration = Duration::from_secs(3600);
const NOTHING: Leave = Leave::Peers(Vec::new());

fn part() -> Result<(), Failed> {
    let (one, _) = listener()?;
    let (other, _) = listener()?;
    let session = kernel()?.open_session("leave", &loopback()?)?;
    let tries = |wanted: [&str; 2]| {
        let run = |peer: SocketAddr| run_in(&session, &["tcp", &peer.to_string()]);
        equal([run(one)?.printed.as_str(), run(other)?.printed.as_str()], wanted)
    };
    tries(["ok", "ok"])?;
    session.set_leave(&NOTHING)?;
    tries(["EPERM", "EPERM"])?;
    let run = run_in(&session, &["tcp", &one.to_string()])?;
    equal(peers(&run), vec![format!("connect tcp {one} denied")])?;
    for _ in 0..3 {
        session.set_leave(&at(one))?;
        tries(["ok", "EPERM"])?;
        session.set_leave(&at(other))?;
        tries(["EPERM", "ok"])?;
    }
    let Leave::Peers(both) = at(one) else { return Err("no peers".into()) };
    let Leave::Peers(more) = at(other) else { return Err("no peers".into()) };
    session.set_leave(&Leave::Peers([both, more].concat()))?;
    tries(["ok", "ok"])?;
    // More sets of peers than are kept.
    for port in 20_000..20_100 {
        session.set_leave(&at(SocketAddr::new(one.ip(), port)))?;
    }
    tries(["EPERM", "EPERM"])?;
    session.set_leave(&Leave::Everything)?;
    tries(["ok", "ok"])
}

fn closed_connection() -> Result<(), Failed> {
    let (peer, heard) = listener()?;
    let session = kernel()?.open_session("leave-late", &loopback()?)?;
    session.set_leave(&at(peer))?;
    let mut held = start(&session, &["hold", &peer.to_string()])?;
    say(&mut held)?;
    equal(hear(&mut held)?.as_str(), "c")?;
    let _ = session.drain();

    session.set_leave(&NOTHING)?;
    say(&mut held)?;
    // It waits for an answer to what never leaves.
    ensure(heard.recv_timeout(Duration::from_millis(500)).is_err(), "data left a closed session")?;
    let late = session.drain().effects;
    let dropped =
        |kind: EffectKind, outcome| kind == EffectKind::LatePacket && outcome == Outcome::Denied;
    ensure(
        !late.is_empty() && late.iter().all(|effect| dropped(effect.kind, effect.outcome)),
        &format!("what was dropped is told as such: {late:?}"),
    )?;
    // Opened again, the connection goes on: what was held back is sent anew.
    session.set_leave(&at(peer))?;
    equal(heard.recv_timeout(LONG)?, 1)?;
    equal(hear(&mut held)?.as_str(), "o")
}

fn named() -> Result<(), Failed> {
    let (peer, _) = listener()?;
    let session = kernel()?.open_session("leave-named", &Table::default())?;
    let tries = |wanted: &str| {
        equal(run_in(&session, &["tcp", &peer.to_string()])?.printed.as_str(), wanted)
    };
    let ports = [crate::names::allowed(6, peer.port())];
    session.set_leave(&by_name("b.example", None)?)?;
    session.names().open(peer.ip(), "a.example", &ports, LONG)?;
    tries("EPERM")?;
    session.set_leave(&by_name("*.example", None)?)?;
    tries("ok")?;
    session.set_leave(&by_name("a.example", Some(peer.port() ^ 1))?)?;
    tries("EPERM")?;
    session.set_leave(&by_name("b.example", None)?)?;
    tries("EPERM")?;
    // Another name leads there, too.
    session.names().open(peer.ip(), "b.example", &ports, LONG)?;
    tries("ok")?;
    session.set_leave(&NOTHING)?;
    tries("EPERM")
}

fn replaced() -> Result<(), Failed> {
    let (one, _) = listener()?;
    let (other, _) = listener()?;
    let session = kernel()?.open_session("leave-swap", &loopback()?)?;
    session.set_leave(&at(one))?;
    let tries = |wanted: [&str; 2]| {
        let run = |peer: SocketAddr| run_in(&session, &["tcp", &peer.to_string()]);
        equal([run(one)?.printed.as_str(), run(other)?.printed.as_str()], wanted)
    };
    session.set_network(&loopback()?)?;
    tries(["ok", "EPERM"])?;
    session.set_network(&Table::default())?;
    tries(["EPERM", "EPERM"])?;
    session.set_network(&loopback()?)?;
    tries(["ok", "EPERM"])?;
    session.set_leave(&NOTHING)?;
    session.set_network(&loopback()?)?;
    tries(["EPERM", "EPERM"])
}

/// A table that lists all of IPv4's loopback.
fn loopback() -> Result<Table, Failed> {
    let rule = Rule { net: "127.0.0.0/8".parse()?, ports: Vec::new(), protocol: None };
    Ok(compile(&[rule])?)
}

fn at(peer: SocketAddr) -> Leave {
    let whom = Whom::Net(peer.ip().into());
    Leave::Peers(vec![PeerGrant { whom, port: Some(peer.port()) }])
}

fn by_name(pattern: &str, port: Option<u16>) -> Result<Leave, Failed> {
    let whom = Whom::Name(HostPattern::compile(pattern)?);
    Ok(Leave::Peers(vec![PeerGrant { whom, port }]))
}

/// A peer that answers each byte with the same, and tells how many it heard at once.
fn listener() -> Result<(SocketAddr, Receiver<usize>), Failed> {
    let listener = TcpListener::bind((IpAddr::from(Ipv4Addr::LOCALHOST), 0))?;
    let address = listener.local_addr()?;
    let (tell, heard) = channel();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let tell = tell.clone();
            thread::spawn(move || {
                let mut bytes = [0; 16];
                while let Ok(count @ 1..) = stream.read(&mut bytes) {
                    let _ = tell.send(count); // The test may be over.
                    if stream.write_all(&bytes[..count]).is_err() {
                        return;
                    }
                }
            });
        }
    });
    Ok((address, heard))
}
