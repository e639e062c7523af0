//! Addresses that matter, as test hosts in a network namespace of the test: metadata services, private
//! ranges, the internet.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::process::Command;
use std::{env, fs, thread};

use libtest_mimic::Failed;
use nix::sched::{CloneFlags, unshare};
use warrantd::policy::network::{Rule, Table, compile};

use crate::Test;
use crate::network::allow_both;
use crate::support::{equal, kernel, peers, run_in};

const REFUSED: &str = "foreign_addresses_are_refused_in_every_form";
const DEFAULT_ROUTE: &str = "a_default_route_opens_nothing_special";

/// The tests of this file.
pub(crate) const TESTS: &[Test] = &[(REFUSED, refused), (DEFAULT_ROUTE, default_route)];

/// Where the test hosts listen.
const PORT: u16 = 8080;
/// The hosts: cloud metadata, private, loopback, and one that stands for the internet.
const HOSTS: [&str; 7] = [
    "169.254.169.254",
    "100.100.100.200",
    "10.0.0.1",
    "127.0.0.1",
    "8.8.8.8",
    "fd00:ec2::254",
    "2600::1",
];

fn refused() -> Result<(), Failed> {
    in_namespace(REFUSED, || {
        let shut = kernel()?.open_session("foreign-shut", &Table::default())?;
        for host in HOSTS {
            let peer = SocketAddr::new(host.parse()?, PORT);
            for (deed, written) in forms(peer) {
                let run = run_in(&shut, &[deed, &written])?;
                equal((deed, written.as_str(), run.printed.as_str()), (deed, &written, "EPERM"))?;
                let seen: Vec<_> = peers(&run);
                let refusal = seen
                    .iter()
                    .any(|seen| seen.contains(&peer.to_string()) && seen.ends_with("denied"));
                equal(refusal, true)?;
            }
            // The twin: the same host, listed by its exact address.
            let open =
                kernel()?.open_session("foreign-open", &allow_both(&[&peer.to_string()])?)?;
            for (deed, written) in forms(peer) {
                let run = run_in(&open, &[deed, &written])?;
                equal((deed, written.as_str(), run.printed.as_str()), (deed, &written, "ok"))?;
            }
        }
        Ok(())
    })
}

fn default_route() -> Result<(), Failed> {
    in_namespace(DEFAULT_ROUTE, || {
        let all = ["0.0.0.0/0", "::/0"].map(|net| Rule {
            net: net.parse().expect("a prefix"),
            ports: vec![],
            protocol: None,
        });
        let session = kernel()?.open_session("foreign-all", &compile(&all)?)?;
        let mut open = BTreeSet::new();
        for host in HOSTS {
            let peer = SocketAddr::new(host.parse()?, PORT).to_string();
            if run_in(&session, &["tcp", &peer])?.printed == "ok" {
                open.insert(host);
            }
        }
        equal(open, BTreeSet::from(["8.8.8.8", "2600::1"]))
    })
}

/// Every way to reach a peer: TCP and UDP, connected or not, and for IPv4 through an IPv6 socket.
fn forms(peer: SocketAddr) -> Vec<(&'static str, String)> {
    let mut written = vec![peer.to_string()];
    if let IpAddr::V4(v4) = peer.ip() {
        written.push(SocketAddr::new(v4.to_ipv6_mapped().into(), peer.port()).to_string());
    }
    let deeds = ["tcp", "udp", "udp-connected"];
    written.into_iter().flat_map(|written| deeds.map(|deed| (deed, written.clone()))).collect()
}

/// Set in a process that is one of these tests: the network namespace that it must not be in.
const OUTSIDE: &str = "WARRANTD_TEST_OUTSIDE";

/// Runs the test in a process of its own, all of whose threads are in a new network namespace in which the
/// hosts are local and listen. The namespace ends with the process.
fn in_namespace(
    name: &str,
    test: impl FnOnce() -> Result<(), Failed> + Send,
) -> Result<(), Failed> {
    let here = fs::read_link("/proc/self/ns/net")?.display().to_string();
    match env::var(OUTSIDE) {
        Ok(outside) if outside == here => Err("the test is not in a namespace of its own".into()),
        Ok(_) => {
            let _listening = hosts()?;
            test()
        }
        Err(_) => thread::scope(|scope| {
            // What a thread starts is where the thread is.
            let inside = || -> Result<(), Failed> {
                unshare(CloneFlags::CLONE_NEWNET)?;
                let mut again = Command::new(env::current_exe()?);
                let ran = again.args(["--exact", name]).env(OUTSIDE, here).output()?;
                let said = String::from_utf8_lossy(&ran.stdout);
                if ran.status.success() && said.contains(" 1 passed") {
                    return Ok(());
                }
                Err(format!("{said}{}", String::from_utf8_lossy(&ran.stderr)).into())
            };
            scope.spawn(inside).join().unwrap_or_else(|_| Err("the test panicked".into()))
        }),
    }
}

/// Makes the hosts in a namespace that has only a loopback interface, and listens on them.
fn hosts() -> Result<Vec<(TcpListener, UdpSocket)>, Failed> {
    ip(&["link", "set", "lo", "up"])?;
    let mut listening = Vec::new();
    for host in HOSTS {
        let address: IpAddr = host.parse()?;
        if !address.is_loopback() {
            let length = if address.is_ipv4() { 32 } else { 128 };
            let mut words = vec!["addr", "add"];
            let prefix = format!("{host}/{length}");
            words.extend([prefix.as_str(), "dev", "lo"]);
            if address.is_ipv6() {
                words.push("nodad");
            }
            ip(&words)?;
        }
        listening.push((TcpListener::bind((address, PORT))?, UdpSocket::bind((address, PORT))?));
    }
    Ok(listening)
}

fn ip(words: &[&str]) -> Result<(), Failed> {
    let status = Command::new("ip").args(words).status()?;
    if status.success() { Ok(()) } else { Err(format!("ip {words:?}: {status}").into()) }
}
