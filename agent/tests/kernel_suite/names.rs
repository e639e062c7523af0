//! Addresses that names open for a while, and questions that are turned to the resolver.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::Failed;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Child;
use warrantd::kernel::{Doors, Session};
use warrantd::policy::network::{Allowed, PortRange, Table};

use crate::support::{ensure, equal, kernel, peers, run_in, runtime, spec};
use crate::{Test, actor};

/// The tests of this file.
pub(crate) const TESTS: &[Test] = &[
    ("a_named_address_is_open_as_its_rule_says", open),
    ("a_named_address_closes_and_what_stands_goes_on", closes),
    ("the_newest_of_many_named_addresses_is_open", many),
    ("answers_seem_to_come_from_whom_was_asked", turned),
];

const TCP: u8 = 6;
const UDP: u8 = 17;
const LONG: Duration = Duration::from_secs(3600);

/// Does what the words say; `None` when they name nothing of this file.
pub(crate) fn deed(words: &[&str]) -> Option<io::Result<()>> {
    Some(match *words {
        ["hold", peer] => hold(peer),
        ["ask", way, server] => ask(way, server),
        _ => return None,
    })
}

fn open() -> Result<(), Failed> {
    for ip in ["127.0.0.1", "::1"] {
        let ip: IpAddr = ip.parse()?;
        let (tcp, udp) = pair(ip)?;
        let peer = tcp.local_addr()?;
        let session = kernel()?.open_session("named", &Table::default())?;
        let other = kernel()?.open_session("named-other", &Table::default())?;
        let (stream, datagram) = (["tcp", &peer.to_string()], ["udp", &peer.to_string()]);
        equal(run_in(&session, &stream)?.printed.as_str(), "EPERM")?;

        session.names().open(ip, "a.example", &[allowed(TCP, peer.port())], LONG)?;
        let run = run_in(&session, &stream)?;
        equal(
            (run.printed.as_str(), peers(&run)),
            ("ok", vec![format!("connect tcp {peer} allowed")]),
        )?;
        equal(run_in(&session, &datagram)?.printed.as_str(), "EPERM")?;
        let next = SocketAddr::new(ip, peer.port() ^ 1).to_string();
        equal(run_in(&session, &["tcp", &next])?.printed.as_str(), "EPERM")?;
        if let IpAddr::V4(v4) = ip {
            let mapped = SocketAddr::new(v4.to_ipv6_mapped().into(), peer.port()).to_string();
            equal(run_in(&session, &["tcp", &mapped])?.printed.as_str(), "ok")?;
        }
        // Another name that leads there adds what it opens.
        session.names().open(ip, "a.example", &[allowed(UDP, udp.local_addr()?.port())], LONG)?;
        equal(run_in(&session, &datagram)?.printed.as_str(), "ok")?;
        equal(run_in(&session, &stream)?.printed.as_str(), "ok")?;
        // Nothing of it is open to others.
        equal(run_in(&other, &stream)?.printed.as_str(), "EPERM")?;
        let names = session.names().clone();
        drop(session);
        let late = names.open(ip, "a.example", &[allowed(TCP, peer.port())], LONG);
        ensure(late.is_err(), "an address is opened for a session that is over")?;
    }
    Ok(())
}

fn closes() -> Result<(), Failed> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let peer = listener.local_addr()?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || echo(stream));
        }
    });
    // On a machine that is busy a short while may be over before the connection is tried.
    for life in [1, 4, 16].map(Duration::from_secs) {
        let session = kernel()?.open_session("closes", &Table::default())?;
        let mut held = start(&session, &["hold", &peer.to_string()])?;
        session.names().open(peer.ip(), "a.example", &[allowed(TCP, peer.port())], life)?;
        say(&mut held)?;
        if hear(&mut held)? == "E" {
            continue;
        }
        let deadline = Instant::now() + life + Duration::from_secs(10);
        while run_in(&session, &["tcp", &peer.to_string()])?.printed != "EPERM" {
            ensure(Instant::now() < deadline, "the address stays open")?;
        }
        // What was connected before still sends and receives.
        say(&mut held)?;
        equal(hear(&mut held)?.as_str(), "o")?;
        // And the name can be asked for again.
        session.names().open(peer.ip(), "a.example", &[allowed(TCP, peer.port())], LONG)?;
        return equal(run_in(&session, &["tcp", &peer.to_string()])?.printed.as_str(), "ok");
    }
    Err("no connection was made while the address was open".into())
}

fn many() -> Result<(), Failed> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let peer = listener.local_addr()?;
    let session = kernel()?.open_session("many", &Table::default())?;
    let port = [allowed(TCP, peer.port())];
    for number in 0..4096u32 {
        let address = Ipv4Addr::from(0x0808_0000 + number);
        session.names().open(address.into(), "a.example", &port, LONG)?;
    }
    // It is the first of all to expire.
    session.names().open(peer.ip(), "a.example", &port, LONG / 60)?;
    equal(run_in(&session, &["tcp", &peer.to_string()])?.printed.as_str(), "ok")
}

