//! Which names led to which addresses, so that a connection can be told by its name.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

/// Addresses that are remembered; the oldest goes first. A connection to one that was forgotten has
/// no name, and is then covered by no warrant that names hosts.
const MAX_ADDRESSES: usize = 4096;

/// Names that are remembered of one address. Large networks serve many from one.
const MAX_NAMES: usize = 32;

/// Names by address.
#[derive(Debug, Default)]
pub(super) struct Known {
    names: HashMap<IpAddr, VecDeque<String>>,
    /// The addresses by age.
    order: VecDeque<IpAddr>,
}

impl Known {
    /// Notes that `name` has led to `address`, in the form in which the kernel looks it up.
    pub(super) fn note(&mut self, address: IpAddr, name: &str) {
        if !self.names.contains_key(&address) {
            if self.order.len() >= MAX_ADDRESSES
                && let Some(oldest) = self.order.pop_front()
            {
                self.names.remove(&oldest);
            }
            self.order.push_back(address);
        }
        let names = self.names.entry(address).or_default();
        if names.iter().any(|known| known == name) {
            return;
        }
        if names.len() >= MAX_NAMES {
            names.pop_front();
        }
        names.push_back(name.to_owned());
    }

    /// The names that have led to an address, the oldest first.
    pub(super) fn names(&self, address: IpAddr) -> Vec<String> {
        self.names.get(&address).into_iter().flatten().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn names_are_remembered_within_bounds() {
        let mut known = Known::default();
        let address = |n: u32| IpAddr::V4(Ipv4Addr::from(n));
        for n in 0..5000 {
            known.note(address(n), "a.example");
            known.note(address(n), "b.example");
            known.note(address(n), "a.example");
        }
        assert_eq!(known.names(address(4999)), ["a.example", "b.example"]);
        assert!(known.names(address(0)).is_empty() && known.names.len() == MAX_ADDRESSES);
        for n in 0..100 {
            known.note(address(4999), &format!("n{n}.example"));
        }
        assert_eq!(known.names(address(4999)).len(), MAX_NAMES);
    }
}
