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
