//! Sockets on loopback: the same port for UDP and TCP.

use std::io;
use std::net::{IpAddr, TcpListener, UdpSocket};

use nix::sys::socket::{setsockopt, sockopt};

/// How often another port is tried when the TCP one is taken.
const TRIES: usize = 32;

/// Bytes of queries that wait in the kernel: as many as a client can send before they are read.
const RECEIVE_BUFFER: usize = 4 << 20;

/// A UDP and a TCP socket on one port.
pub(super) struct Pair {
    pub(super) udp: tokio::net::UdpSocket,
    pub(super) tcp: tokio::net::TcpListener,
    pub(super) port: u16,
}

impl Pair {
    /// Binds both on `address`, at a port that the kernel chooses.
    pub(super) fn bind(address: IpAddr) -> io::Result<Self> {
        let mut last = io::Error::other("no port is free for both UDP and TCP");
        for _ in 0..TRIES {
            let udp = UdpSocket::bind((address, 0))?;
            let port = udp.local_addr()?.port();
            match TcpListener::bind((address, port)) {
                Ok(tcp) => return Self::adopt(udp, tcp, port),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => last = error,
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }

    fn adopt(udp: UdpSocket, tcp: TcpListener, port: u16) -> io::Result<Self> {
        udp.set_nonblocking(true)?;
        tcp.set_nonblocking(true)?;
        // Above the host's limit where that is allowed. With less, a burst loses packets, which
        // clients send again.
        if setsockopt(&udp, sockopt::RcvBufForce, &RECEIVE_BUFFER).is_err() {
            let _ = setsockopt(&udp, sockopt::RcvBuf, &RECEIVE_BUFFER);
        }
        let udp = tokio::net::UdpSocket::from_std(udp)?;
        Ok(Self { udp, tcp: tokio::net::TcpListener::from_std(tcp)?, port })
    }
}
