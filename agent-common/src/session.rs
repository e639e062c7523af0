//! What the kernel keeps for each session, by the id of its cgroup.

use crate::rules::PortRule;

/// How many sessions can be open at once.
pub const SESSION_SLOTS: u32 = 4096;

/// How many prefixes all sessions together can have.
pub const POLICY_SLOTS: u32 = 1 << 18;

/// How many ranges of local ports a session can listen on.
pub const MAX_LISTEN: usize = 8;

/// The accounts of a session's events. User space inserts the entry once and only reads it afterwards:
/// an update would replace the value and forget what was counted meanwhile.
///
/// An event counts as `made` before its record is put into the ring, and as lost if the ring refuses
/// it. When a reader has seen `made - lost` records it has seen everything that had happened when it
/// read `made`. Plain additions suffice (kernels before 5.12 have no atomic that returns a value).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C)]
pub struct SessionCounters {
    /// Events that happened.
    pub made: u64,
    /// Events on files among them for which the ring or the scratch space had no room.
    pub lost_files: u64,
    /// Started programs among them, likewise.
    pub lost_programs: u64,
    /// Events on the network among them, likewise.
    pub lost_network: u64,
    /// Packets from elsewhere that were not let in. They are nobody's event: whoever can reach the
    /// host could fill the ring with them.
    pub refused_inbound: u64,
}

/// The policy of a session. Replaced as a whole, which the kernel does atomically.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C)]
pub struct SessionPolicy {
    /// Generation of the network policy, which is also the number of its table in the trie.
    pub generation: u32,
    /// Number of the table that is open now: the policy's own, a part of it, or 0 for nothing.
    pub open: u32,
    /// Generation of the file rules that are enforced; 0 when files are only observed.
    pub files: u32,
    /// Mark (`SO_MARK`) that a new connection from outside must carry; 0 when none need to.
    pub mark: u32,
    /// Port of the session's resolver on 127.0.0.1, 0 when there is none.
    pub resolver_v4: u16,
    /// Port of the session's resolver on `::1`, 0 when there is none.
    pub resolver_v6: u16,
    /// How many of `listen` count.
    pub listen_count: u32,
    /// Generation of the file rules that name the unix sockets to connect to; 0 when there are none.
    pub unix: u32,
    /// Local ports that may be bound and reached from outside.
    pub listen: [PortRule; MAX_LISTEN],
}

impl SessionCounters {
    /// The counters as the kernel keeps them.
    #[must_use]
    pub fn from_words(words: [u64; 5]) -> Self {
        let [made, lost_files, lost_programs, lost_network, refused_inbound] = words;
        Self { made, lost_files, lost_programs, lost_network, refused_inbound }
    }

    /// Events of all classes that were lost.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost_files.saturating_add(self.lost_programs).saturating_add(self.lost_network)
    }
}

impl SessionPolicy {
    /// The value as the kernel reads it.
    #[must_use]
    pub fn to_words(self) -> [u32; 19] {
        let mut words = [0; 19];
        words[0] = self.generation;
        words[1] = self.open;
        words[2] = self.files;
        words[3] = self.mark;
        words[4] = pair(self.resolver_v4, self.resolver_v6);
        words[5] = self.listen_count;
        words[6] = self.unix;
        let ports = self.listen.iter().flat_map(|rule| [rule.protocol, rule.low, rule.high]);
        let mut halves = ports.into_iter();
        for word in &mut words[7..] {
            *word = pair(halves.next().unwrap_or(0), halves.next().unwrap_or(0));
        }
        words
    }
}

/// Two neighbouring 16-bit numbers as one word of the host's byte order.
fn pair(first: u16, second: u16) -> u32 {
    let ([a, b], [c, d]) = (first.to_ne_bytes(), second.to_ne_bytes());
    u32::from_ne_bytes([a, b, c, d])
}

#[cfg(test)]
mod tests {
    use core::mem::{offset_of, size_of};

    use super::*;

    #[test]
    fn layouts() {
        assert_eq!(size_of::<SessionCounters>(), 40);
        assert_eq!(offset_of!(SessionCounters, lost_files), 8);
        assert_eq!(offset_of!(SessionCounters, refused_inbound), 32);
        assert_eq!(size_of::<SessionPolicy>(), 76);
        assert_eq!(offset_of!(SessionPolicy, open), 4);
        assert_eq!(offset_of!(SessionPolicy, resolver_v4), 16);
        assert_eq!(offset_of!(SessionPolicy, resolver_v6), 18);
        assert_eq!(offset_of!(SessionPolicy, listen_count), 20);
        assert_eq!(offset_of!(SessionPolicy, listen), 28);
    }

    #[test]
    fn words_follow_the_layout() {
        let mut policy = SessionPolicy { generation: 1, open: 9, files: 2, ..Default::default() };
        policy.mark = 3;
        policy.resolver_v4 = 4;
        policy.listen[1] = PortRule { protocol: 6, low: 7, high: 8 };
        let words = policy.to_words();
        assert_eq!((words[0], words[1], words[2]), (1, 9, 2));
        assert_eq!((words[3], words[4]), (3, pair(4, 0)));
        assert_eq!((words[8], words[9]), (pair(0, 6), pair(7, 8)));
    }
}
