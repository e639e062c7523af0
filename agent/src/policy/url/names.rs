//! Host names that lead to special addresses whatever DNS says, or exactly because of what it says.
//!
//! This is the early refusal that explains. The lists cannot be complete: whom a name really reaches
//! is enforced where the connection is made, by address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::special;

/// How a policy can still open a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Special {
    /// Only by that name, without a wildcard.
    Exact(&'static str),
    /// By that name, or by a wildcard below the suffix, such as `*.apps.internal`.
    Below {
        /// Why the name is special.
        why: &'static str,
        /// The suffix, without a dot in front.
        suffix: &'static str,
    },
}

/// Names under which clouds hand out credentials to whoever asks.
const METADATA: [&str; 8] = [
    "metadata.google.internal",
    "metadata.goog",
    "instance-data.ec2.internal",
    "metadata.azure.internal",
    "metadata.packet.net",
    "metadata.platformequinix.com",
    "metadata.tencentyun.com",
    "metadata.cloud.ibm.com",
];

/// Suffixes that only a local network answers: special-use names (RFC 6761, 6762, 8375), ICANN's
/// private-use `internal`, and those that ICANN will never delegate because networks use them.
const LOCAL: [&str; 15] = [
    "local",
    "localdomain",
    "localdomain4",
    "localdomain6",
    "internal",
    "intranet",
    "lan",
    "home",
    "home.arpa",
    "in-addr.arpa",
    "ip6.arpa",
    "corp",
    "mail",
    "private",
    "svc",
];

/// Domains every name below which answers with this host's own address.
const LOOPBACK: [&str; 11] = [
    "localhost",
    "localtest.me",
    "lvh.me",
    "lacolhost.com",
    "vcap.me",
    "fuf.me",
    "yoogle.com",
    "localh.st",
    "127-0-0-1.org.uk",
    "bugbounty.dod.network",
    "mail.ebc.apple.com",
];

/// Domains that answer with the address written into the name.
const EMBEDDING: [&str; 8] = [
    "nip.io",
    "sslip.io",
    "xip.io",
    "xip.name",
    "xip.network",
    "ip.addr.tools",
    "traefik.me",
    "backname.io",
];

/// Domains that answer differently each time, redirect to whatever the URL asks for, or report to
/// whoever asked what reached them.
const REBINDING: [&str; 11] = [
    "1u.ms",
    "rbndr.us",
    "rebind.it",
    "rebind.network",
    "r3dir.me",
    "localdomain.pw",
    "lock.cmpxchg8b.com",
    "nicob.net",
    "oastify.com",
    "burpcollaborator.net",
    "interact.sh",
];

/// Why a name is special, if it is. `name` is lower case without a dot at the end.
pub(super) fn special_name(name: &str) -> Option<Special> {
    if METADATA.contains(&name) {
        return Some(Special::Exact("a metadata service"));
    }
    if LOOPBACK.iter().any(|suffix| is_below(name, suffix)) {
        return Some(Special::Exact("a name of this host"));
    }
    if REBINDING.iter().any(|suffix| is_below(name, suffix)) {
        return Some(Special::Exact("a name that leads anywhere its user likes"));
    }
    if !name.contains('.') {
        return Some(Special::Exact("a name without a dot, which the local network resolves"));
    }
    if let Some(suffix) = EMBEDDING.iter().find(|suffix| name != **suffix && is_below(name, suffix))
    {
        let labels = name.strip_suffix(suffix).unwrap_or(name).trim_end_matches('.');
        return judge_embedding(labels);
    }
    if quads(name).any(|address| is_target(IpAddr::V4(address))) {
        return Some(Special::Exact("a name with a special address in it"));
    }
    let suffix = LOCAL.iter().find(|suffix| is_below(name, suffix))?;
    Some(Special::Below { why: "a name of the local network", suffix })
}

