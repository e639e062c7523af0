//! Network rules: from what a policy lists to the table that the kernel looks addresses up in.
//!
//! Everything is denied unless a rule covers it. Two kinds of address stay closed even then:
//! - *special ranges* (private, loopback, link-local, reserved, …) open only to a rule whose prefix
//!   lies inside the range: `0.0.0.0/0` does not open `10.0.0.0/8`, `10.1.0.0/16` opens itself;
//! - *metadata services* open only to a rule that names exactly that address.
//!
//! The kernel returns the longest matching prefix alone, so [`compile`] gives every prefix the ports
//! of all rules that cover it.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How many port ranges one prefix can hold; the kernel searches them one by one.
pub const MAX_PORTS: usize = 16;

/// A transport protocol, by its IP protocol number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// TCP, and MPTCP which carries it.
    Tcp,
    /// UDP.
    Udp,
    /// Any other, by IP protocol number.
    Other(u8),
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp => f.write_str("tcp"),
            Self::Udp => f.write_str("udp"),
            Self::Other(number) => write!(f, "protocol {number}"),
        }
    }
}

/// One line of a policy's `network.allow`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The addresses that may be reached.
    pub net: IpNet,
    /// The ports that may be reached; empty means every port.
    pub ports: Vec<PortRange>,
    /// The protocol; `None` means TCP and UDP. No other protocol can be allowed.
    pub protocol: Option<Protocol>,
}

/// Ports from `low` to `high`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortRange {
    /// First port.
    pub low: u16,
    /// Last port.
    pub high: u16,
}

impl PortRange {
    /// Every port.
    pub const ALL: Self = Self { low: 0, high: u16::MAX };
}

/// A protocol and ports that an entry allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Allowed {
    /// IP protocol number: 6 (TCP) or 17 (UDP).
    pub protocol: u8,
    /// The ports.
    pub ports: PortRange,
}

impl Allowed {
    /// Whether a port is among them.
    pub fn covers(&self, protocol: Protocol, port: u16) -> bool {
        let number = match protocol {
            Protocol::Tcp => TCP,
            Protocol::Udp => UDP,
            Protocol::Other(_) => return false,
        };
        self.protocol == number && (self.ports.low..=self.ports.high).contains(&port)
    }
}

/// One prefix of the table, with everything that may be reached under it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The prefix; IPv4 as `::ffff:a.b.c.d/96+n`.
    pub net: Ipv6Net,
    /// What is allowed, sorted and without overlap; empty is an explicit deny.
    pub allowed: Vec<Allowed>,
}

/// A compiled set of rules. The empty table denies everything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Table {
    entries: Vec<Entry>,
}

/// Why rules do not compile.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NetworkError {
    /// The range is written backwards.
    #[error("ports {low}-{high} of {net} run backwards: write the lower port first")]
    BackwardPorts {
        /// The rule's addresses.
        net: IpNet,
        /// The port written first.
        low: u16,
        /// The port written last.
        high: u16,
    },
    /// Only TCP and UDP reach the kernel's connect and send hooks.
    #[error("protocol {number} of {net} cannot be allowed: only tcp and udp can")]
    Protocol {
        /// The rule's addresses.
        net: IpNet,
        /// The IP protocol number.
        number: u8,
    },
    /// NAT64 and 6to4 addresses are judged by the IPv4 address inside them.
    #[error("{net} embeds IPv4 addresses: list the IPv4 address or prefix instead")]
    Embedded {
        /// The rule's addresses.
        net: IpNet,
    },
    /// The kernel's table holds a bounded number of ranges for each prefix.
    #[error(
        "{net} collects {count} port ranges from the rules that cover it, {MAX_PORTS} fit: merge neighbouring ports into ranges"
    )]
    TooManyPorts {
        /// The prefix that collects too many.
        net: IpNet,
        /// How many it collects.
        count: usize,
    },
}

/// IPv4 ranges that only a rule inside them opens (RFC 6890 and its registry).
const SPECIAL_V4: [(Ipv4Addr, u8); 17] = [
    (Ipv4Addr::UNSPECIFIED, 8),      // "this host": Linux connects to itself
    (Ipv4Addr::new(10, 0, 0, 0), 8), // private
    (Ipv4Addr::new(100, 64, 0, 0), 10), // carrier-grade NAT
    (Ipv4Addr::new(127, 0, 0, 0), 8), // loopback
    (Ipv4Addr::new(169, 254, 0, 0), 16), // link-local
    (Ipv4Addr::new(172, 16, 0, 0), 12), // private
    (Ipv4Addr::new(192, 0, 0, 0), 24), // IETF protocol assignments
    (Ipv4Addr::new(192, 0, 2, 0), 24), // documentation
    (Ipv4Addr::new(192, 31, 196, 0), 24), // AS112
    (Ipv4Addr::new(192, 52, 193, 0), 24), // AMT
    (Ipv4Addr::new(192, 88, 99, 0), 24), // 6to4 relays
    (Ipv4Addr::new(192, 168, 0, 0), 16), // private
    (Ipv4Addr::new(198, 18, 0, 0), 15), // benchmarking
    (Ipv4Addr::new(198, 51, 100, 0), 24), // documentation
    (Ipv4Addr::new(203, 0, 113, 0), 24), // documentation
    (Ipv4Addr::new(224, 0, 0, 0), 4), // multicast
    (Ipv4Addr::new(240, 0, 0, 0), 4), // reserved, and broadcast
];

