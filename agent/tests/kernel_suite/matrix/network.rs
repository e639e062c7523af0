//! The network: refused for a session with an empty table, reached by one that lists the peer.

use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::path::Path;
use std::time::Duration;

use libtest_mimic::Failed;
use nix::sys::socket::{SockaddrIn, connect, setsockopt, sockopt};
use warrantd::kernel::{Backend, Doors};
use warrantd::policy::network::{Allowed, PortRange, Table};
use warrantd::transport::Upstream;

use super::{Answer, Row};
use crate::actor;
use crate::network::allow_both;
use crate::support::{Run, ensure, equal, kernel, peers, run, run_in, runtime, spec};

/// The rows of this file.
pub(crate) const ROWS: &[Row] = &[
    ("TCP connection", |_| tcp("tcp", "127.0.0.1")),
    ("TCP connection over IPv6", |_| tcp("tcp", "::1")),
    ("TCP fast open", |_| tcp("tcp-fast-open", "127.0.0.1")),
    ("MPTCP", mptcp),
    ("IPv4-mapped address", |_| tcp("tcp", "::ffff:127.0.0.1")),
    ("NAT64 address", |_| embedded("[64:ff9b::7f00:1]")),
    ("6to4 address", |_| embedded("[2002:7f00:1::1]")),
    ("UDP datagram", |_| udp("udp", "127.0.0.1")),
    ("UDP datagram over IPv6", |_| udp("udp", "::1")),
    ("UDP datagram to a mapped address", |_| udp("udp", "::ffff:127.0.0.1")),
    ("connected UDP", |_| udp("udp-connected", "127.0.0.1")),
    ("SCTP socket", |_| socket(libc::AF_INET, libc::SOCK_STREAM, libc::IPPROTO_SCTP)),
    ("DCCP socket", |_| socket(libc::AF_INET, 6, libc::IPPROTO_DCCP)),
    ("UDP-Lite socket", |_| socket(libc::AF_INET, libc::SOCK_DGRAM, libc::IPPROTO_UDPLITE)),
    ("ICMP socket", |_| socket(libc::AF_INET, libc::SOCK_DGRAM, libc::IPPROTO_ICMP)),
    ("raw socket", |_| socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_RAW)),
    ("packet socket", |_| socket(libc::AF_PACKET, libc::SOCK_RAW, 0)),
    ("vsock socket", |_| socket(libc::AF_VSOCK, libc::SOCK_STREAM, 0)),
    ("netlink socket beyond routes", |_| {
        socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_AUDIT)
    }),
    ("kernel crypto socket (AF_ALG)", |_| socket(libc::AF_ALG, libc::SOCK_SEQPACKET, 0)),
    ("bluetooth socket", |_| socket(libc::AF_BLUETOOTH, libc::SOCK_RAW, 1)),
    ("local port bound", bind),
    ("connection from outside", |_| inbound()),
    ("connection past warrantd (no mark)", |_| side_door()),
    ("name server elsewhere", |_| name_server()),
];

fn tcp(deed: &str, host: &str) -> Result<Answer, Failed> {
    let bound = if host == "::1" { "::1" } else { "127.0.0.1" };
    let listener = TcpListener::bind((bound, 0))?;
    let port = listener.local_addr()?.port();
    let written = SocketAddr::new(host.parse()?, port).to_string();
    both(&[deed, &written], &listener.local_addr()?.to_string())
}

fn mptcp(_: Backend) -> Result<Answer, Failed> {
    if !std::path::Path::new("/proc/sys/net/mptcp").exists() {
        return Ok(Answer::NotCovered("this kernel has no MPTCP"));
    }
    tcp("mptcp", "127.0.0.1")
}

fn udp(deed: &str, host: &str) -> Result<Answer, Failed> {
    let bound = if host == "::1" { "::1" } else { "127.0.0.1" };
    let socket = UdpSocket::bind((bound, 0))?;
    let port = socket.local_addr()?.port();
    let written = SocketAddr::new(host.parse()?, port).to_string();
    both(&[deed, &written], &socket.local_addr()?.to_string())
}

