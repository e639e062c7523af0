//! Network attempts, and what the kernel answers to them.

use std::fmt;
use std::io::{self, ErrorKind, Read};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::str::FromStr;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, SockaddrIn, SockaddrIn6, SockaddrLike, connect,
    sendto, socket,
};

/// How long an attempt waits for its peer.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// The ways to reach a peer, each of which another kernel hook must see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// `connect` of a stream socket.
    Tcp,
    /// `sendto` of a datagram socket that is not connected.
    Udp,
    /// `connect` of a datagram socket, then `send`.
    UdpConnected,
}

impl Way {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Tcp, Self::Udp, Self::UdpConnected];
}

/// A way to a peer, written as `tcp 192.0.2.1:80`, `udp [::1]:53` or `udp-connected …`.
///
/// The address family of the socket is that of the address, so an IPv4-mapped address is tried
/// from an IPv6 socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// How.
    pub way: Way,
    /// Where to.
    pub address: SocketAddr,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let way = match self.way {
            Way::Tcp => "tcp",
            Way::Udp => "udp",
            Way::UdpConnected => "udp-connected",
        };
        write!(f, "{way} {}", self.address)
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (way, address) = text.split_once(' ').ok_or("not `WAY ADDRESS:PORT`")?;
        let way = match way {
            "tcp" => Way::Tcp,
            "udp" => Way::Udp,
            "udp-connected" => Way::UdpConnected,
            other => return Err(format!("`{other}` is not tcp, udp or udp-connected")),
        };
        let address = address.parse().map_err(|_| format!("`{address}` is not ADDRESS:PORT"))?;
        Ok(Self { way, address })
    }
}

/// Tries to reach a peer that answers everybody, such as [`crate::netns::Listeners`], and names
/// the outcome: `ok` when the peer answered, else the error's name (`EPERM`), or `no answer`.
pub fn attempt(target: Target) -> String {
    let tried = match target.way {
        Way::Tcp => tcp(target.address),
        Way::Udp | Way::UdpConnected => udp(target),
    };
    match tried {
        Ok(()) => "ok".to_owned(),
        Err(error) => name(&error),
    }
}

/// The kernel's name of an error, or what it means for an attempt.
pub fn name(error: &io::Error) -> String {
    match (error.raw_os_error(), error.kind()) {
        (Some(number), _) if number == Errno::EAGAIN as i32 => "no answer".to_owned(),
        (Some(number), _) => format!("{:?}", Errno::from_raw(number)),
        (None, ErrorKind::TimedOut | ErrorKind::WouldBlock | ErrorKind::UnexpectedEof) => {
            "no answer".to_owned()
        }
        (None, kind) => format!("{kind:?}"),
    }
}

fn tcp(address: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.read_exact(&mut [0])
}

fn udp(target: Target) -> io::Result<()> {
    let socket = match target.way {
        Way::UdpConnected => {
            let socket = connected(target.address)?;
            socket.send(b"?")?;
            socket
        }
        _ => send_datagram(target.address, b"?")?,
    };
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.recv(&mut [0]).map(|_| ())
}

/// Sends a datagram from a socket that is neither bound nor connected, and returns the socket.
pub fn send_datagram(to: SocketAddr, bytes: &[u8]) -> io::Result<UdpSocket> {
    let fd = datagram_socket(to)?;
    with_address(to, |to| sendto(fd.as_raw_fd(), bytes, to, MsgFlags::empty()))?;
    Ok(UdpSocket::from(fd))
}

/// A datagram socket that is connected and was not bound before.
pub fn connected(peer: SocketAddr) -> io::Result<UdpSocket> {
    let fd = datagram_socket(peer)?;
    with_address(peer, |to| connect(fd.as_raw_fd(), to))?;
    Ok(UdpSocket::from(fd))
}

/// A socket that is not bound: `UdpSocket::bind` would be one system call more to be judged.
fn datagram_socket(peer: SocketAddr) -> io::Result<OwnedFd> {
    let family = match peer {
        SocketAddr::V4(_) => AddressFamily::Inet,
        SocketAddr::V6(_) => AddressFamily::Inet6,
    };
    Ok(socket(family, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?)
}

fn with_address<T>(
    address: SocketAddr,
    act: impl FnOnce(&dyn SockaddrLike) -> nix::Result<T>,
) -> nix::Result<T> {
    match address {
        SocketAddr::V4(v4) => act(&SockaddrIn::from(v4)),
        SocketAddr::V6(v6) => act(&SockaddrIn6::from(v6)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read_as_they_are_written() {
        for text in ["tcp 192.0.2.1:80", "udp [::1]:53", "udp-connected [::ffff:192.0.2.1]:1"] {
            let target: Target = text.parse().expect("a target");
            assert_eq!(target.to_string(), text);
        }
        assert!("icmp 192.0.2.1:80".parse::<Target>().is_err());
        assert!("tcp localhost:80".parse::<Target>().is_err());
    }

    #[test]
    fn a_closed_port_is_told_from_an_open_one() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
        let address = listener.local_addr().expect("an address");
        let answer = std::thread::spawn(move || {
            use std::io::Write;
            let (mut stream, _) = listener.accept().expect("a connection");
            stream.write_all(b"x").expect("written");
        });
        assert_eq!(attempt(Target { way: Way::Tcp, address }), "ok");
        answer.join().expect("answered");
        assert_eq!(attempt(Target { way: Way::Tcp, address }), "ECONNREFUSED");
    }
}