/// IPv6 ranges that only a rule inside them opens. `::/8` holds the unspecified address, loopback and
/// the mapped, translated and compatible forms of IPv4.
const SPECIAL_V6: [(Ipv6Addr, u8); 13] = [
    (Ipv6Addr::UNSPECIFIED, 8),
    (Ipv6Addr::new(0x0064, 0xff9b, 0, 0, 0, 0, 0, 0), 96), // NAT64
    (Ipv6Addr::new(0x0064, 0xff9b, 1, 0, 0, 0, 0, 0), 48), // local NAT64
    (Ipv6Addr::new(0x0100, 0, 0, 0, 0, 0, 0, 0), 64),      // discard
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),      // protocol assignments, Teredo
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),  // documentation
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),      // 6to4
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),      // documentation
    (Ipv6Addr::new(0x5f00, 0, 0, 0, 0, 0, 0, 0), 16),      // segment routing
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7),       // unique local
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10),      // link-local
    (Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0), 10),      // site-local
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8),       // multicast
];

/// Addresses at which clouds hand out credentials to whoever asks.
const METADATA: [IpAddr; 5] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x254)),
];

pub(super) const TCP: u8 = 6;
pub(super) const UDP: u8 = 17;

/// Compiles rules to the table the kernel uses.
pub fn compile(rules: &[Rule]) -> Result<Table, NetworkError> {
    let rules = rules.iter().map(Grant::new).collect::<Result<Vec<_>, _>>()?;
    let special = special_ranges();
    let metadata = METADATA.map(|address| host(mapped(address)));

    // An address's covering prefixes depend on its longest match alone once every prefix that
    // matters stands in the table.
    let mut table: BTreeMap<Ipv6Net, Vec<Allowed>> = BTreeMap::new();
    for net in rules.iter().map(|rule| rule.net).chain(special.iter().copied()).chain(metadata) {
        table.entry(net).or_default();
    }
    for (net, allowed) in &mut table {
        let exact = metadata.contains(net);
        let walls: Vec<_> = special.iter().filter(|wall| wall.contains(net)).collect();
        let opens = |rule: &Grant| {
            rule.net.contains(net)
                && walls.iter().all(|wall| wall.contains(&rule.net))
                && (!exact || rule.net == *net)
        };
        *allowed = merge(
            rules.iter().filter(|rule| opens(rule)).flat_map(|rule| rule.allowed.iter().copied()),
        );
        if allowed.len() > MAX_PORTS {
            return Err(NetworkError::TooManyPorts { net: unmapped(*net), count: allowed.len() });
        }
    }
    Ok(Table { entries: prune(table) })
}

impl Table {
    /// The prefixes, sorted by address and then by length.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Whether a packet or connection to `ip` may leave: the kernel's look-up, as a reference.
    /// IPv4-mapped, NAT64 and 6to4 addresses are judged by the IPv4 address they carry.
    pub fn lookup(&self, ip: IpAddr, protocol: Protocol, port: u16) -> bool {
        let number = match protocol {
            Protocol::Tcp => TCP,
            Protocol::Udp => UDP,
            Protocol::Other(_) => return false,
        };
        self.entry(ip).is_some_and(|entry| entry.allows(number, port))
    }

    /// Everything that may be reached at `ip`, looked up as in [`Self::lookup`].
    pub fn allowed(&self, ip: IpAddr) -> &[Allowed] {
        self.entry(ip).map_or(&[], |entry| &entry.allowed)
    }

    /// The table of these prefixes, sorted and pruned.
    pub(super) fn from_entries(entries: Vec<Entry>) -> Self {
        Self { entries }
    }

    /// What is allowed in all of a prefix, leaving aside longer ones inside it.
    pub(super) fn allowed_under(&self, net: Ipv6Net) -> &[Allowed] {
        let around = self.entries.iter().filter(|entry| entry.net.contains(&net));
        around.max_by_key(|entry| entry.net.prefix_len()).map_or(&[], |entry| &entry.allowed)
    }

    fn entry(&self, ip: IpAddr) -> Option<&Entry> {
        let address = normalise(ip);
        self.entries
            .iter()
            .filter(|entry| entry.net.contains(&address))
            .max_by_key(|entry| entry.net.prefix_len())
    }
}

impl Entry {
    fn allows(&self, protocol: u8, port: u16) -> bool {
        self.allowed.iter().any(|allowed| {
            allowed.protocol == protocol && (allowed.ports.low..=allowed.ports.high).contains(&port)
        })
    }
}

/// A rule in the form of the table.
struct Grant {
    net: Ipv6Net,
    allowed: Vec<Allowed>,
}

