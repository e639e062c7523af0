use proptest::prelude::*;

use super::*;

fn rule(net: &str) -> Rule {
    Rule { net: net.parse().unwrap(), ports: vec![], protocol: None }
}

fn with_ports(net: &str, ports: &[(u16, u16)], protocol: Option<Protocol>) -> Rule {
    let ports = ports.iter().map(|&(low, high)| PortRange { low, high }).collect();
    Rule { net: net.parse().unwrap(), ports, protocol }
}

fn reaches(rules: &[Rule], ip: &str) -> bool {
    let table = compile(rules).unwrap();
    table.lookup(ip.parse().unwrap(), Protocol::Tcp, 443)
}

/// The rules of the module's documentation, without prefixes and merging: what the table must equal.
fn naive(rules: &[Rule], ip: IpAddr, protocol: Protocol, port: u16) -> bool {
    let address = normalise(ip);
    let plain = |net: &IpNet| match net {
        IpNet::V4(v4) => address.to_ipv4_mapped().is_some_and(|address| v4.contains(&address)),
        IpNet::V6(v6) => v6.contains(&address),
    };
    let inside = |inner: &IpNet, outer: &Ipv6Net| outer.contains(&mapped_net(inner.trunc()));
    rules.iter().any(|rule| {
        let walls = special_ranges();
        let walls_open =
            walls.iter().filter(|wall| wall.contains(&address)).all(|wall| inside(&rule.net, wall));
        let metadata = METADATA.into_iter().map(mapped).any(|metadata| metadata == address);
        let exact = mapped_net(rule.net.trunc()) == host(address);
        let in_ports = rule.ports.is_empty()
            || rule.ports.iter().any(|range| (range.low..=range.high).contains(&port));
        let in_protocol = match rule.protocol {
            None => matches!(protocol, Protocol::Tcp | Protocol::Udp),
            Some(allowed) => allowed == protocol,
        };
        plain(&rule.net) && walls_open && (!metadata || exact) && in_ports && in_protocol
    })
}

#[test]
fn nothing_listed_nothing_reached() {
    let table = compile(&[]).unwrap();
    assert_eq!(table, Table::default());
    for ip in ["8.8.8.8", "127.0.0.1", "::1", "2600::1", "0.0.0.0", "::"] {
        assert!(!table.lookup(ip.parse().unwrap(), Protocol::Tcp, 443), "{ip}");
    }
}

#[test]
fn a_default_route_opens_the_internet_alone() {
    let all = [rule("0.0.0.0/0"), rule("::/0")];
    for ip in ["8.8.8.8", "1.1.1.1", "2600::1", "::ffff:8.8.8.8", "64:ff9b::808:808"] {
        assert!(reaches(&all, ip), "{ip}");
    }
    for ip in [
        "0.0.0.0",
        "10.0.0.1",
        "100.64.0.1",
        "127.0.0.1",
        "169.254.1.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.2.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fc00::1",
        "fd12::1",
        "fe80::1",
        "fec0::1",
        "ff02::1",
        "2001:db8::1",
        "2001::1",
        "100::1",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
        "64:ff9b:1::1",
        "2002:a00:1::1",
        "2002:7f00:1::",
        "::7f00:1",
    ] {
        assert!(!reaches(&all, ip), "{ip}");
    }
}

#[test]
fn a_rule_inside_a_special_range_opens_itself() {
    assert!(reaches(&[rule("10.1.0.0/16")], "10.1.2.3"));
    assert!(!reaches(&[rule("10.1.0.0/16")], "10.2.0.1"));
    assert!(reaches(&[rule("10.0.0.0/8")], "10.2.0.1"));
    assert!(!reaches(&[rule("10.0.0.0/7")], "10.2.0.1"));
    assert!(reaches(&[rule("10.0.0.0/7")], "11.2.0.1"));
    assert!(reaches(&[rule("127.0.0.1/32")], "::ffff:127.0.0.1"));
    assert!(reaches(&[rule("::1/128")], "::1"));
    assert!(reaches(&[rule("fd00::/8")], "fd00::1"));
    // IPv6 rules, however wide, are never about IPv4.
    assert!(!reaches(&[rule("::/0"), rule("::/8"), rule("::/64")], "127.0.0.1"));
    assert!(reaches(&[rule("::ffff:10.0.0.0/104")], "10.9.9.9"));
}

