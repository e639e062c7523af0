use proptest::prelude::*;

use super::*;
use crate::config::NetworkProtocol;
use crate::policy::network::{PortRange, Protocol, Rule, compile};
use crate::policy::url::host_name;

fn rule(host: &str, ports: &[u16]) -> NetworkRule {
    NetworkRule {
        host: Some(host.to_owned()),
        ports: ports.to_vec(),
        protocol: Some(NetworkProtocol::Tcp),
        ..NetworkRule::default()
    }
}

fn tcp(ports: &[u16]) -> Vec<Allowed> {
    let single = |port: &u16| Allowed { protocol: 6, ports: PortRange { low: *port, high: *port } };
    ports.iter().map(single).collect()
}

fn names(rules: &[NetworkRule]) -> Names {
    Names::compile(rules, Table::default()).unwrap()
}

#[test]
fn a_name_opens_the_ports_of_all_rules_that_cover_it() {
    let names = names(&[
        rule("api.example.com", &[443]),
        rule("*.example.com", &[80]),
        rule("API.example.com.", &[8443]),
    ]);
    let api = names.find("api.example.com").unwrap();
    assert_eq!(api, NameMatch { allowed: tcp(&[80, 443, 8443]), exact: true });
    let other = names.find("www.example.com").unwrap();
    assert_eq!(other, NameMatch { allowed: tcp(&[80]), exact: false });
    for name in ["example.com", "evil.org", "api.example.com.evil.org", "xexample.com"] {
        assert_eq!(names.find(name), Err(NameDenial::NotListed), "{name}");
    }
}

#[test]
fn a_rule_without_ports_and_protocol_opens_all() {
    let rule = NetworkRule { host: Some("*".into()), ..NetworkRule::default() };
    let found = names(&[rule]).find("anything.example").unwrap();
    let all = |protocol| Allowed { protocol, ports: PortRange::ALL };
    assert_eq!(found.allowed, [all(6), all(17)]);
}

#[test]
fn unicode_and_ascii_forms_are_one_name() {
    let both = names(&[rule("bücher.example", &[443])]);
    assert!(both.find("xn--bcher-kva.example").is_ok());
    let ascii = names(&[rule("XN--bcher-kva.example", &[443])]);
    assert!(ascii.find("xn--bcher-kva.example").is_ok());
}

#[test]
fn a_wildcard_has_room_for_a_name_and_not_for_a_message() {
    let names = names(&[rule("*.example.com", &[443])]);
    let fits = format!("{}.example.com", "a".repeat(MAX_FREEDOM));
    assert!(names.find(&fits).is_ok());
    let labels = format!("{}.{}.example.com", "a".repeat(32), "b".repeat(31));
    assert_eq!(names.find(&labels), Err(NameDenial::TooLong));
    // Whoever means such a name writes it down.
    let listed = self::names(&[rule("*.example.com", &[443]), rule(&labels, &[443])]);
    assert!(listed.find(&labels).is_ok());
}

#[test]
fn special_addresses_need_a_rule_by_address() {
    let cidr = |net: &str, port| Rule {
        net: net.parse().unwrap(),
        ports: vec![PortRange { low: port, high: port }],
        protocol: Some(Protocol::Tcp),
    };
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    let allowed = tcp(&[443]);
    let bare = names(&[rule("*", &[443])]);
    for address in [
        "127.0.0.1",
        "10.0.0.1",
        "169.254.169.254",
        "100.100.100.200",
        "192.168.1.1",
        "0.0.0.0",
        "255.255.255.255",
        "::1",
        "::",
        "::ffff:10.0.0.1",
        "fd00:ec2::254",
        "fe80::1",
        "64:ff9b::a00:1",
        "2002:a00:1::1",
        "2001:0:7f00:1::f7f7:f7f7",
    ] {
        let judged = bare.judge_address(ip(address), &allowed);
        assert!(matches!(judged, Err(NameDenial::Special { .. })), "{address}");
    }
    for address in ["8.8.8.8", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"] {
        assert_eq!(
            bare.judge_address(ip(address), &allowed).as_deref(),
            Ok(&allowed[..]),
            "{address}"
        );
    }
    let table = compile(&[cidr("10.0.0.0/8", 443), cidr("169.254.169.254/32", 443)]).unwrap();
    let open = Names::compile(&[rule("*", &[443])], table).unwrap();
    // Opened by address, too, as far as that goes.
    for address in ["10.0.0.1", "169.254.169.254", "::ffff:10.0.0.1", "64:ff9b::a00:1"] {
        assert_eq!(
            open.judge_address(ip(address), &allowed).as_deref(),
            Ok(&allowed[..]),
            "{address}"
        );
    }
    assert!(open.judge_address(ip("192.168.1.1"), &allowed).is_err());
    assert!(open.judge_address(ip("10.0.0.1"), &tcp(&[5432])).is_err(), "opened on another port");
}

