//! What the kernel keeps for each session, by the id of its cgroup.

/// How many sessions can be open at once.
pub const SESSION_SLOTS: u32 = 4096;

/// How many prefixes all sessions together can have.
pub const POLICY_SLOTS: u32 = 1 << 18;

/// The accounts of a session's events. User space inserts the entry once and only reads it afterwards:
/// an update would replace the value and forget what was counted meanwhile.
///
/// An event counts as `made` before its record is put into the ring, and as `lost` if the ring refuses
/// it. When a reader has seen `made - lost` records it has seen everything that had happened when it
/// read `made`. Plain additions suffice (kernels before 5.12 have no atomic that returns a value).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C)]
pub struct SessionCounters {
    /// Events that happened.
    pub made: u64,
    /// Events among them for which the ring or the scratch space had no room.
    pub lost: u64,
}

/// The network policy of a session. Replaced as a whole, which the kernel does atomically.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C)]
pub struct SessionPolicy {
    /// Generation of the policy, which is also the number of its table in the trie.
    pub generation: u32,
    /// Zero.
    pub reserved: u32,
}

impl SessionCounters {
    /// The counters as the kernel keeps them.
    #[must_use]
    pub fn from_words([made, lost]: [u64; 2]) -> Self {
        Self { made, lost }
    }
}

impl SessionPolicy {
    /// The value as the kernel reads it.
    #[must_use]
    pub fn to_words(self) -> [u32; 2] {
        [self.generation, self.reserved]
    }
}

#[cfg(test)]
mod tests {
    use core::mem::{offset_of, size_of};

    use super::*;

    #[test]
    fn layouts() {
        assert_eq!(size_of::<SessionCounters>(), 16);
        assert_eq!(offset_of!(SessionCounters, lost), 8);
        assert_eq!(size_of::<SessionPolicy>(), 8);
        assert_eq!(offset_of!(SessionPolicy, generation), 0);
    }
}
