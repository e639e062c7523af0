//! The maps that the programs share with user space.

use aya_ebpf::macros::map;
use aya_ebpf::maps::lpm_trie::{Key, LpmTrie};
use aya_ebpf::maps::{HashMap, LruHashMap, PerCpuArray, RingBuf};
use warrantd_common::{
    CALL_SLOTS, CallShape, FILE_SLOTS, FileKey, FileNameKey, FileRule, NAMED_SLOTS, Named,
    NamedKey, POLICY_SLOTS, PortRules, RING_BYTES, RulesKey, SESSION_SLOTS, SessionCounters,
    SessionPolicy,
};

use crate::report::Scratch;

/// `BPF_F_NO_PREALLOC`: an element that is removed while a program still counts in it is freed later,
/// not handed to another session.
const NO_PREALLOC: u32 = 1;

/// How many tasks can be in the middle of an event on one processor: a power of two.
pub const SCRATCH_SLOTS: u32 = 16;

/// How many processes and sockets are remembered.
const MEMORY_SLOTS: u32 = 1 << 14;

/// The event ring.
#[map]
pub static EVENTS: RingBuf = RingBuf::with_byte_size(RING_BYTES, 0);

/// Cgroup id to the accounts of its session. A cgroup that is not here is no session.
#[map]
pub static SESSIONS: HashMap<u64, SessionCounters> =
    HashMap::with_max_entries(SESSION_SLOTS, NO_PREALLOC);

/// Cgroup id to the policy of its session.
#[map]
pub static POLICIES: HashMap<u64, SessionPolicy> =
    HashMap::with_max_entries(SESSION_SLOTS, NO_PREALLOC);

/// Policy generation and address to the ports that may be reached there.
#[map]
pub static RULES: LpmTrie<RulesKey, PortRules> = LpmTrie::with_max_entries(POLICY_SLOTS, 0);

/// Session and address to the ports that may be reached there because a name led to it.
#[map]
pub static NAMES: HashMap<NamedKey, Named> = HashMap::with_max_entries(NAMED_SLOTS, NO_PREALLOC);

/// File generation and identity to what may be done there.
#[map]
pub static FILES: HashMap<FileKey, FileRule> = HashMap::with_max_entries(FILE_SLOTS, NO_PREALLOC);

/// The same for names that need not exist.
#[map]
pub static FILE_NAMES: HashMap<FileNameKey, u32> =
    HashMap::with_max_entries(FILE_SLOTS, NO_PREALLOC);

/// System call number to what the call does to names.
#[map]
pub static CALLS: HashMap<u32, CallShape> = HashMap::with_max_entries(CALL_SLOTS, 0);

/// Socket cookie to the name server that the socket believes to talk to.
#[map]
pub static ASKED: LruHashMap<u64, Server> = LruHashMap::with_max_entries(MEMORY_SLOTS, 0);

/// Process to the session it was born in.
#[map]
pub static MEMBERS: LruHashMap<u32, Member> = LruHashMap::with_max_entries(MEMORY_SLOTS, 0);

/// Room to assemble an event with a path, which the 512-byte stack cannot hold.
#[map]
pub static SCRATCH: PerCpuArray<Scratch> = PerCpuArray::with_max_entries(SCRATCH_SLOTS, 0);

/// Address and port of a name server, as the context has them.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Server {
    /// The address; IPv4 in the first word.
    pub words: [u32; 4],
    /// The port, in network byte order.
    pub port: u32,
}

/// A process of a session.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Member {
    /// Cgroup id of the session.
    pub cgroup_id: u64,
    /// When the process began: its id may belong to another by now.
    pub started: u64,
}

/// Key of [`RULES`] for one address: all bits count. In words, because the packed struct would be written
/// byte by byte.
#[repr(C, align(8))]
pub struct AddressKey([u32; 6]);

impl AddressKey {
    /// The key for an address in words of network byte order.
    #[inline(always)]
    pub fn new(generation: u32, [a, b, c, d]: [u32; 4]) -> Self {
        Self([32 + 128, generation.to_be(), a, b, c, d])
    }

    /// The key as the map takes it.
    #[inline(always)]
    pub fn as_key(&self) -> &Key<RulesKey> {
        // SAFETY: a prefix length and 20 bytes; the packed struct asks for no alignment.
        unsafe { &*(&raw const self.0).cast() }
    }
}

const _: () = assert!(size_of::<AddressKey>() == size_of::<Key<RulesKey>>());

/// Key of [`NAMES`], in words for the same reason.
#[repr(C)]
pub struct SessionAddress(u64, [u32; 4]);

impl SessionAddress {
    /// The key for an address in words of network byte order.
    #[inline(always)]
    pub fn new(cgroup_id: u64, words: [u32; 4]) -> Self {
        Self(cgroup_id, words)
    }

    /// The key as the map takes it.
    #[inline(always)]
    pub fn as_key(&self) -> &NamedKey {
        // SAFETY: 24 bytes without padding, and at least as aligned.
        unsafe { &*core::ptr::from_ref(self).cast() }
    }
}

const _: () = assert!(size_of::<SessionAddress>() == size_of::<NamedKey>());
