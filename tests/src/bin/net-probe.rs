//! Both ends of a network attempt, to be run inside a network namespace.
//!
//! `net-probe listen ADDRESS:PORT…` answers every TCP connection and every datagram on these
//! addresses, prints `ready` when it can, and a line `tcp ADDRESS:PORT` or `udp ADDRESS:PORT` for
//! each answer. `net-probe try TARGET…` tries each target (`"tcp 192.0.2.1:80"`) and prints a line
//! `TARGET OUTCOME`.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "its output is its result")]

use std::env;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;

use anyhow::{Context, bail};
use warrantd_tests::probe::{PATIENCE, Target, attempt};

/// An HTTP response, so that HTTP clients are content as well.
const ANSWER: &[u8] = b"HTTP/1.0 200 OK\r\nContent-Length: 14\r\n\r\nreached a peer";

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.split_first().map(|(mode, rest)| (mode.as_str(), rest)) {
        Some(("listen", addresses)) if !addresses.is_empty() => listen(addresses),
        Some(("try", targets)) => {
            for target in targets {
                let target: Target = target.parse().map_err(anyhow::Error::msg)?;
                println!("{target} {}", attempt(target));
            }
            Ok(())
        }
        _ => bail!("usage: net-probe listen ADDRESS:PORT… | net-probe try TARGET…"),
    }
}

fn listen(addresses: &[String]) -> anyhow::Result<()> {
    let mut answering = Vec::new();
    for address in addresses {
        let address: SocketAddr = address.parse().with_context(|| format!("`{address}`"))?;
        let tcp = TcpListener::bind(address).with_context(|| format!("tcp {address}"))?;
        let udp = UdpSocket::bind(address).with_context(|| format!("udp {address}"))?;
        answering.push(thread::spawn(move || {
            for stream in tcp.incoming() {
                println!("tcp {address}");
                if let Ok(stream) = stream {
                    thread::spawn(move || answer(stream));
                }
            }
        }));
        answering.push(thread::spawn(move || {
            let mut datagram = [0; 2048];
            while let Ok((_, client)) = udp.recv_from(&mut datagram) {
                println!("udp {address}");
                let _ = udp.send_to(b"reached a peer", client);
            }
        }));
    }
    println!("ready");
    for thread in answering {
        let _ = thread.join();
    }
    Ok(())
}

/// Answers without waiting for a question. What the client sends is read, because closing a socket
/// with unread bytes would reset the connection under the answer.
fn answer(mut stream: TcpStream) -> io::Result<()> {
    stream.write_all(ANSWER)?;
    stream.shutdown(Shutdown::Write)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    while stream.read(&mut [0; 512])? > 0 {}
    Ok(())
}
