//! The `network` of a policy, compiled: what a server may reach by address and by name, and where it
//! may be reached itself.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use super::names::Names;
use super::network::{self, Allowed, PortRange, Protocol, Rule, TCP, Table, UDP, merge};
use crate::config::{ListenRule, NetworkProtocol, NetworkSection, Problem};

/// Name servers that may be listed.
const MAX_RESOLVERS: usize = 8;

/// The longest path that a Unix socket can have, in bytes: `sun_path` without the zero at its end
/// (unix(7)).
const MAX_SOCKET_PATH: usize = 107;

/// What a server may reach beside addresses, and be reached on.
#[derive(Debug, Clone, Default)]
pub struct Reach {
    /// Names that it may resolve.
    pub names: Arc<Names>,
    /// Name servers that are asked for them; empty means those of the host.
    pub resolvers: Vec<SocketAddr>,
    /// Ports that it may bind and be reached on, sorted and without overlap.
    pub listen: Vec<Allowed>,
    /// Unix sockets that it may connect to: absolute paths without `.`, `..`, double slashes and
    /// wildcards, as the policy wrote them.
    pub unix_sockets: Vec<PathBuf>,
    /// Every Unix socket with a path may be connected to.
    pub any_unix_socket: bool,
}

impl Reach {
    /// Validates the section; `table` holds its rules by address.
    pub(super) fn compile(section: &NetworkSection, table: &Table) -> Result<Self, Problem> {
        let at = |list: &str, index: usize| format!("network.{list}[{index}]");
        if section.resolvers.len() > MAX_RESOLVERS {
            let message = format!("at most {MAX_RESOLVERS} resolvers; remove some");
            return Err(Problem::new("network.resolvers", message));
        }
        let resolvers = section.resolvers.iter().enumerate().map(|(index, text)| {
            resolver(text).map_err(|why| Problem::new(at("resolvers", index), why))
        });
        let unix_sockets = section.unix.iter().enumerate().map(|(index, path)| {
            check_socket(path).map_err(|why| Problem::new(at("unix", index), why))?;
            Ok(PathBuf::from(path))
        });
        let mut listen = Vec::new();
        for (index, ListenRule { port, protocol }) in section.listen.iter().enumerate() {
            if *port == 0 {
                let message = "a port is a number from 1 to 65535; one that the kernel chooses \
                               cannot be listed";
                return Err(Problem::new(format!("{}.port", at("listen", index)), message));
            }
            listen.extend(ports(&[*port], *protocol));
        }
        Ok(Self {
            names: Arc::new(Names::compile(&section.allow, table.clone())?),
            resolvers: resolvers.collect::<Result<_, _>>()?,
            listen: merge(listen.into_iter()),
            unix_sockets: unix_sockets.collect::<Result<_, Problem>>()?,
            any_unix_socket: false,
        })
    }

    /// Whether the server may connect to any Unix socket.
    pub fn has_unix_sockets(&self) -> bool {
        self.any_unix_socket || !self.unix_sockets.is_empty()
    }

    /// Whether the server may bind a port and be reached on it. Only TCP and UDP can be listed.
    pub fn may_listen(&self, protocol: Protocol, port: u16) -> bool {
        let number = match protocol {
            Protocol::Tcp => TCP,
            Protocol::Udp => UDP,
            Protocol::Other(_) => return false,
        };
        let covers = |a: &Allowed| (a.ports.low..=a.ports.high).contains(&port);
        self.listen.iter().any(|a| a.protocol == number && covers(a))
    }
}

/// The table of the rules by address. Every rule must have `cidr` or `host`, and not both.
pub(super) fn table(section: &NetworkSection) -> Result<Table, Problem> {
    let mut rules = Vec::new();
    for (index, rule) in section.allow.iter().enumerate() {
        let key = format!("network.allow[{index}]");
        match (rule.cidr, &rule.host) {
            (Some(net), None) => rules.push(Rule {
                net,
                ports: rule.ports.iter().map(|port| single(*port)).collect(),
                protocol: rule.protocol.map(Protocol::from),
            }),
            (None, Some(_)) => {}
            (None, None) => {
                let message = "a rule needs `cidr: ADDRESSES` or `host: NAME`";
                return Err(Problem::new(key, message));
            }
            (Some(_), Some(_)) => {
                let message = "a rule has `cidr` or `host`; write two rules";
                return Err(Problem::new(format!("{key}.host"), message));
            }
        }
    }
    network::compile(&rules).map_err(|e| Problem::new("network.allow", e.to_string()))
}

/// What ports as written open: every one when there is none, over both protocols when none is
/// named.
pub(super) fn ports(list: &[u16], protocol: Option<NetworkProtocol>) -> Vec<Allowed> {
    let protocols: &[u8] = match protocol {
        None => &[TCP, UDP],
        Some(NetworkProtocol::Tcp) => &[TCP],
        Some(NetworkProtocol::Udp) => &[UDP],
    };
    let ranges = match list {
        [] => vec![PortRange::ALL],
        list => list.iter().map(|port| single(*port)).collect(),
    };
    let each = |protocol: &u8| {
        let protocol = *protocol;
        ranges.iter().map(move |&ports| Allowed { protocol, ports }).collect::<Vec<_>>()
    };
    merge(protocols.iter().flat_map(each))
}

const fn single(port: u16) -> PortRange {
    PortRange { low: port, high: port }
}

impl From<NetworkProtocol> for Protocol {
    fn from(protocol: NetworkProtocol) -> Self {
        match protocol {
            NetworkProtocol::Tcp => Self::Tcp,
            NetworkProtocol::Udp => Self::Udp,
        }
    }
}

/// Reads `ADDRESS`, `ADDRESS:PORT` or `[ADDRESS]:PORT`.
fn resolver(text: &str) -> Result<SocketAddr, String> {
    let address = text
        .parse::<SocketAddr>()
        .or_else(|_| text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 53)))
        .map_err(|_| {
            let text = text.escape_debug();
            format!("`{text}` is not ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT; write an address")
        })?;
    let ip = address.ip();
    if ip.is_unspecified() || ip.is_multicast() || address.port() == 0 {
        return Err(format!("{text} is no name server's address and port; correct it"));
    }
    Ok(address)
}

/// Says what is wrong with the path of a Unix socket.
fn check_socket(path: &str) -> Result<(), String> {
    let shown = path.escape_debug();
    let why = if path.starts_with('@') {
        "is an abstract socket, which anybody may bind; only sockets with a path can be listed"
    } else if !path.starts_with('/') {
        "is not absolute; write the whole path, such as /run/postgresql/.s.PGSQL.5432"
    } else if path.contains(['*', '?', '[', '{']) {
        "has a wildcard; list the sockets one by one"
    } else if path.chars().any(char::is_control) {
        "has a control character"
    } else if path.len() > MAX_SOCKET_PATH {
        "is longer than 107 bytes, which no socket's path can be"
    } else if path.split('/').skip(1).any(|part| matches!(part, "" | "." | "..")) {
        "has `.`, `..`, `//` or a slash at its end; write the plain path"
    } else {
        return Ok(());
    };
    Err(format!("`{shown}` {why}"))
}

#[cfg(test)]
#[path = "reach_tests.rs"]
mod tests;
