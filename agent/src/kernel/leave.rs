//! What of its policy's network a session may use at the moment.
#![forbid(unsafe_code)]

use crate::policy::network::{Allowed, merge};
use crate::policy::{Need, within};
use crate::warrant::{PeerGrant, Whom};

/// What of its policy's network a session may use at the moment. It never opens what the policy does
/// not list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leave {
    /// All of it.
    Everything,
    /// These peers alone; none of them: nothing.
    Peers(Vec<PeerGrant>),
}

impl Leave {
    /// The peers by address, in a form in which equal sets are equal. `None` is all of them.
    pub(super) fn needs(&self) -> Option<Vec<Need>> {
        let Self::Peers(peers) = self else { return None };
        let by_address = |peer: &PeerGrant| match peer.whom {
            Whom::Net(net) => Some((net, peer.port)),
            Whom::Name(_) => None,
        };
        let mut needs: Vec<Need> = peers.iter().filter_map(by_address).collect();
        needs.sort_unstable();
        needs.dedup();
        Some(needs)
    }

    /// What may be reached now at an address to which `names` led, of what the policy allows there.
    pub(super) fn named(&self, names: &[String], allowed: &[Allowed]) -> Vec<Allowed> {
        let Self::Peers(peers) = self else { return allowed.to_vec() };
        let covering = peers.iter().filter(|peer| match &peer.whom {
            Whom::Net(_) => false,
            Whom::Name(pattern) => names.iter().any(|name| pattern.covers(name)),
        });
        merge(covering.flat_map(|peer| within(allowed, peer.port)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::network::PortRange;
    use crate::policy::url::HostPattern;

    fn net(text: &str, port: Option<u16>) -> PeerGrant {
        PeerGrant { whom: Whom::Net(text.parse().expect("a net")), port }
    }

    fn name(text: &str, port: Option<u16>) -> PeerGrant {
        PeerGrant { whom: Whom::Name(HostPattern::compile(text).expect("a pattern")), port }
    }

    #[test]
    fn equal_sets_are_equal_needs() {
        let [a, b] = [net("10.0.0.1/32", Some(80)), net("10.0.0.2/32", None)];
        let one = Leave::Peers(vec![a.clone(), b.clone(), name("a.example", None)]);
        let other = Leave::Peers(vec![b, a.clone(), a]);
        assert_eq!(one.needs(), other.needs());
        assert_eq!(Leave::Everything.needs(), None);
        assert_eq!(Leave::Peers(Vec::new()).needs(), Some(Vec::new()));
    }

    #[test]
    fn a_name_opens_its_addresses_on_its_ports() {
        let https = Allowed { protocol: 6, ports: PortRange { low: 443, high: 443 } };
        let all = Allowed { protocol: 6, ports: PortRange::ALL };
        let names = vec!["a.example".to_owned()];
        let leave = Leave::Peers(vec![name("*.example", Some(443)), net("0.0.0.0/0", None)]);
        assert_eq!(leave.named(&names, &[all]), [https]);
        assert_eq!(leave.named(&["b.test".to_owned()], &[all]), [], "another name");
        assert_eq!(Leave::Everything.named(&names, &[all]), [all]);
        assert_eq!(Leave::Peers(Vec::new()).named(&names, &[all]), []);
    }
}