impl Grant {
    fn new(rule: &Rule) -> Result<Self, NetworkError> {
        let net = rule.net.trunc();
        let protocols: &[u8] = match rule.protocol {
            None => &[TCP, UDP],
            Some(Protocol::Tcp) => &[TCP],
            Some(Protocol::Udp) => &[UDP],
            Some(Protocol::Other(number)) => return Err(NetworkError::Protocol { net, number }),
        };
        if let Some(&PortRange { low, high }) =
            rule.ports.iter().find(|range| range.low > range.high)
        {
            return Err(NetworkError::BackwardPorts { net, low, high });
        }
        if let IpNet::V6(v6) = net
            && [prefix(SPECIAL_V6[1]), prefix(SPECIAL_V6[6])]
                .iter()
                .any(|range| range.contains(&v6))
        {
            return Err(NetworkError::Embedded { net });
        }
        let ports = if rule.ports.is_empty() { &[PortRange::ALL][..] } else { &rule.ports };
        let allowed = protocols
            .iter()
            .flat_map(|&protocol| ports.iter().map(move |&ports| Allowed { protocol, ports }))
            .collect();
        Ok(Self { net: mapped_net(net), allowed })
    }
}

/// Sorts, and joins ranges that touch or overlap.
pub(crate) fn merge(allowed: impl Iterator<Item = Allowed>) -> Vec<Allowed> {
    let mut sorted: Vec<_> = allowed.collect();
    sorted.sort_unstable();
    let mut merged: Vec<Allowed> = Vec::new();
    for next in sorted {
        match merged.last_mut() {
            Some(last)
                if last.protocol == next.protocol
                    && u32::from(next.ports.low) <= u32::from(last.ports.high) + 1 =>
            {
                last.ports.high = last.ports.high.max(next.ports.high);
            }
            _ => merged.push(next),
        }
    }
    merged
}

/// Leaves out entries that say what the next shorter prefix says already.
pub(super) fn prune(table: BTreeMap<Ipv6Net, Vec<Allowed>>) -> Vec<Entry> {
    let mut kept: Vec<Entry> = Vec::new();
    // A prefix sorts before those inside it, so the last kept one that contains it is its parent.
    for (net, allowed) in table {
        let parent = kept.iter().rev().find(|entry| entry.net.contains(&net));
        if parent.map_or(&[][..], |entry| &entry.allowed) != allowed {
            kept.push(Entry { net, allowed });
        }
    }
    kept
}

/// The address under which the kernel looks `ip` up: IPv4 for IPv4-mapped, NAT64 and 6to4 ones.
pub fn looked_up_as(ip: IpAddr) -> IpAddr {
    IpAddr::V6(normalise(ip)).to_canonical()
}

/// The address under which the table is searched.
fn normalise(ip: IpAddr) -> Ipv6Addr {
    let address = mapped(ip);
    let octets = address.octets();
    let embedded = if prefix(SPECIAL_V6[1]).contains(&address) {
        [octets[12], octets[13], octets[14], octets[15]]
    } else if prefix(SPECIAL_V6[6]).contains(&address) {
        [octets[2], octets[3], octets[4], octets[5]]
    } else {
        return address;
    };
    Ipv4Addr::from(embedded).to_ipv6_mapped()
}

fn special_ranges() -> Vec<Ipv6Net> {
    let v4 =
        SPECIAL_V4.iter().map(|&(address, length)| assume(address.to_ipv6_mapped(), length + 96));
    // All of IPv4 lives in one special IPv6 range, which only IPv4 rules are inside of.
    v4.chain(SPECIAL_V6.into_iter().map(prefix))
        .chain([assume(Ipv4Addr::UNSPECIFIED.to_ipv6_mapped(), 96)])
        .collect()
}

fn mapped(ip: IpAddr) -> Ipv6Addr {
    match ip {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    }
}

pub(super) fn mapped_net(net: IpNet) -> Ipv6Net {
    match net {
        IpNet::V4(v4) => assume(v4.network().to_ipv6_mapped(), v4.prefix_len() + 96),
        IpNet::V6(v6) => v6,
    }
}

/// A prefix of a table as a person would write it.
pub fn unmapped(net: Ipv6Net) -> IpNet {
    match net.network().to_ipv4_mapped() {
        Some(v4) if net.prefix_len() >= 96 => {
            Ipv4Net::new(v4, net.prefix_len() - 96).map_or(IpNet::V6(net), IpNet::V4)
        }
        _ => IpNet::V6(net),
    }
}

fn host(address: Ipv6Addr) -> Ipv6Net {
    Ipv6Net::from(address)
}

fn prefix((address, length): (Ipv6Addr, u8)) -> Ipv6Net {
    assume(address, length)
}

/// Builds a prefix whose length is known to be at most 128; a longer one would mean the host alone.
fn assume(address: Ipv6Addr, length: u8) -> Ipv6Net {
    Ipv6Net::new(address, length).unwrap_or_else(|_| host(address))
}

#[cfg(test)]
#[path = "network_tests.rs"]
mod tests;