/// The attack with nothing listed, the twin with the peer.
fn both(words: &[&str], peer: &str) -> Result<Answer, Failed> {
    let twin = run("matrix-twin", &allow_both(&[peer])?, words)?;
    equal(twin.printed.as_str(), "ok")?;
    let attack = run("matrix-attack", &Table::default(), words)?;
    equal(attack.printed.as_str(), "EPERM")?;
    refusal_is_reported(&attack)?;
    Ok(Answer::Blocked)
}

fn refusal_is_reported(run: &Run) -> Result<(), Failed> {
    let seen = peers(run);
    ensure(seen.iter().any(|line| line.ends_with("denied")), &format!("no refusal in {seen:?}"))
}

/// An address that carries an IPv4 address is judged as that: refused, or let through to where no route
/// leads.
fn embedded(host: &str) -> Result<Answer, Failed> {
    let words = ["tcp", &format!("{host}:9")];
    let twin = run("matrix-twin", &allow_both(&["127.0.0.1:9"])?, &words)?;
    ensure(twin.printed != "EPERM" && twin.printed != "ok", &twin.printed)?;
    let attack = run("matrix-attack", &Table::default(), &words)?;
    equal(attack.printed.as_str(), "EPERM")?;
    refusal_is_reported(&attack)?;
    Ok(Answer::Blocked)
}

fn socket(family: i32, kind: i32, protocol: i32) -> Result<Answer, Failed> {
    let words = |family: i32, kind: i32, protocol: i32| {
        ["socket".to_owned(), family.to_string(), kind.to_string(), protocol.to_string()]
    };
    let attempt = |words: [String; 4]| {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        run("matrix-socket", &Table::default(), &words).map(|run| run.printed)
    };
    equal(attempt(words(libc::AF_INET, libc::SOCK_STREAM, 0))?.as_str(), "ok")?;
    let printed = attempt(words(family, kind, protocol))?;
    // A kernel without the protocol cannot even refuse, and pings are for certain groups anyway.
    let refused = printed == "EPERM" || printed == "EACCES" || printed.contains("not supported");
    ensure(refused, &printed)?;
    Ok(Answer::Blocked)
}

fn listening(port: u16) -> Vec<Allowed> {
    vec![Allowed { protocol: 6, ports: PortRange { low: port, high: port } }]
}

/// A port that is free now.
fn free_port() -> Result<u16, Failed> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn bind(_: Backend) -> Result<Answer, Failed> {
    let port = free_port()?;
    let local = format!("127.0.0.1:{port}");
    let session = kernel()?.open_session("matrix-bind", &Table::default())?;
    let attack = run_in(&session, &["bind", &local])?;
    equal(attack.printed.as_str(), "EPERM")?;
    equal(peers(&attack), vec![format!("bind tcp {local} denied")])?;
    session.set_doors(Doors { listen: listening(port), ..Doors::default() })?;
    let twin = run_in(&session, &["bind", &local])?;
    equal(twin.printed.as_str(), "ok")?;
    equal(peers(&twin), vec![format!("bind tcp {local} allowed")])?;
    Ok(Answer::Blocked)
}

/// A server that listens, and a client from outside; what the server printed at the end.
fn visit(
    doors: Doors,
    words: &[&str],
    client: impl FnOnce(SocketAddr) -> bool,
) -> Result<(bool, String), Failed> {
    let session = kernel()?.open_session("matrix-visit", &Table::default())?;
    session.set_doors(doors)?;
    let _runtime = runtime().enter();
    let mut child = session.spawn(&spec(actor::command(words)))?;
    let stdout = child.stdout.take().ok_or("the server has no output")?;
    let mut lines = BufReader::new(std::fs::File::from(stdout.into_owned_fd()?)).lines();
    // tokio made the pipe non-blocking; the first line is worth waiting for.
    let mut line = || loop {
        match lines.next() {
            Some(Err(error)) if error.kind() == std::io::ErrorKind::WouldBlock => {
                std::thread::sleep(Duration::from_millis(2));
            }
            other => return other,
        }
    };
    let address = line().ok_or("the server said nothing")??.parse()?;
    let came = client(address);
    let printed = line().transpose()?.unwrap_or_default();
    runtime().block_on(child.wait())?;
    Ok((came, printed))
}

