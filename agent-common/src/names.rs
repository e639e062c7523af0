//! Addresses that a session may reach because a name led to them.

use crate::rules::PortRules;

/// How many such addresses all sessions together can have.
pub const NAMED_SLOTS: u32 = 1 << 16;

/// Which session may reach which address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct NamedKey {
    /// Cgroup id of the session.
    pub cgroup_id: u64,
    /// The address in network byte order; IPv4 as `::ffff:a.b.c.d`.
    pub address: [u8; 16],
}

/// What may be reached there, and until when.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Named {
    /// Nanoseconds since boot, suspend included. Later, no connection begins and no datagram is sent;
    /// connections that began before go on.
    pub expires_ns: u64,
    /// The ports.
    pub ports: PortRules,
    /// Zero.
    pub reserved: u32,
}

impl NamedKey {
    /// The key as the kernel reads it.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 24] {
        let mut bytes = [0; 24];
        bytes[..8].copy_from_slice(&self.cgroup_id.to_ne_bytes());
        bytes[8..].copy_from_slice(&self.address);
        bytes
    }
}

impl Named {
    /// The value as the kernel reads it.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 112] {
        let mut bytes = [0; 112];
        bytes[..8].copy_from_slice(&self.expires_ns.to_ne_bytes());
        bytes[8..108].copy_from_slice(&self.ports.to_bytes());
        bytes
    }
}

#[cfg(test)]
mod tests {
    use core::mem::{offset_of, size_of};

    use super::*;

    #[test]
    fn layouts() {
        assert_eq!(size_of::<NamedKey>(), 24);
        assert_eq!(size_of::<Named>(), 112);
        assert_eq!(offset_of!(Named, ports), 8);
    }
}