fn turned() -> Result<(), Failed> {
    let (tcp_v4, udp_v4) = pair("127.0.0.1".parse()?)?;
    let (tcp_v6, udp_v6) = pair("::1".parse()?)?;
    let (v4, v6) = (tcp_v4.local_addr()?.port(), tcp_v6.local_addr()?.port());
    for (tcp, udp) in [(tcp_v4, udp_v4), (tcp_v6, udp_v6)] {
        thread::spawn(move || {
            for stream in tcp.incoming().flatten() {
                thread::spawn(move || echo(stream));
            }
        });
        thread::spawn(move || {
            let mut buffer = [0; 8];
            while let Ok((length, from)) = udp.recv_from(&mut buffer) {
                let _ = udp.send_to(&buffer[..length], from);
            }
        });
    }
    let session = kernel()?.open_session("turned", &Table::default())?;
    let servers = ["192.0.2.53:53", "127.0.0.1:53", "[::ffff:192.0.2.53]:53", "[2001:db8::53]:53"];
    for way in ["tcp", "udp", "udp-connected"] {
        for server in servers {
            let run = run_in(&session, &["ask", way, server])?;
            equal((way, server, run.printed.as_str()), (way, server, "EPERM"))?;
        }
    }
    session.set_doors(Doors { resolver: Some((v4, Some(v6))), ..Doors::default() })?;
    for way in ["tcp", "udp", "udp-connected"] {
        for server in servers {
            let run = run_in(&session, &["ask", way, server])?;
            equal((way, server, run.printed.as_str(), peers(&run)), (way, server, "ok", vec![]))?;
            // The port alone makes a question.
            let other =
                server.replace("]:53", "]:853").replace("3:53", "3:853").replace("1:53", "1:853");
            let run = run_in(&session, &["ask", way, &other])?;
            equal((way, other.as_str(), run.printed.as_str()), (way, &other, "EPERM"))?;
        }
    }
    // Nor is the resolver's own address open to who connects there by itself.
    let own = format!("127.0.0.1:{v4}");
    equal(run_in(&session, &["ask", "tcp", &own])?.printed.as_str(), "EPERM")
}

/// A listener and a datagram socket on one port.
fn pair(ip: IpAddr) -> Result<(TcpListener, UdpSocket), Failed> {
    for _ in 0..32 {
        let tcp = TcpListener::bind((ip, 0))?;
        if let Ok(udp) = UdpSocket::bind(tcp.local_addr()?) {
            return Ok((tcp, udp));
        }
    }
    Err("no port is free for both".into())
}

pub(crate) fn allowed(protocol: u8, port: u16) -> Allowed {
    Allowed { protocol, ports: PortRange { low: port, high: port } }
}

pub(crate) fn start(session: &Session, words: &[&str]) -> Result<Child, Failed> {
    let _runtime = runtime().enter();
    Ok(session.spawn(&spec(actor::command(words)))?)
}

/// Lets a child that waits for a byte go on.
pub(crate) fn say(child: &mut Child) -> Result<(), Failed> {
    let input = child.stdin.as_mut().ok_or("the child has no input")?;
    Ok(runtime().block_on(input.write_all(b"g"))?)
}

/// The first letter of the next line that a child prints.
pub(crate) fn hear(child: &mut Child) -> Result<String, Failed> {
    let output = child.stdout.as_mut().ok_or("the child has no output")?;
    let mut letter = [0];
    runtime().block_on(async {
        output.read_exact(&mut letter).await?;
        while output.read_u8().await? != b'\n' {}
        io::Result::Ok(())
    })?;
    Ok(char::from(letter[0]).to_string())
}

fn echo(mut stream: TcpStream) {
    let mut byte = [0];
    while stream.read_exact(&mut byte).is_ok() && stream.write_all(&byte).is_ok() {}
}

/// Waits for a byte on standard input, connects and says so, waits for another, and sends.
fn hold(peer: &str) -> io::Result<()> {
    io::stdin().read_exact(&mut [0])?;
    let mut stream = TcpStream::connect(peer)?;
    println!("connected");
    io::stdout().flush()?;
    io::stdin().read_exact(&mut [0])?;
    stream.write_all(b"x")?;
    stream.read_exact(&mut [0])
}

/// Sends a byte and waits for it to come back, over UDP from the one that it was sent to.
fn ask(way: &str, server: &str) -> io::Result<()> {
    let patience = Some(Duration::from_secs(5));
    let server: SocketAddr = server.parse().map_err(io::Error::other)?;
    if way == "tcp" {
        let mut stream = TcpStream::connect_timeout(&server, Duration::from_secs(5))?;
        stream.set_read_timeout(patience)?;
        stream.write_all(b"x")?;
        return stream.read_exact(&mut [0]);
    }
    let any = if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any)?;
    socket.set_read_timeout(patience)?;
    if way == "udp" {
        socket.send_to(b"x", server)?;
    } else {
        socket.connect(server)?;
        socket.send(b"x")?;
    }
    let (_, from) = socket.recv_from(&mut [0])?;
    let seeming = from == server;
    seeming.then_some(()).ok_or_else(|| io::Error::other(format!("the answer came from {from}")))
}
