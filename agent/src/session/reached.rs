//! Whom servers reached, or tried to: by server, over all its sessions, since warrantd started.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::policy::network::Protocol;
use crate::warrant::{Effect, EffectKind, Outcome, Target};

/// Peers that are remembered of one server; the one that was reached longest ago goes first.
const MOST: usize = 32;

/// A peer that a server reached, or tried to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReachedPeer {
    /// Address and port.
    pub peer: SocketAddr,
    /// Transport protocol.
    pub protocol: Protocol,
    /// A name that led there, if one did.
    pub name: Option<String>,
    /// How often the kernel let it.
    pub allowed: u64,
    /// How often it did not.
    pub denied: u64,
    /// When it was last: ISO 8601, UTC.
    pub last: String,
}

/// The peers of all servers.
#[derive(Debug, Default)]
pub(super) struct Reached {
    servers: Mutex<BTreeMap<String, Peers>>,
}

type Peers = HashMap<(SocketAddr, Protocol), Known>;

#[derive(Debug)]
struct Known {
    name: Option<String>,
    allowed: u64,
    denied: u64,
    last: Timestamp,
}

impl Reached {
    /// Notes what effects of a server say of its peers.
    pub(super) fn note(&self, server: &str, effects: &[Effect], now: impl Fn() -> Timestamp) {
        let mut outward = effects.iter().filter_map(outward).peekable();
        if outward.peek().is_none() {
            return;
        }
        let now = now();
        let mut servers = self.lock();
        let peers = servers.entry(server.to_owned()).or_default();
        for (key, name, outcome) in outward {
            let known = peers.entry(key);
            let known = known.or_insert(Known { name: None, allowed: 0, denied: 0, last: now });
            known.last = now;
            known.name = name.cloned().or_else(|| known.name.take());
            match outcome {
                Outcome::Allowed => known.allowed += 1,
                Outcome::Denied => known.denied += 1,
            }
            if peers.len() > MOST
                && let Some(oldest) = peers
                    .iter()
                    .filter(|(other, _)| **other != key)
                    .min_by_key(|(_, known)| known.last)
                    .map(|(other, _)| *other)
            {
                peers.remove(&oldest);
            }
        }
    }

    /// The peers of a server, the latest first.
    pub(super) fn of(&self, server: &str) -> Vec<ReachedPeer> {
        let servers = self.lock();
        let mut known: Vec<_> = servers.get(server).into_iter().flatten().collect();
        known.sort_by_key(|((peer, protocol), known)| {
            (std::cmp::Reverse(known.last), *peer, protocol.to_string())
        });
        let told = |(&(peer, protocol), known): (&(SocketAddr, Protocol), &Known)| ReachedPeer {
            peer,
            protocol,
            name: known.name.clone(),
            allowed: known.allowed,
            denied: known.denied,
            last: format!("{:.0}", known.last),
        };
        known.into_iter().map(told).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Peers>> {
        // Every change is one step, so what a panic left is consistent.
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The peer of an effect that goes out.
fn outward(effect: &Effect) -> Option<((SocketAddr, Protocol), Option<&String>, Outcome)> {
    use EffectKind::{Connect, LatePacket, Packet, Send};
    match &effect.target {
        Target::Peer(peer) if matches!(effect.kind, Connect | LatePacket | Packet | Send) => {
            Some(((peer.peer, peer.protocol), peer.names.first(), effect.outcome))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::warrant::{Peer, Process};

    fn effect(kind: EffectKind, peer: &str, outcome: Outcome, name: Option<&str>) -> Effect {
        Effect {
            kind,
            outcome,
            target: Target::Peer(Peer {
                peer: peer.parse().expect("an address"),
                protocol: Protocol::Tcp,
                names: name.into_iter().map(str::to_owned).collect(),
            }),
            argv: Vec::new(),
            argv_cut: false,
            process: Process { pid: 7, tid: 7, uid: 1, exe: "/bin/x".into() },
            seq: 1,
            boot_ns: 1,
        }
    }

    fn at(second: i64) -> impl Fn() -> Timestamp {
        move || Timestamp::from_second(second).expect("a time")
    }

    #[test]
    fn peers_are_remembered_with_what_became_of_it() {
        let reached = Reached::default();
        let connect = |outcome, name| effect(EffectKind::Connect, "192.0.2.1:443", outcome, name);
        reached.note("web", &[connect(Outcome::Allowed, Some("a.example"))], at(1));
        reached.note("web", &[connect(Outcome::Denied, None)], at(2));
        reached.note(
            "web",
            &[effect(EffectKind::Send, "192.0.2.2:53", Outcome::Allowed, None)],
            at(3),
        );
        let bound = effect(EffectKind::Bind, "127.0.0.1:80", Outcome::Allowed, None);
        reached.note("web", &[bound], at(4));
        let peers = reached.of("web");
        assert_eq!(peers.len(), 2, "{peers:?}");
        assert_eq!(peers[0].peer.to_string(), "192.0.2.2:53", "the latest first");
        assert_eq!((peers[1].allowed, peers[1].denied), (1, 1));
        assert_eq!(peers[1].name.as_deref(), Some("a.example"));
        assert_eq!(peers[1].last, "1970-01-01T00:00:02Z");
        assert!(reached.of("files").is_empty());
    }

    #[test]
    fn a_scan_does_not_fill_the_memory() {
        let reached = Reached::default();
        for port in 1..1000 {
            let peer = format!("192.0.2.1:{port}");
            let scan = effect(EffectKind::Connect, &peer, Outcome::Denied, None);
            reached.note("web", &[scan], at(port));
        }
        let peers = reached.of("web");
        assert_eq!(peers.len(), MOST);
        assert!(peers.iter().all(|peer| peer.peer.port() >= 968), "the latest stay");
    }
}
