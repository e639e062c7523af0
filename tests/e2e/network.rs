//! The connect matrix: what a confined process can reach, by every way and every spelling of an
//! address.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::{Context, bail, ensure};
use libtest_mimic::Trial;
use serde_json::json;
use warrantd_tests::client::Client;
use warrantd_tests::harness::test;
use warrantd_tests::needs::Need;
use warrantd_tests::netns::{Listeners, Namespace};
use warrantd_tests::probe::{Target, Way};

use crate::rig::Rig;

/// The port that everybody listens on.
const PORT: u16 = 8080;

/// Addresses on the namespace's loopback interface, beside 127.0.0.1 and `::1`. 8.8.4.4 stands for
/// the whole public network.
const ADDRESSES: [&str; 9] = [
    "169.254.169.254",
    "10.0.0.1",
    "10.0.0.7",
    "192.0.2.10",
    "8.8.4.4",
    "fd00:ec2::254",
    "fd00:1::7",
    // 169.254.169.254 by NAT64 (RFC 6052) and by 6to4 (RFC 3056).
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
];

pub(crate) fn tests() -> Vec<Trial> {
    const NEEDS: &[Need] = &[Need::Kernel, Need::Netns];
    vec![
        test("network::without_warrantd_everything_is_reached", NEEDS, control),
        test("network::nothing_is_reached_by_default", NEEDS, default_deny),
        test("network::a_listed_address_is_reached_and_nothing_else", NEEDS, listed),
        test("network::a_port_and_a_protocol_are_meant_as_written", NEEDS, ports_and_protocols),
        test("network::the_whole_internet_does_not_open_special_addresses", NEEDS, everything),
        test("network::a_metadata_service_must_be_named_exactly", NEEDS, metadata),
    ]
}

/// A policy that lets the server try peers and hands the outcomes out whatever the verdict.
fn policy(allow: &str) -> String {
    format!(
        "
actors:
  - {{id: tester, allowed_tools: [try_peers]}}
network:
  allow: [{allow}]
effects:
  network: always
  on_exceeded: report
"
    )
}

struct Matrix {
    rig: Rig,
    net: Namespace,
    listeners: Listeners,
}

impl Matrix {
    fn new(allow: &str) -> anyhow::Result<Self> {
        let rig = Rig::new(&policy(allow))?;
        let prefixed: Vec<_> = ADDRESSES
            .iter()
            .map(|address| format!("{address}/{}", if address.contains(':') { 128 } else { 32 }))
            .collect();
        let net = Namespace::new(&prefixed.iter().map(String::as_str).collect::<Vec<_>>())?;
        let listening: Vec<_> = addresses()?.into_iter().map(|ip| at(ip).to_string()).collect();
        let listening: Vec<_> = listening.iter().map(String::as_str).collect();
        let listeners = Listeners::start(&net, &rig.scratch.program("net-probe")?, &listening)?;
        Ok(Self { rig, net, listeners })
    }

    /// Lets a confined server try the targets, and gives their outcomes in the same order. Each
    /// attempt must be in the audit record, with the outcome that the server saw.
    fn outcomes(&self, targets: &[Target]) -> anyhow::Result<Vec<String>> {
        let command = self.rig.run_inside(&self.net, &self.rig.rogue(&[])?)?;
        let mut client = Client::connect(command)?;
        let outcomes = try_peers(&mut client, targets)?;
        client.finish()?;
        let record = self.rig.only_record()?;
        for (target, outcome) in targets.iter().zip(&outcomes) {
            let seen = if outcome == "ok" { "allowed" } else { "denied" };
            let (kind, protocol) = match target.way {
                Way::Tcp => ("connect", "tcp"),
                Way::Udp => ("send", "udp"),
                Way::UdpConnected => ("connect", "udp"),
            };
            let reported = record.exceeded().iter().any(|effect| {
                effect["kind"] == json!(kind)
                    && effect["protocol"] == json!(protocol)
                    && effect["outcome"] == json!(seen)
                    && effect["peer"].as_str().is_some_and(|peer| is_same(peer, target.address))
            });
            ensure!(reported, "{target} ({outcome}) is not reported in {record:#?}");
        }
        Ok(outcomes)
    }

    /// Demands that exactly the targets that `reachable` names are reached; all others must get
    /// EPERM from the system call itself, and no listener may have heard of them.
    fn expect(&self, reachable: impl Fn(&Target) -> bool) -> anyhow::Result<()> {
        let targets = targets()?;
        let outcomes = self.outcomes(&targets)?;
        let mut wrong = Vec::new();
        for (target, outcome) in targets.iter().zip(&outcomes) {
            let expected = if reachable(target) { "ok" } else { "EPERM" };
            if outcome != expected {
                wrong.push(format!("{target}: {outcome} instead of {expected}"));
            }
        }
        ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
        let heard: BTreeSet<_> = self.listeners.answered().into_iter().collect();
        let expected: BTreeSet<_> = targets.iter().filter(|t| reachable(t)).map(heard_as).collect();
        ensure!(heard == expected, "the listeners heard {heard:?}");
        Ok(())
    }
}

