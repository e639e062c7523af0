//! A part of a network table: what it allows and some peers need.

use std::collections::BTreeMap;

use ipnet::{IpNet, Ipv6Net};

use super::network::{Allowed, MAX_PORTS, PortRange, Table, mapped_net, merge, prune};

/// Peers by address, with a port or with all.
pub type Need = (IpNet, Option<u16>);

impl Table {
    /// The table that allows what this one allows and a need covers. Never more than this table; a
    /// little more than the needs only where they name so many ports of one prefix that the kernel's
    /// table has no room to tell them apart.
    #[must_use]
    pub fn narrowed(&self, needs: &[Need]) -> Self {
        let needs: Vec<(Ipv6Net, Option<u16>)> =
            needs.iter().map(|(net, port)| (mapped_net(net.trunc()), *port)).collect();
        // Within one prefix of this table or of a need nothing changes but at a longer one of them.
        let mut table: BTreeMap<Ipv6Net, Vec<Allowed>> = BTreeMap::new();
        for (need, _) in &needs {
            table.entry(*need).or_default();
            for entry in self.entries().iter().filter(|entry| need.contains(&entry.net)) {
                table.entry(entry.net).or_default();
            }
        }
        for (net, allowed) in &mut table {
            let whole = self.allowed_under(*net);
            let ports = needs.iter().filter(|(need, _)| need.contains(net)).map(|(_, port)| *port);
            let narrow = merge(ports.flat_map(|port| within(whole, port)));
            *allowed = if narrow.len() > MAX_PORTS { whole.to_vec() } else { narrow };
        }
        Self::from_entries(prune(table))
    }
}

/// What of `allowed` concerns a port.
pub fn within(allowed: &[Allowed], port: Option<u16>) -> impl Iterator<Item = Allowed> {
    allowed.iter().filter_map(move |one| match port {
        None => Some(*one),
        Some(port) => (one.ports.low..=one.ports.high)
            .contains(&port)
            .then_some(Allowed { ports: PortRange { low: port, high: port }, ..*one }),
    })
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use proptest::prelude::*;

    use super::super::network::{Protocol, Rule, compile};
    use super::*;

    fn rule(net: &str, ports: &[u16]) -> Rule {
        let ports = ports.iter().map(|&port| PortRange { low: port, high: port }).collect();
        Rule { net: net.parse().expect("a net"), ports, protocol: None }
    }

    fn need(net: &str, port: Option<u16>) -> Need {
        (net.parse().expect("a net"), port)
    }

    #[test]
    fn nothing_is_needed_nothing_is_open() {
        let whole = compile(&[rule("0.0.0.0/0", &[])]).expect("compiles");
        assert!(whole.narrowed(&[]).entries().is_empty());
    }

    #[test]
    fn a_need_opens_its_peer_and_port_alone() {
        let whole = compile(&[rule("10.1.0.0/16", &[80, 443])]).expect("compiles");
        let open = whole.narrowed(&[need("10.1.2.3/32", Some(443)), need("10.9.0.1/32", None)]);
        let may = |ip: &str, port| {
            open.lookup(ip.parse::<IpAddr>().expect("an address"), Protocol::Tcp, port)
        };
        assert!(may("10.1.2.3", 443));
        assert!(!may("10.1.2.3", 80), "another port");
        assert!(!may("10.1.2.4", 443), "another peer");
        assert!(!may("10.9.0.1", 443), "needed, but not allowed");
    }

    #[test]
    fn too_many_ports_are_as_many_as_the_policy_has() {
        let whole = compile(&[rule("10.1.0.0/16", &[])]).expect("compiles");
        let needs: Vec<_> = (0..40).map(|n| need("10.1.2.3/32", Some(n * 2 + 1))).collect();
        let open = whole.narrowed(&needs);
        assert!(open.entries().iter().all(|entry| entry.allowed.len() <= MAX_PORTS));
        assert!(open.lookup("10.1.2.3".parse().expect("ip"), Protocol::Tcp, 79));
        assert!(!open.lookup("10.1.2.4".parse().expect("ip"), Protocol::Tcp, 79));
    }

    fn nets() -> impl Strategy<Value = IpNet> {
        // Few bits vary, so that nets often hold one another.
        (0_u8..4, 0_u8..4, prop_oneof![Just(8_u8), Just(15), Just(16), Just(24), Just(32)])
            .prop_map(|(a, b, length)| format!("11.{a}.0.{b}/{length}").parse().expect("a net"))
    }

    proptest! {
        #[test]
        fn what_is_open_is_allowed_and_needed(
            rules in proptest::collection::vec((nets(), 1_u16..4), 0..5),
            needs in proptest::collection::vec((nets(), proptest::option::of(1_u16..4)), 0..5),
            a in 0_u8..4, b in 0_u8..4, port in 1_u16..4,
        ) {
            let rules: Vec<_> = rules.into_iter().map(|(net, port)| {
                Rule { net, ports: vec![PortRange { low: port, high: port }], protocol: None }
            }).collect();
            let whole = compile(&rules).expect("compiles");
            let ip: IpAddr = format!("11.{a}.0.{b}").parse().expect("an address");
            let needed = needs.iter().any(|(net, one)| {
                net.contains(&ip) && one.is_none_or(|one| one == port)
            });
            let open = whole.narrowed(&needs).lookup(ip, Protocol::Tcp, port);
            prop_assert_eq!(open, needed && whole.lookup(ip, Protocol::Tcp, port));
        }
    }
}
