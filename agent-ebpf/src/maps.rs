//! The maps that the programs share with user space.

use aya_ebpf::macros::map;
use aya_ebpf::maps::lpm_trie::{Key, LpmTrie};
use aya_ebpf::maps::{HashMap, PerCpuArray, RingBuf};
use warrantd_common::{
    POLICY_SLOTS, PortRules, RING_BYTES, RulesKey, SESSION_SLOTS, SessionCounters, SessionPolicy,
};

use crate::report::Scratch;

/// `BPF_F_NO_PREALLOC`: an element that is removed while a program still counts in it is freed later,
/// not handed to another session.
const NO_PREALLOC: u32 = 1;

/// How many programs can interrupt each other on one processor and still have room for a path.
pub const NEST_SLOTS: u32 = 3;

/// The event ring.
#[map]
pub static EVENTS: RingBuf = RingBuf::with_byte_size(RING_BYTES, 0);

/// Cgroup id to the accounts of its session. A cgroup that is not here is no session.
#[map]
pub static SESSIONS: HashMap<u64, SessionCounters> =
    HashMap::with_max_entries(SESSION_SLOTS, NO_PREALLOC);

/// Cgroup id to the network policy of its session.
#[map]
pub static POLICIES: HashMap<u64, SessionPolicy> =
    HashMap::with_max_entries(SESSION_SLOTS, NO_PREALLOC);

/// Policy generation and address to the ports that may be reached there.
#[map]
pub static RULES: LpmTrie<RulesKey, PortRules> = LpmTrie::with_max_entries(POLICY_SLOTS, 0);

/// Room to assemble an event with a path, which the 512-byte stack cannot hold.
#[map]
pub static SCRATCH: PerCpuArray<Scratch> = PerCpuArray::with_max_entries(NEST_SLOTS, 0);

/// How many slots of [`SCRATCH`] are in use on this processor.
#[map]
pub static DEPTH: PerCpuArray<u32> = PerCpuArray::with_max_entries(1, 0);

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