/// Whether an address in a record is the one that was tried: IPv4-mapped ones are reported as IPv4,
/// other embedded ones as either.
fn is_same(reported: &str, tried: SocketAddr) -> bool {
    let Ok(reported) = reported.parse::<SocketAddr>() else { return false };
    let special: IpAddr = Ipv4Addr::new(169, 254, 169, 254).into();
    let translated = ["64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1"];
    reported.port() == tried.port()
        && (reported.ip() == tried.ip().to_canonical()
            || (translated.contains(&tried.ip().to_string().as_str()) && reported.ip() == special))
}

/// What a listener says about an attempt.
fn heard_as(target: &Target) -> String {
    let protocol = if target.way == Way::Tcp { "tcp" } else { "udp" };
    format!("{protocol} {}", at(target.address.ip().to_canonical()))
}

fn at(ip: IpAddr) -> SocketAddr {
    SocketAddr::new(ip, PORT)
}

fn addresses() -> anyhow::Result<Vec<IpAddr>> {
    let all = ADDRESSES.iter().chain(&["127.0.0.1", "::1"]);
    all.map(|address| address.parse().context("an address")).collect()
}

/// Every address by every way, IPv4 ones also as IPv4-mapped IPv6 ones.
fn targets() -> anyhow::Result<Vec<Target>> {
    let mut targets = Vec::new();
    for ip in addresses()? {
        let mapped = match ip {
            IpAddr::V4(v4) => Some(IpAddr::V6(v4.to_ipv6_mapped())),
            IpAddr::V6(_) => None,
        };
        for ip in [Some(ip), mapped].into_iter().flatten() {
            targets.extend(Way::ALL.map(|way| Target { way, address: at(ip) }));
        }
    }
    Ok(targets)
}

pub(crate) fn try_peers(client: &mut Client, targets: &[Target]) -> anyhow::Result<Vec<String>> {
    let names: Vec<_> = targets.iter().map(Target::to_string).collect();
    let reply = client.call("try_peers", &json!({"targets": names}))?;
    let mut outcomes = Vec::new();
    for (target, line) in names.iter().zip(reply.text()?.lines()) {
        match line.strip_prefix(target.as_str()).map(str::trim) {
            Some(outcome) => outcomes.push(outcome.to_owned()),
            None => bail!("`{line}` is not about {target}"),
        }
    }
    ensure!(outcomes.len() == targets.len(), "outcomes are missing: {}", reply.line);
    Ok(outcomes)
}

/// The same server without warrantd reaches every listener, so that a denial below is one of
/// warrantd's.
fn control() -> anyhow::Result<()> {
    let matrix = Matrix::new("")?;
    let server = matrix.rig.scratch.program("rogue-server")?;
    let mut client = Client::connect(matrix.net.enter(server))?;
    let targets = targets()?;
    let outcomes = try_peers(&mut client, &targets)?;
    for (target, outcome) in targets.iter().zip(&outcomes) {
        ensure!(outcome == "ok", "{target}: {outcome}");
    }
    let heard = matrix.listeners.answered();
    ensure!(heard.len() == targets.len(), "the listeners heard {heard:?}");
    Ok(())
}

fn default_deny() -> anyhow::Result<()> {
    Matrix::new("")?.expect(|_| false)
}

fn listed() -> anyhow::Result<()> {
    let allow = "{cidr: 10.0.0.7/32}, {cidr: 192.0.2.10/32}, {cidr: 'fd00:1::7/128'}";
    let listed = ["10.0.0.7", "192.0.2.10", "fd00:1::7"];
    Matrix::new(allow)?
        .expect(|target| listed.contains(&&*target.address.ip().to_canonical().to_string()))
}

fn ports_and_protocols() -> anyhow::Result<()> {
    let allow = format!(
        "{{cidr: 10.0.0.7/32, ports: [{PORT}], protocol: tcp}}, \
         {{cidr: 192.0.2.10/32, ports: [{PORT}], protocol: udp}}, \
         {{cidr: 10.0.0.1/32, ports: [{}]}}",
        PORT + 1
    );
    Matrix::new(&allow)?.expect(|target| {
        match target.address.ip().to_canonical().to_string().as_str() {
            "10.0.0.7" => target.way == Way::Tcp,
            "192.0.2.10" => target.way != Way::Tcp,
            _ => false,
        }
    })
}

fn everything() -> anyhow::Result<()> {
    let allow = "{cidr: 0.0.0.0/0}, {cidr: '::/0'}";
    Matrix::new(allow)?.expect(|target| target.address.ip().to_canonical().to_string() == "8.8.4.4")
}

fn metadata() -> anyhow::Result<()> {
    // The network around a service does not name it; the address itself does.
    let allow = "{cidr: 169.254.0.0/16}, {cidr: 'fd00:ec2::254/128'}";
    Matrix::new(allow)?.expect(|target| target.address.ip().to_string() == "fd00:ec2::254")
}
