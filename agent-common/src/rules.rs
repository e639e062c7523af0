//! The network rules of all sessions: one longest-prefix-match trie.

/// How many port ranges one prefix can hold.
pub const MAX_PORT_RULES: usize = 16;

/// Data of a trie key, after the prefix length. The first 32 bits always match exactly, so a key's
/// prefix length is 32 plus that of the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct RulesKey {
    /// Generation of the policy, big-endian: tries match from the first byte on.
    pub generation: [u8; 4],
    /// Address in network byte order; IPv4 as `::ffff:a.b.c.d`.
    pub address: [u8; 16],
}

/// A protocol and a range of ports.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C)]
pub struct PortRule {
    /// IP protocol number: 6 or 17.
    pub protocol: u16,
    /// First port.
    pub low: u16,
    /// Last port.
    pub high: u16,
}

/// What may be reached under a prefix. No rule at all is an explicit deny.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C)]
pub struct PortRules {
    /// How many of `rules` count.
    pub count: u32,
    /// The rules, any of which allows.
    pub rules: [PortRule; MAX_PORT_RULES],
}

impl RulesKey {
    /// The key as the kernel reads it.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 20] {
        let mut bytes = [0; 20];
        bytes[..4].copy_from_slice(&self.generation);
        bytes[4..].copy_from_slice(&self.address);
        bytes
    }
}

impl PortRules {
    /// The value as the kernel reads it.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 100] {
        let mut bytes = [0; 100];
        bytes[..4].copy_from_slice(&self.count.to_ne_bytes());
        for (place, rule) in bytes[4..].chunks_exact_mut(6).zip(&self.rules) {
            place[..2].copy_from_slice(&rule.protocol.to_ne_bytes());
            place[2..4].copy_from_slice(&rule.low.to_ne_bytes());
            place[4..].copy_from_slice(&rule.high.to_ne_bytes());
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use core::mem::{offset_of, size_of};

    use super::*;

    #[test]
    fn layouts() {
        assert_eq!(size_of::<RulesKey>(), 20);
        assert_eq!(offset_of!(RulesKey, address), 4);
        assert_eq!(size_of::<PortRule>(), 6);
        assert_eq!(offset_of!(PortRule, low), 2);
        assert_eq!(offset_of!(PortRule, high), 4);
        assert_eq!(size_of::<PortRules>(), 100);
        assert_eq!(offset_of!(PortRules, rules), 4);
    }
}
