//! Questions to name servers by every way, and from where their answers seem to come.

use std::fmt;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};

use anyhow::Context;

use crate::dns::{self, Answer};
use crate::nameserver::read_message;
use crate::probe::{self, PATIENCE, Target, Way};

/// What was heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// From where the answer came (recvfrom(2)); for TCP, whom the socket is connected to.
    pub from: SocketAddr,
    /// Whom the socket is connected to (getpeername(2)).
    pub peer: Option<SocketAddr>,
    /// What was said.
    pub answer: Answer,
}

impl fmt::Display for Heard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, peer, answer } = self;
        match peer {
            Some(peer) => write!(f, "from {from} peer {peer} {answer}"),
            None => write!(f, "from {from} {answer}"),
        }
    }
}

/// Asks a name server for a name's addresses of one kind.
pub fn ask(server: Target, name: &str, kind: u16) -> anyhow::Result<Heard> {
    let question = dns::ask(name, kind);
    if server.way == Way::Tcp {
        let mut stream = TcpStream::connect_timeout(&server.address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        // One packet, so that a filter that looks at the first has it all.
        let length = u16::try_from(question.len())?.to_be_bytes();
        stream.write_all(&[&length, question.as_slice()].concat())?;
        let answer = Answer::read(&read_message(&mut stream)?)?;
        let peer = stream.peer_addr()?;
        return Ok(Heard { from: peer, peer: Some(peer), answer });
    }
    let socket = if server.way == Way::Udp {
        probe::send_datagram(server.address, &question)?
    } else {
        let socket = probe::connected(server.address)?;
        socket.send(&question)?;
        socket
    };
    socket.set_read_timeout(Some(PATIENCE))?;
    let mut buffer = [0; 4096];
    let (length, from) = socket.recv_from(&mut buffer)?;
    let answer = Answer::read(buffer.get(..length).context("too long")?)?;
    Ok(Heard { from, peer: socket.peer_addr().ok(), answer })
}