#[test]
fn metadata_services_must_be_named() {
    for address in METADATA {
        let ip = address.to_string();
        let exact = IpNet::from(address).to_string();
        for wide in [
            "0.0.0.0/0",
            "::/0",
            "169.254.0.0/16",
            "169.254.169.254/31",
            "168.63.0.0/16",
            "100.64.0.0/10",
            "192.0.0.0/24",
            "fd00::/8",
            "fd00:ec2::/64",
        ] {
            assert!(!reaches(&[rule(wide)], &ip), "{ip} by {wide}");
        }
        assert!(reaches(&[rule(&exact)], &ip), "{ip}");
        assert!(reaches(&[rule("0.0.0.0/0"), rule(&exact)], &ip), "{ip}");
    }
    // The wide rule's ports are not inherited by the address.
    let rules = [
        with_ports("169.254.169.254/32", &[(80, 80)], Some(Protocol::Tcp)),
        rule("169.254.0.0/16"),
    ];
    assert!(!reaches(&rules, "169.254.169.254"));
    assert!(reaches(&rules, "169.254.169.253"));
}

#[test]
fn narrow_prefixes_inherit_what_covers_them() {
    let rules = [
        with_ports("8.0.0.0/8", &[(443, 443)], Some(Protocol::Tcp)),
        with_ports("8.8.8.8/32", &[(53, 53)], Some(Protocol::Udp)),
    ];
    let table = compile(&rules).unwrap();
    let ask = |protocol, port| table.lookup("8.8.8.8".parse().unwrap(), protocol, port);
    assert!(ask(Protocol::Tcp, 443));
    assert!(ask(Protocol::Udp, 53));
    assert!(!ask(Protocol::Tcp, 53));
    assert!(!ask(Protocol::Udp, 443));
    assert!(!ask(Protocol::Other(6), 443));
}

#[test]
fn what_cannot_be_enforced_is_an_error() {
    let sctp = compile(&[with_ports("8.8.8.8/32", &[], Some(Protocol::Other(132)))]);
    assert_eq!(
        sctp,
        Err(NetworkError::Protocol { net: "8.8.8.8/32".parse().unwrap(), number: 132 })
    );
    let backward = compile(&[with_ports("8.8.8.8/32", &[(2, 1)], None)]);
    assert!(matches!(backward, Err(NetworkError::BackwardPorts { low: 2, high: 1, .. })));
    for embedded in ["64:ff9b::a00:1/128", "64:ff9b::/96", "2002:a00:1::/48", "2002::/16"] {
        assert!(
            matches!(compile(&[rule(embedded)]), Err(NetworkError::Embedded { .. })),
            "{embedded}"
        );
    }
    let many: Vec<_> = (0..17).map(|port| (port * 2, port * 2)).collect();
    let error = compile(&[with_ports("8.8.8.8/32", &many, Some(Protocol::Tcp))]).unwrap_err();
    assert_eq!(error, NetworkError::TooManyPorts { net: "8.8.8.8/32".parse().unwrap(), count: 17 });
    // Neighbours count as one.
    let joined: Vec<_> = (0..40).map(|port| (port, port)).collect();
    assert!(compile(&[with_ports("8.8.8.8/32", &joined, Some(Protocol::Tcp))]).is_ok());
}

#[test]
fn errors_show_addresses_as_written() {
    let many: Vec<_> = (0..17).map(|port| (port * 2, port * 2)).collect();
    let error = compile(&[with_ports("10.0.0.0/8", &many, Some(Protocol::Tcp))]).unwrap_err();
    assert!(error.to_string().starts_with("10.0.0.0/8 collects 17 port ranges"), "{error}");
}