/// The rules as a person reads them.
fn naive(rules: &[(String, u16)], name: &str, port: u16) -> bool {
    rules.iter().any(|(host, open)| {
        let covered = match host.strip_prefix("*.") {
            Some(parent) => name.strip_suffix(&format!(".{parent}")).is_some(),
            None => host == "*" || host == name,
        };
        covered && *open == port
    })
}

/// Often one of the prefixes that matter.
fn any_address() -> impl Strategy<Value = IpAddr> {
    let first = vec![0_u8, 10, 100, 127, 168, 169, 172, 192, 198, 203, 224, 255, 8];
    let v4 = (prop::sample::select(first), any::<[u8; 3]>())
        .prop_map(|(a, [b, c, d])| IpAddr::from([a, b, c, d]));
    let first = vec![0_u16, 0x64, 0x100, 0x2001, 0x2002, 0x3fff, 0x5f00, 0xfd00, 0xfe80, 0xff02];
    let middle = prop::sample::select(vec![[0_u16; 5], [0xff9b, 0, 0, 0, 0], [0, 0, 0, 0, 0xffff]]);
    let v6 = (prop::sample::select(first), middle, any::<[u16; 2]>())
        .prop_map(|(a, [b, c, d, e, f], [g, h])| IpAddr::from([a, b, c, d, e, f, g, h]));
    prop_oneof![v4, v6, any::<[u8; 16]>().prop_map(IpAddr::from)]
}

fn any_name() -> impl Strategy<Value = String> {
    let label = prop::sample::select(vec!["a", "b", "example", "com", "xn--a", "a-b"]);
    prop::collection::vec(label, 1..5).prop_map(|labels| labels.join("."))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn names_are_found_as_written(
        rules in prop::collection::vec(
            (any_name(), 0..3_u8, prop::sample::select(vec![80_u16, 443, 8080])), 0..6),
        name in any_name(),
        port in prop::sample::select(vec![80_u16, 443, 8080]),
    ) {
        let rules: Vec<_> = rules
            .into_iter()
            .map(|(name, kind, port)| (match kind {
                0 => name,
                1 => format!("*.{name}"),
                _ => "*".to_owned(),
            }, port))
            .collect();
        let written: Vec<_> = rules.iter().map(|(host, port)| rule(host, &[*port])).collect();
        let open = names(&written).find(&name).is_ok_and(|found| {
            found.allowed.iter().any(|a| (a.ports.low..=a.ports.high).contains(&port))
        });
        prop_assert_eq!(open, naive(&rules, &name, port), "{:?} {} {}", rules, name, port);
    }

    /// Whatever the rules, no name opens what the table of rules by address keeps closed to them.
    #[test]
    fn no_name_opens_a_special_address(ip in any_address()) {
        let everything = ["0.0.0.0/0", "::/0"].map(|net| Rule {
            net: net.parse().unwrap(), ports: vec![], protocol: None,
        });
        let public = compile(&everything).unwrap().lookup(ip, Protocol::Tcp, 443);
        let allowed = tcp(&[443]);
        let names = names(&[rule("*", &[443])]);
        let opened = names.judge_address(ip, &allowed).is_ok_and(|open| !open.is_empty());
        prop_assert!(public || !opened, "{}", ip);
    }

    #[test]
    fn reading_a_name_never_panics_and_gives_one_form(text in ".{0,80}") {
        if let Some(name) = host_name(&text) {
            prop_assert_eq!(host_name(&name), Some(name.clone()));
            prop_assert!(name.is_ascii() && name == name.to_ascii_lowercase());
        }
    }
}
