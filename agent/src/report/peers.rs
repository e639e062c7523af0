//! Network peers: which were reached, and which the kernel refused.

use super::denials::Few;
use super::entry::{Deed, Entry};
use super::foreign::Foreign;
use super::ranking::Ranking;
use super::row::Spot;

/// Peers that are told apart.
const APART: usize = 2_000;

/// A peer, by protocol and address; of local ones the path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Address {
    pub(super) protocol: Foreign,
    pub(super) peer: Foreign,
}

/// What is known of a peer.
#[derive(Debug, Clone, Default)]
pub(super) struct Peer {
    /// Reached as a warrant allows.
    pub(super) within: u64,
    /// Reached although no warrant allows it.
    pub(super) beyond: u64,
    /// Tried, and refused by the kernel.
    pub(super) refused: u64,
    /// Names that led there.
    pub(super) names: Few,
    pub(super) servers: Few,
    pub(super) what: Few,
    pub(super) last: Spot,
    pub(super) last_at: Foreign,
}

/// All peers, and names that servers asked for in vain.
#[derive(Debug, Clone)]
pub(super) struct Peers {
    peers: Ranking<Address, Peer>,
    names: Ranking<(Option<Foreign>, Foreign), (u64, Spot)>,
}

impl Default for Peers {
    fn default() -> Self {
        Self { peers: Ranking::new(APART), names: Ranking::new(APART) }
    }
}

impl Peers {
    /// Takes what a record says of peers.
    pub(super) fn take(&mut self, entry: &Entry) {
        if entry.is("name_refused")
            && let Some(error) = &entry.error
        {
            let key = (entry.server_id.as_ref().map(Foreign::name), error.name());
            if let Some((count, last)) = self.names.of(key) {
                *count += 1;
                *last = Spot::of(entry);
            }
        }
        let Some(effects) = &entry.effects else { return };
        effects.warranted.iter().for_each(|deed| self.deed(entry, deed, true));
        effects.exceeded.iter().for_each(|deed| self.deed(entry, deed, false));
    }

    fn deed(&mut self, entry: &Entry, deed: &Deed, warranted: bool) {
        let address = match (deed.kind.as_str(), &deed.peer, &deed.path) {
            ("connect" | "send" | "packet" | "late_packet", Some(peer), _) => Address {
                protocol: deed.protocol.clone().unwrap_or_default().name(),
                peer: peer.name(),
            },
            ("connect_unix", _, Some(path)) => {
                Address { protocol: "unix".into(), peer: path.name() }
            }
            _ => return,
        };
        let Some(peer) = self.peers.of(address) else { return };
        match (deed.is_refused(), warranted) {
            (true, _) => peer.refused += 1,
            (false, true) => peer.within += 1,
            (false, false) => peer.beyond += 1,
        }
        deed.names.iter().for_each(|name| peer.names.add(Some(name)));
        peer.servers.add(entry.server_id.as_ref());
        peer.what.add(entry.what());
        peer.last = Spot::of(entry);
        peer.last_at = entry.timestamp.clone();
    }

    /// Those that matter most: reached beyond a warrant, refused, then the others. How many more there are,
    /// and effects on peers that are not told apart.
    pub(super) fn most(&self, most: usize) -> (Vec<(&Address, &Peer)>, usize, u64) {
        let (top, more) = self.peers.top(most, |peer| (peer.beyond, peer.refused, peer.within));
        (top, more, self.peers.beyond())
    }

    /// How many peers were reached, and how many of all were refused.
    pub(super) fn counts(&self) -> (usize, usize) {
        let reached = self.peers.iter().filter(|(_, peer)| peer.within + peer.beyond > 0).count();
        let refused = self.peers.iter().filter(|(_, peer)| peer.refused > 0).count();
        (reached, refused)
    }

    /// Names that were asked for in vain: by which server, which name and why, how often and where last.
    #[allow(clippy::type_complexity)] // Said in the line above.
    pub(super) fn names(
        &self,
        most: usize,
    ) -> (Vec<(&(Option<Foreign>, Foreign), &(u64, Spot))>, usize) {
        self.names.top(most, |(count, _)| *count)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn entry(list: &str, outcome: &str, peer: &str) -> Entry {
        let deed = json!({"kind": "connect", "outcome": outcome, "peer": peer, "protocol": "tcp"});
        let read = json!({"kind": "file_read", "outcome": "allowed", "path": "/x"});
        let mut value =
            json!({"event": "call", "tool_name": "t", "effects": {"verdict": "WITHIN"}});
        value["effects"][list] = Value::from(vec![deed, read]);
        Entry::read(value.to_string().as_bytes()).expect("a record")
    }

    #[test]
    fn reached_and_refused_are_apart() {
        let mut peers = Peers::default();
        peers.take(&entry("warranted", "allowed", "192.0.2.1:443"));
        peers.take(&entry("warranted", "allowed", "192.0.2.1:443"));
        peers.take(&entry("exceeded", "denied", "169.254.169.254:80"));
        peers.take(&entry("exceeded", "allowed", "192.0.2.9:443"));
        let (most, more, beyond) = peers.most(9);
        let told: Vec<_> =
            most.iter().map(|(a, p)| (a.peer.as_str(), p.within, p.beyond, p.refused)).collect();
        let expected = [
            ("192.0.2.9:443", 0, 1, 0),
            ("169.254.169.254:80", 0, 0, 1),
            ("192.0.2.1:443", 2, 0, 0),
        ];
        assert_eq!((told, more, beyond), (expected.to_vec(), 0, 0));
        assert_eq!(peers.counts(), (2, 1));
    }
}