#[test]
fn ports_at_the_ends() {
    let rules = [with_ports("8.8.8.8/32", &[(0, 0), (65_535, 65_535)], Some(Protocol::Tcp))];
    let table = compile(&rules).unwrap();
    let ask = |port| table.lookup("8.8.8.8".parse().unwrap(), Protocol::Tcp, port);
    assert!(ask(0) && ask(65_535) && !ask(1) && !ask(65_534));
}

/// Addresses and prefixes that meet often: few first bytes, and the neighbourhood of special ones.
fn address() -> impl Strategy<Value = IpAddr> {
    let v4 = prop_oneof![
        (prop::sample::select(vec![8u8, 10, 127, 169, 172, 192, 100, 224]), any::<[u8; 3]>())
            .prop_map(|(a, [b, c, d])| Ipv4Addr::new(a, b, c, d)),
        prop::sample::select(SPECIAL_V4.to_vec()).prop_map(|(address, _)| address),
        Just(Ipv4Addr::new(169, 254, 169, 254)),
        Just(Ipv4Addr::new(169, 254, 169, 253)),
    ];
    let v6 = prop_oneof![
        (prop::sample::select(vec![0x2600u16, 0xfd00, 0xfe80, 0x2001, 0]), any::<[u16; 2]>())
            .prop_map(|(a, [b, h])| Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, h)),
        prop::sample::select(SPECIAL_V6.to_vec()).prop_map(|(address, _)| address),
        Just(Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x254)),
        v4.clone().prop_map(|v4| v4.to_ipv6_mapped()),
        v4.clone().prop_map(|v4| {
            let [a, b, c, d] = v4.octets();
            let halves = [u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])];
            Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, halves[0], halves[1])
        }),
        v4.clone().prop_map(|v4| {
            let [a, b, c, d] = v4.octets();
            Ipv6Addr::new(
                0x2002,
                u16::from_be_bytes([a, b]),
                u16::from_be_bytes([c, d]),
                0,
                0,
                0,
                0,
                1,
            )
        }),
    ];
    prop_oneof![v4.prop_map(IpAddr::V4), v6.prop_map(IpAddr::V6)]
}

fn any_rule() -> impl Strategy<Value = Rule> {
    let length = prop_oneof![Just(0u8), Just(8), Just(16), Just(32), Just(128), 0u8..=128];
    let port = prop::sample::select(vec![0u16, 1, 80, 443, 444, 8080, 65_535]);
    let range = (port.clone(), port).prop_map(|(a, b)| PortRange { low: a.min(b), high: a.max(b) });
    let protocol = prop::sample::select(vec![None, Some(Protocol::Tcp), Some(Protocol::Udp)]);
    (address(), length, prop::collection::vec(range, 0..3), protocol).prop_map(
        |(address, length, ports, protocol)| {
            let widest = if address.is_ipv4() { 32 } else { 128 };
            let net = IpNet::new(address, length.min(widest)).unwrap();
            Rule { net, ports, protocol }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_table_equals_the_rules(
        rules in prop::collection::vec(any_rule(), 0..6),
        ips in prop::collection::vec(address(), 1..12),
        port in prop::sample::select(vec![0u16, 1, 80, 443, 444, 8080, 65_535]),
        protocol in prop::sample::select(vec![Protocol::Tcp, Protocol::Udp, Protocol::Other(132)]),
    ) {
        let Ok(table) = compile(&rules) else { return Ok(()) };
        for ip in ips {
            prop_assert_eq!(
                table.lookup(ip, protocol, port),
                naive(&rules, ip, protocol, port),
                "{} {:?} {}", ip, protocol, port
            );
        }
    }

    #[test]
    fn more_rules_reach_no_less(
        rules in prop::collection::vec(any_rule(), 0..4),
        extra in any_rule(),
        ip in address(),
    ) {
        let more: Vec<_> = rules.iter().cloned().chain([extra]).collect();
        let (Ok(before), Ok(after)) = (compile(&rules), compile(&more)) else { return Ok(()) };
        if before.lookup(ip, Protocol::Tcp, 443) {
            prop_assert!(after.lookup(ip, Protocol::Tcp, 443));
        }
    }
}