fn plainly(address: SocketAddr) -> bool {
    TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok()
}

fn marked(mark: u32) -> impl FnOnce(SocketAddr) -> bool {
    move |address| {
        let SocketAddr::V4(address) = address else { return false };
        // SAFETY: takes numbers only.
        let socket = unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0) };
        // SAFETY: the call returned it, and nobody else knows it.
        let socket = unsafe { OwnedFd::from_raw_fd(socket) };
        setsockopt(&socket, sockopt::Mark, &mark).is_ok()
            && connect(socket.as_raw_fd(), &SockaddrIn::from(address)).is_ok()
    }
}

fn inbound() -> Result<Answer, Failed> {
    let port = free_port()?;
    let doors = Doors { listen: listening(port), ..Doors::default() };
    let local = format!("127.0.0.1:{port}");
    equal(visit(doors, &["listen", &local], plainly)?, (true, "ok".into()))?;
    // A port that nobody chose can be had without asking, and is of no use.
    let attack = visit(Doors::default(), &["listen"], plainly)?;
    equal(attack, (false, "nobody came in".into()))?;
    Ok(Answer::Blocked)
}

fn side_door() -> Result<Answer, Failed> {
    let doors = |port| Doors { listen: listening(port), mark: Some(0x77a1), ..Doors::default() };
    let port = free_port()?;
    let local = format!("127.0.0.1:{port}");
    let twin = visit(doors(port), &["listen", &local], marked(0x77a1))?;
    equal(twin, (true, "ok".into()))?;
    let port = free_port()?;
    let local = format!("127.0.0.1:{port}");
    let attack = visit(doors(port), &["listen", &local], plainly)?;
    equal(attack, (false, "nobody came in".into()))?;
    // Warrantd's own way in, and what it has closed to others.
    for (own, outcome) in [(true, "ok"), (false, "nobody came in")] {
        let port = free_port()?;
        let local = format!("127.0.0.1:{port}");
        let config = serde_yaml::from_str(&format!("{{url: 'http://{local}/mcp'}}"))?;
        let upstream = Upstream::open("matrix", &config, Path::new("/"), true)?;
        let doors = upstream.doors(Doors { listen: listening(port), ..Doors::default() });
        let came = visit(doors, &["listen", &local], |address| {
            let connecting = upstream.wait_until_reachable(Duration::from_secs(10));
            if own { runtime().block_on(connecting).is_ok() } else { plainly(address) }
        })?;
        equal(came, (own, outcome.into()))?;
    }
    let port = free_port()?;
    let local = format!("127.0.0.1:{port}");
    let guess = visit(doors(port), &["listen", &local], |address| {
        // Asked with another mark, nothing comes back in the time that the server waits.
        std::thread::spawn(move || marked(1)(address));
        false
    })?;
    equal(guess, (false, "nobody came in".into()))?;
    Ok(Answer::Blocked)
}

/// Port 53 is no exception; with a resolver, every question goes there.
fn name_server() -> Result<Answer, Failed> {
    let resolver = UdpSocket::bind("127.0.0.1:0")?;
    resolver.set_read_timeout(Some(Duration::from_secs(5)))?;
    let session = kernel()?.open_session("matrix-names", &Table::default())?;
    for deed in ["udp", "udp-connected", "tcp"] {
        let attack = run_in(&session, &[deed, "127.0.0.1:53"])?;
        equal(attack.printed.as_str(), "EPERM")?;
    }
    let port = resolver.local_addr()?.port();
    session.set_doors(Doors { resolver: Some((port, None)), ..Doors::default() })?;
    for deed in ["udp", "udp-connected"] {
        let twin = run_in(&session, &[deed, "127.0.0.53:53"])?;
        equal((deed, twin.printed.as_str()), (deed, "ok"))?;
        let mut byte = [0; 8];
        let (length, _) = resolver.recv_from(&mut byte)?;
        equal(length, 1)?;
    }
    let straight = run_in(&session, &["tcp", "127.0.0.1:853"])?;
    equal(straight.printed.as_str(), "EPERM")?;
    Ok(Answer::Blocked)
}
