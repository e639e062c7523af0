//! Both ends of a network attempt, to be run inside a network namespace.
//!
//! `net-probe listen ANSWER ADDRESS:PORT…` answers every TCP connection (as HTTP) and every datagram
//! on these addresses with a text, prints `ready` when it can, and a line `tcp ADDRESS:PORT` or `udp ADDRESS:PORT` for
//! each answer. `net-probe try TARGET…` tries each target (`"tcp 192.0.2.1:80"`) and prints a line
//! `TARGET OUTCOME`. `net-probe ask TARGET NAME…` asks a name server for the addresses of names, IPv4 ones
//! and for a name after a colon (`:NAME`) IPv6 ones, and prints a line `NAME from ADDRESS:PORT …` or
//! `NAME failed WHY` for each.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "its output is its result")]

use std::env;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;

use anyhow::{Context, bail};
use warrantd_tests::asker::ask;
use warrantd_tests::dns::{A, AAAA};
use warrantd_tests::probe::{PATIENCE, Target, attempt};

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.split_first().map(|(mode, rest)| (mode.as_str(), rest)) {
        Some(("listen", [answer, addresses @ ..])) if !addresses.is_empty() => {
            listen(answer, addresses)
        }
        Some(("try", targets)) => {
            for target in targets {
                let target: Target = target.parse().map_err(anyhow::Error::msg)?;
                println!("{target} {}", attempt(target));
            }
            Ok(())
        }
        Some(("ask", [server, names @ ..])) => {
            let server: Target = server.parse().map_err(anyhow::Error::msg)?;
            for word in names {
                let (kind, name) = word.strip_prefix(':').map_or((A, &**word), |name| (AAAA, name));
                match ask(server, name, kind) {
                    Ok(heard) => println!("{name} {heard}"),
                    Err(error) => println!("{name} failed {error}"),
                }
            }
            Ok(())
        }
        _ => bail!("usage: net-probe listen ANSWER ADDRESS:PORT… | try TARGET… | ask TARGET NAME…"),
    }
}

fn listen(text: &str, addresses: &[String]) -> anyhow::Result<()> {
    let mut answering = Vec::new();
    for address in addresses {
        let address: SocketAddr = address.parse().with_context(|| format!("`{address}`"))?;
        let tcp = TcpListener::bind(address).with_context(|| format!("tcp {address}"))?;
        let udp = UdpSocket::bind(address).with_context(|| format!("udp {address}"))?;
        let response = format!("HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len());
        let text = text.to_owned();
        answering.push(thread::spawn(move || {
            for stream in tcp.incoming() {
                println!("tcp {address}");
                if let Ok(stream) = stream {
                    let response = response.clone();
                    thread::spawn(move || answer(stream, &response));
                }
            }
        }));
        answering.push(thread::spawn(move || {
            let mut datagram = [0; 2048];
            while let Ok((_, client)) = udp.recv_from(&mut datagram) {
                println!("udp {address}");
                let _ = udp.send_to(text.as_bytes(), client);
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
fn answer(mut stream: TcpStream, response: &str) -> io::Result<()> {
    stream.write_all(response.as_bytes())?;
    stream.shutdown(Shutdown::Write)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    while stream.read(&mut [0; 512])? > 0 {}
    Ok(())
}
