//! Network peers: what a tool connects to, and what the network must let through for it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use serde_json::{Value, json};

use super::argument::Argument;
use super::evidence::{Evidence, Place};
use super::item::{Item, Unit};
use super::material::Material;
use super::review;
use crate::policy::network::Protocol;
use crate::policy::url::{self, Host, host_name, special};
use crate::warrant::{Effect, Peer, Target};

/// Peers that were reached.
#[derive(Debug, Clone, Default)]
pub(super) struct Peers {
    /// Entries of `connect`, with what needs eyes.
    connect: BTreeMap<String, (Evidence, BTreeSet<String>)>,
    /// By whom, over what, on which ports.
    network: BTreeMap<(Whom, &'static str), Reached>,
}

/// A rule's `host` or `cidr`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Whom {
    Host(String),
    Cidr(String),
}

#[derive(Debug, Clone, Default)]
struct Reached {
    ports: BTreeSet<u16>,
    from: Evidence,
    review: BTreeSet<String>,
}

impl Peers {
    /// Takes note of a connection or datagram.
    pub(super) fn reached(&mut self, effect: &Effect, arguments: &[Argument], at: Place) {
        let Target::Peer(peer) = &effect.target else { return };
        let named = explain(peer, arguments);
        let name = named.as_ref().and_then(|(_, name)| name.clone());
        let name = name.or_else(|| peer.names.iter().min().cloned());
        let mut notes: BTreeSet<String> =
            review::peer(peer.peer.ip()).map(str::to_owned).into_iter().collect();
        if named.is_none() && peer.names.len() > 1 {
            notes.insert(format!("its address has several names: {}", sorted(&peer.names)));
        }
        let text = match named {
            Some((template, _)) => template,
            None => match &name {
                Some(name) => format!("{name}:{}", peer.peer.port()),
                None => peer.peer.to_string(),
            },
        };
        let connect = self.connect.entry(text).or_default();
        connect.0.add(at);
        connect.1.extend(notes.iter().cloned());
        let ip = peer.peer.ip();
        let mut whom = Vec::new();
        if let Some(name) = name.clone() {
            whom.push(Whom::Host(name));
        }
        // No name opens a special address.
        if name.is_none() || special(ip).is_some() {
            whom.push(Whom::Cidr(ipnet::IpNet::from(ip).to_string()));
        }
        let protocol = if peer.protocol == Protocol::Udp { "udp" } else { "tcp" };
        for whom in whom {
            let reached = self.network.entry((whom, protocol)).or_default();
            reached.ports.insert(peer.peer.port());
            reached.from.add(at);
            reached.review.extend(notes.iter().cloned());
        }
    }

    /// What these and others reach.
    pub(super) fn merge(&mut self, other: &Self) {
        for (text, (from, notes)) in &other.connect {
            let own = self.connect.entry(text.clone()).or_default();
            own.0.merge(from);
            own.1.extend(notes.iter().cloned());
        }
        for (key, reached) in &other.network {
            let own = self.network.entry(key.clone()).or_default();
            own.ports.extend(&reached.ports);
            own.from.merge(&reached.from);
            own.review.extend(reached.review.iter().cloned());
        }
    }

    /// The lines of `connect`.
    pub(super) fn connect(&self, material: &Material, unit: Unit) -> Vec<Item> {
        let item = |(text, (from, notes)): (&String, &(Evidence, BTreeSet<String>))| {
            let mut item = material.item(text.clone(), from, unit);
            item.review.extend(notes.iter().cloned());
            item
        };
        self.connect.iter().map(item).collect()
    }

    /// The lines of `network.allow`.
    pub(super) fn rules(&self, material: &Material) -> Vec<Item> {
        let item = |((whom, protocol), reached): (&(Whom, &str), &Reached)| {
            let (key, text) = match whom {
                Whom::Host(name) => ("host", name),
                Whom::Cidr(net) => ("cidr", net),
            };
            let ports: Vec<_> = reached.ports.iter().copied().collect();
            let many = ports.len() > crate::policy::network::MAX_PORTS;
            let ports = if many { Vec::new() } else { ports };
            let rule = json!({ key: text, "ports": ports, "protocol": protocol });
            let mut item = material.item(rule, &reached.from, Unit::Record);
            item.review.extend(reached.review.iter().cloned());
            if many {
                item.review.push(format!("{} ports, so all are open", reached.ports.len()));
            }
            item
        };
        self.network.iter().map(item).collect()
    }
}

/// Ports that were bound, as lines of `network.listen`.
pub(super) fn ports(
    material: &Material,
    bound: &BTreeMap<(u16, &'static str), Evidence>,
) -> Vec<Item> {
    let item = |((port, protocol), from): (&(u16, &str), &Evidence)| {
        let rule = json!({ "port": port, "protocol": protocol });
        let mut item = material.item(rule, from, Unit::Record);
        item.review.push("can be reached from outside on this port".to_owned());
        item
    };
    bound.iter().map(item).collect()
}

fn sorted(names: &[String]) -> String {
    let names: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    names.into_iter().collect::<Vec<_>>().join(", ")
}

/// How a peer follows from an argument: the template, and the name by which it was meant.
fn explain(peer: &Peer, arguments: &[Argument]) -> Option<(String, Option<String>)> {
    for argument in arguments {
        for text in &argument.texts {
            let itself = format!("${{arguments.{}}}", argument.name);
            let Some((host, port)) = read(text) else { continue };
            if !is_host(peer, &host) {
                continue;
            }
            let name = match host {
                Host::Name(name) => Some(name),
                Host::Ip(_) => None,
            };
            match port {
                Some(port) if port == peer.peer.port() => return Some((itself, name)),
                Some(_) => {}
                None => {
                    let port = Value::from(peer.peer.port()).to_string();
                    let other = arguments.iter().find(|other| {
                        other.name != argument.name
                            && matches!(other.texts.as_slice(), [text] if *text == port)
                    });
                    // An IPv6 address needs brackets before a port.
                    if text.contains(':') {
                        return Some((itself, name));
                    }
                    let port = other.map_or(port, |port| format!("${{arguments.{}}}", port.name));
                    return Some((format!("{itself}:{port}"), name));
                }
            }
        }
    }
    None
}

/// A text as the peer that it names: a URL, `HOST:PORT`, `HOST` or an address.
fn read(text: &str) -> Option<(Host, Option<u16>)> {
    if text.contains("://") {
        let peer = url::peer(text).ok()?;
        return Some((peer.host, Some(peer.port)));
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Some((Host::Ip(address.ip()), Some(address.port())));
    }
    if let Ok(ip) = text.parse() {
        return Some((Host::Ip(ip), None));
    }
    match text.rsplit_once(':') {
        Some((name, port)) => Some((Host::Name(host_name(name)?), Some(port.parse().ok()?))),
        None => Some((Host::Name(host_name(text)?), None)),
    }
}

/// Whether a peer is this host.
fn is_host(peer: &Peer, host: &Host) -> bool {
    match host {
        Host::Ip(ip) => ip.to_canonical() == peer.peer.ip().to_canonical(),
        Host::Name(name) => peer.names.contains(name),
    }
}