/// Whether `name` is `suffix` or ends in it, label by label.
pub(super) fn is_below(name: &str, suffix: &str) -> bool {
    name.strip_suffix(suffix).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// A name of a service that answers with the address in it: public only when every address that one
/// could read in it is public, and there is one.
fn judge_embedding(labels: &str) -> Option<Special> {
    let mut found = quads(labels).map(IpAddr::V4).chain(compact(labels)).peekable();
    if found.peek().is_none() {
        return Some(Special::Exact("a name that answers with an address nobody can read in it"));
    }
    found
        .any(|address| special(address).is_some())
        .then_some(Special::Exact("a name that answers with a special address"))
}

/// Classes of address that an attacker wants; a name such as `v0-1-2-3` is not one.
fn is_target(address: IpAddr) -> bool {
    matches!(special(address), Some("loopback" | "private" | "link-local" | "metadata"))
}

/// Every `a.b.c.d` and `a-b-c-d` in a name, where the numbers stand alone.
fn quads(name: &str) -> impl Iterator<Item = Ipv4Addr> {
    let mut window = [None::<u8>; 4];
    name.split(['.', '-']).filter_map(move |part| {
        let [_, b, c, d] = window;
        window = [b, c, d, decimal(part)];
        let [Some(a), Some(b), Some(c), Some(d)] = window else { return None };
        Some(Ipv4Addr::new(a, b, c, d))
    })
}

fn decimal(part: &str) -> Option<u8> {
    part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse().ok())?
}

/// Addresses in the other notations of these services: `7f000001`, `2130706433`, `--1` for `::1`,
/// `fe80--1`.
fn compact(labels: &str) -> impl Iterator<Item = IpAddr> {
    labels.split('.').flat_map(|label| {
        let pieces = label.split('-').filter(|piece| piece.len() >= 8);
        let numbers = pieces.flat_map(|piece| {
            let hex = piece.trim_start_matches("0x");
            let hex = (hex.len() == 8).then(|| u32::from_str_radix(hex, 16).ok()).flatten();
            [hex, piece.parse::<u32>().ok()]
        });
        let v6 = label.contains('-').then(|| label.replace('-', ":").parse::<Ipv6Addr>().ok());
        numbers
            .flatten()
            .map(|number| IpAddr::V4(Ipv4Addr::from(number)))
            .chain(v6.flatten().map(IpAddr::V6))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_lead_inside_are_special() {
        for name in [
            "localhost",
            "a.localhost",
            "ip6-localhost",
            "metadata",
            "metadata.google.internal",
            "printer.local",
            "db.corp",
            "router.home.arpa",
            "kubernetes.default.svc",
            "127.0.0.1.nip.io",
            "a.10-1-2-3.sslip.io",
            "7f000001.nip.io",
            "x-a9fea9fe.nip.io",
            "2130706433.nip.io",
            "--1.sslip.io",
            "fe80--1.sslip.io",
            "1ynrnhl.xip.io",
            "www.localtest.me",
            "169.254.169.254.evil.com",
            "make-10-0-0-1-rr.evil.com",
            "7f000001.c0a80001.rbndr.us",
            "307.r3dir.me",
            "8.8.8.8.127.0.0.1.nip.io",
            "host.docker.internal",
            "ip-10-0-0-1.evil.com",
        ] {
            assert!(special_name(name).is_some(), "{name}");
        }
    }

    #[test]
    fn ordinary_names_are_not() {
        for name in [
            "allowed.example",
            "notlocalhost.com",
            "internal.example.com",
            "nip.io.example.com",
            "8.8.8.8.nip.io",
            "8-8-8-8.sslip.io",
            "v0-1-2-3.example.com",
            "1-2-3-4.example.com",
            "ec2-54-12-0-1.compute.amazonaws.com",
            "deadbeef.example.com",
            "mylocal.me",
            "2606-4700--1111.sslip.io",
            "release-10-0-0.example.com",
            "a.b.c.d.e.example",
            "sslip.io",
        ] {
            assert_eq!(special_name(name), None, "{name}");
        }
    }
}
