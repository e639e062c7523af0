//! Peers that a session may reach at the moment, for people.
#![forbid(unsafe_code)]

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::policy::network::{Allowed, PortRange, Table, unmapped};

/// Addresses that are open, and on which ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenPeer {
    net: IpNet,
    allowed: Vec<Allowed>,
    /// The names that led there; none when policy lists the addresses.
    names: Vec<String>,
}

impl OpenPeer {
    /// What a table opens.
    pub(super) fn of_table(table: &Table) -> impl Iterator<Item = Self> {
        let open = table.entries().iter().filter(|entry| !entry.allowed.is_empty());
        open.map(|entry| Self {
            net: unmapped(entry.net),
            allowed: entry.allowed.clone(),
            names: Vec::new(),
        })
    }

    /// An address that names have opened.
    pub(super) fn named(address: IpAddr, names: Vec<String>, allowed: Vec<Allowed>) -> Self {
        Self { net: address.to_canonical().into(), allowed, names }
    }
}

/// `192.0.2.1 tcp/443 (api.example.com)`.
impl fmt::Display for OpenPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.net.prefix_len() == self.net.max_prefix_len() {
            write!(f, "{}", self.net.addr())?;
        } else {
            write!(f, "{}", self.net)?;
        }
        for allowed in &self.allowed {
            let protocol = if allowed.protocol == 6 { "tcp" } else { "udp" };
            write!(f, " {protocol}")?;
            match allowed.ports {
                PortRange::ALL => {}
                PortRange { low, high } if low == high => write!(f, "/{low}")?,
                PortRange { low, high } => write!(f, "/{low}-{high}")?,
            }
        }
        match self.names.split_first() {
            None => Ok(()),
            Some((name, [])) => write!(f, " ({name})"),
            Some((name, more)) => write!(f, " ({name} and {} names more)", more.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::network::{Protocol, Rule, compile};

    #[test]
    fn a_table_is_told_as_it_is_written() {
        let rule = |net: &str, ports: Vec<PortRange>, protocol| Rule {
            net: net.parse().expect("a net"),
            ports,
            protocol,
        };
        let https = PortRange { low: 443, high: 443 };
        let range = PortRange { low: 8000, high: 8010 };
        let rules = [
            rule("192.0.2.1/32", vec![https], Some(Protocol::Tcp)),
            rule("10.1.0.0/16", vec![https, range], Some(Protocol::Tcp)),
            rule("2001:db8::7/128", Vec::new(), None),
        ];
        let table = compile(&rules).expect("compiles");
        let told: Vec<_> = OpenPeer::of_table(&table).map(|peer| peer.to_string()).collect();
        let expected =
            ["10.1.0.0/16 tcp/443 tcp/8000-8010", "192.0.2.1 tcp/443", "2001:db8::7 tcp udp"];
        assert_eq!(told, expected);
        assert_eq!(OpenPeer::of_table(&Table::default()).count(), 0);
    }

    #[test]
    fn names_are_told_with_their_address() {
        let https = Allowed { protocol: 6, ports: PortRange { low: 443, high: 443 } };
        let mapped = "::ffff:192.0.2.1".parse().expect("an address");
        let one = OpenPeer::named(mapped, vec!["a.example".into()], vec![https]);
        assert_eq!(one.to_string(), "192.0.2.1 tcp/443 (a.example)");
        let two = vec!["a.example".into(), "b.example".into()];
        let two = OpenPeer::named(mapped, two, vec![https]);
        assert_eq!(two.to_string(), "192.0.2.1 tcp/443 (a.example and 1 names more)");
    }
}
