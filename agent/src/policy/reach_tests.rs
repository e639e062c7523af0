use super::*;
use crate::config::{PolicyFile, Source};
use crate::policy::Policy;

fn policy(network: &str) -> Result<Policy, String> {
    let text = format!("network:\n{network}");
    let source = Source::new(std::path::Path::new("p.yaml"), text);
    let file: PolicyFile = source.parse().map_err(|e| e.to_string())?;
    Policy::compile(&file, "/").map_err(|problem| source.error(problem).to_string())
}

fn wrong(network: &str) -> String {
    policy(network).err().unwrap_or_else(|| panic!("accepted {network}"))
}

#[test]
fn a_whole_section_is_read() {
    let policy = policy(
        "  allow:
    - {host: api.github.com, ports: [443]}
    - {host: '*.example.com', ports: [443], protocol: tcp}
    - {cidr: 10.1.0.0/16, ports: [5432], protocol: tcp}
  resolvers: [192.0.2.53, '127.0.0.1:5353', 2001:db8::53, '[2001:db8::53]:5353']
  listen: [{port: 8080, protocol: tcp}, {port: 8081, protocol: tcp}, {port: 53}]
  unix: [/run/postgresql/.s.PGSQL.5432]
",
    )
    .unwrap();
    let reach = &policy.reach;
    assert!(reach.names.find("a.example.com").is_ok() && reach.names.find("evil.org").is_err());
    assert!(policy.network.lookup("10.1.2.3".parse().unwrap(), Protocol::Tcp, 5432));
    let resolvers: Vec<_> = reach.resolvers.iter().map(ToString::to_string).collect();
    let expected = ["192.0.2.53:53", "127.0.0.1:5353", "[2001:db8::53]:53", "[2001:db8::53]:5353"];
    assert_eq!(resolvers, expected);
    for (protocol, port, expected) in [
        (Protocol::Tcp, 8080, true),
        (Protocol::Tcp, 8081, true),
        (Protocol::Udp, 8080, false),
        (Protocol::Tcp, 8082, false),
        (Protocol::Udp, 53, true),
        (Protocol::Other(132), 8080, false),
    ] {
        assert_eq!(reach.may_listen(protocol, port), expected, "{protocol} {port}");
    }
    assert_eq!(reach.unix_sockets, [PathBuf::from("/run/postgresql/.s.PGSQL.5432")]);
}

#[test]
fn nothing_written_nothing_open() {
    let policy = policy("  allow: []\n").unwrap();
    let Reach { names, resolvers, listen, unix_sockets, any_unix_socket } = &policy.reach;
    assert!(names.is_empty() && resolvers.is_empty() && listen.is_empty());
    assert!(unix_sockets.is_empty() && !any_unix_socket);
}

#[test]
fn mistakes_are_shown_where_they_stand() {
    for (network, place, hint) in [
        ("  allow: [{ports: [443]}]", "(network.allow[0])", "needs `cidr"),
        ("  allow: [{host: a.b, cidr: 10.0.0.0/8}]", "(network.allow[0].host)", "write two rules"),
        ("  allow: [{host: 10.0.0.1}]", "(network.allow[0].host)", "cidr: 10.0.0.1/32"),
        ("  allow: [{host: 'https://a.b/c'}]", "(network.allow[0].host)", "write the name alone"),
        ("  allow: [{host: a.b, ports: [0]}]", "(network.allow[0].ports[0])", "1 to 65535"),
        ("  allow: [{cidr: api.github.com}]", "(network.allow[0].cidr)", "`host` for a name"),
        ("  allow: [{cidr: 10.0.0.1}]", "(network.allow[0].cidr)", "write 10.0.0.1/32"),
        ("  allow: [{cidr: 10.0.0.0/99}]", "(network.allow[0].cidr)", "ADDRESS/LENGTH"),
        ("  allow: [{hosts: a.b}]", "p.yaml:2:12", "did you mean `host`?"),
        ("  resolvers: [dns.example.com]", "(network.resolvers[0])", "write an address"),
        ("  resolvers: [0.0.0.0]", "(network.resolvers[0])", "correct it"),
        ("  listen: [{port: 0}]", "(network.listen[0].port)", "1 to 65535"),
        ("  listen: [{port: 70000}]", "(network.listen[0].port)", "70000"),
        ("  listen: [{port: 80, protocol: sctp}]", "p.yaml:2", "sctp"),
        ("  unix: [run/x]", "(network.unix[0])", "not absolute"),
        ("  unix: ['@x']", "(network.unix[0])", "abstract"),
        ("  unix: ['/run/*.sock']", "(network.unix[0])", "one by one"),
        ("  unix: [/run/../x]", "(network.unix[0])", "plain path"),
        ("  unix: [/run/x/]", "(network.unix[0])", "plain path"),
    ] {
        let shown = wrong(network);
        assert!(shown.contains(place) && shown.contains(hint), "{network}\n{shown}");
    }
    let long = format!("  unix: [/{}]", "x".repeat(107));
    assert!(wrong(&long).contains("107 bytes"));
    let ports: Vec<_> = (1..=17).map(|n| (n * 10).to_string()).collect();
    let many = format!("  allow: [{{host: a.b, protocol: tcp, ports: [{}]}}]", ports.join(", "));
    assert!(wrong(&many).contains("17 different ports, 16 fit"), "{}", wrong(&many));
}
