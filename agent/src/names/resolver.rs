//! The resolver of one session while it runs.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use tokio::task::JoinSet;

use super::engine::Engine;
use super::listen::Pair;
use super::{AddressBook, Refusal, Upstream, tcp, udp};
use crate::policy::Names;

/// A resolver on loopback, stopped when dropped.
pub struct Resolver {
    engine: Arc<Engine>,
    v4_port: u16,
    v6_port: Option<u16>,
    /// Aborted when dropped, and with them what they have started.
    _tasks: JoinSet<()>,
}

impl Resolver {
    /// Starts a resolver for `names` on 127.0.0.1, and on `::1` where IPv6 exists, each at a port
    /// that the kernel chooses. Needs a tokio runtime.
    pub fn start(
        names: Arc<Names>,
        upstream: Upstream,
        book: Arc<dyn AddressBook>,
    ) -> io::Result<Self> {
        let engine = Arc::new(Engine::new(names, upstream, book));
        let v4 = Pair::bind(IpAddr::V4(Ipv4Addr::LOCALHOST))?;
        let v6 = match Pair::bind(IpAddr::V6(Ipv6Addr::LOCALHOST)) {
            Ok(pair) => Some(pair),
            Err(error) if has_no_ipv6(&error) => None,
            Err(error) => return Err(error),
        };
        let (v4_port, v6_port) = (v4.port, v6.as_ref().map(|pair| pair.port));
        let mut tasks = JoinSet::new();
        for pair in [Some(v4), v6].into_iter().flatten() {
            tasks.spawn(udp::serve(pair.udp, Arc::clone(&engine)));
            tasks.spawn(tcp::serve(pair.tcp, Arc::clone(&engine)));
        }
        Ok(Self { engine, v4_port, v6_port, _tasks: tasks })
    }

    /// Answers by these names from now on. What was found by the others is open when this returns, or will not be.
    pub fn renew(&self, names: Arc<Names>, upstream: Upstream) {
        self.engine.renew(names, upstream);
    }

    /// Its port on 127.0.0.1, for UDP and for TCP.
    pub fn v4_port(&self) -> u16 {
        self.v4_port
    }

    /// Its port on `::1`, for UDP and for TCP; `None` on a host without IPv6.
    pub fn v6_port(&self) -> Option<u16> {
        self.v6_port
    }

    /// Whether this is where the resolver itself listens.
    pub fn is_at(&self, address: SocketAddr) -> bool {
        match address.ip().to_canonical() {
            IpAddr::V4(ip) => ip == Ipv4Addr::LOCALHOST && address.port() == self.v4_port,
            IpAddr::V6(ip) => ip == Ipv6Addr::LOCALHOST && Some(address.port()) == self.v6_port,
        }
    }

    /// The names that have led to an address in this session, in the form in which policy judges
    /// them. Known before the client knows the address.
    pub fn names_of(&self, address: IpAddr) -> Vec<String> {
        self.engine.names_of(address)
    }

    /// What was refused since the last time, bounded: a name that is asked for again and again comes
    /// when its count has doubled.
    pub fn refused(&self) -> Vec<Refusal> {
        self.engine.ledger.take(false)
    }

    /// What was refused and has not been told with its last count, for the end of a session.
    pub fn refused_to_the_end(&self) -> Vec<Refusal> {
        self.engine.ledger.take(true)
    }
}

/// Whether a host without IPv6 gives this error for `::1`.
fn has_no_ipv6(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable
        || error.raw_os_error() == Some(libc::EAFNOSUPPORT)
}
