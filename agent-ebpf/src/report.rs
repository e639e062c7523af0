//! Getting events to user space: accounts first, then the ring.

use core::arch::asm;
use core::mem::{MaybeUninit, size_of};

use aya_ebpf::bindings::{BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP};
use aya_ebpf::helpers::generated;
use warrantd_common::{
    ENTRY_WORDS, EventHeader, EventKind, FileEvent, FileNameKey, NetworkEvent, Outcome, PATH_BYTES,
    RING_BYTES, SessionCounters, TAIL_BYTES,
};

use crate::kernel::opaque;
use crate::maps::{EVENTS, SCRATCH, SCRATCH_SLOTS, SESSIONS};

/// Room for one event with a path and a tail.
#[repr(C)]
pub struct Scratch {
    /// Thread id of the task that fills the slot, 0 when it is free.
    pub owner: u32,
    /// Generation of the rules that a path walk consults, 0 for none.
    pub rules: u32,
    /// How many directories above the leaf a path walk is.
    pub level: u32,
    /// Device of the file system that it is in, when it consults rules.
    pub dev: u32,
    /// What the rules met on the walk grant, in bits of [`warrantd_common::modes`].
    pub granted: u32,
    /// 1 when the leaf has lost its name.
    pub unhashed: u32,
    /// Zero.
    pub reserved: u32,
    /// Length of the leaf's name.
    pub leaf_len: u32,
    /// Address of the leaf's name.
    pub leaf_name: u64,
    /// The entry that a path walk began with.
    pub leaf: u64,
    /// The entry that it has come to.
    pub dentry: u64,
    /// The mount that it is in, a `struct mount`.
    pub mount: u64,
    /// The entry at the root of that.
    pub root: u64,
    /// The mount that it is mounted in: itself, when it is at the top.
    pub above: u64,
    /// The entry there that it is mounted on.
    pub mountpoint: u64,
    /// What was read of an entry, from [`warrantd_common::Layout::dentry_entry`] on.
    pub entry: [u64; ENTRY_WORDS],
    /// Key of the rule on the leaf's name, which the stack has no room for.
    pub key: FileNameKey,
    /// The event.
    pub event: FileEvent,
    /// The components of its path, then its tail.
    pub area: [u8; PATH_BYTES + TAIL_BYTES],
}

/// The accounts of one session.
#[derive(Clone, Copy)]
pub struct Session {
    counters: *mut SessionCounters,
    id: u64,
}

/// What a loss is counted as.
#[derive(Clone, Copy)]
enum Class {
    Files,
    Programs,
    Network,
}

impl Session {
    /// The session whose cgroup has this id, if it is one.
    #[inline(always)]
    pub fn find(cgroup_id: u64) -> Option<Self> {
        SESSIONS.get_ptr_mut(cgroup_id).map(|counters| Self { counters, id: cgroup_id })
    }

    /// Id of the session's cgroup.
    #[inline(always)]
    pub fn id(self) -> u64 {
        self.id
    }

    /// Fills in the header of a blank event, but for the process.
    #[inline(always)]
    pub fn begin(
        self,
        header: &mut EventHeader,
        kind: EventKind,
        outcome: Outcome,
        generation: u32,
    ) {
        // SAFETY: the helper takes no arguments and always succeeds.
        header.boot_ns = unsafe { generated::bpf_ktime_get_boot_ns() };
        header.cgroup_id = self.id;
        header.generation = generation;
        header.kind = kind as u8;
        header.outcome = outcome as u8;
    }

    /// Counts and sends an event without a path.
    #[inline(always)]
    pub fn send(self, event: &NetworkEvent) {
        self.count_made();
        self.output(
            Class::Network,
            core::ptr::from_ref(event).cast(),
            size_of::<NetworkEvent>() as u64,
            event.header.outcome == Outcome::Denied as u8,
        );
    }

    /// Lets `fill` write an event with a path, counts and sends it if `fill` says so, and returns whether
    /// what it reports may happen; `None` when there was no room to find out, which counts as a loss.
    ///
    /// A task can be preempted in the middle, and another that runs on the same processor begin an event
    /// of its own. So tasks take different slots, by thread id; one that finds its slot taken, or taken
    /// away, has lost.
    #[inline(always)]
    pub fn file(self, kind: EventKind, fill: impl FnOnce(&mut Scratch) -> bool) -> Option<bool> {
        let class = if matches!(kind, EventKind::Exec) { Class::Programs } else { Class::Files };
        // SAFETY: the helper takes no arguments and always succeeds.
        let owner = unsafe { generated::bpf_get_current_pid_tgid() } as u32;
        let taken = match SCRATCH.get_ptr_mut(owner & (SCRATCH_SLOTS - 1)) {
            // SAFETY: the pointer is a value of this processor's own map element.
            Some(scratch) => unsafe { &mut *scratch },
            None => return self.lose(class),
        };
        if load(&raw const taken.owner) != 0 {
            return self.lose(class);
        }
        store(&raw mut taken.owner, owner);
        zero((&raw mut taken.event).cast(), size_of::<FileEvent>() / 8);
        let wanted = fill(taken);
        if load(&raw const taken.owner) != owner {
            return self.lose(class);
        }
        let denied = taken.event.header.outcome == Outcome::Denied as u8;
        if wanted {
            self.count_made();
            self.output_file(class, taken, denied);
        }
        store(&raw mut taken.owner, 0);
        Some(!denied)
    }

    #[inline(always)]
    fn output_file(self, class: Class, scratch: &Scratch, denied: bool) {
        let path = bounded(scratch.event.path_len, PATH_BYTES as u64);
        let tail = bounded(scratch.event.tail_len, TAIL_BYTES as u64);
        let length = size_of::<FileEvent>() as u64 + path + tail;
        self.output(class, (&raw const scratch.event).cast(), length, denied);
    }

    /// Ordinary events wait for a reader that comes by; refusals and a filling ring call one.
    #[inline(always)]
    fn output(self, class: Class, data: *const u8, length: u64, urgent: bool) {
        let ring = (&raw const EVENTS).cast_mut().cast();
        let waiting = EVENTS.query(BPF_RB_AVAIL_DATA as u64);
        let flags = if urgent || waiting > (RING_BYTES / 2) as u64 {
            BPF_RB_FORCE_WAKEUP
        } else {
            BPF_RB_NO_WAKEUP
        };
        // SAFETY: `data` points to at least `length` initialised bytes of the stack or the scratch slot.
        let status = unsafe {
            generated::bpf_ringbuf_output(ring, data.cast_mut().cast(), length, flags as u64)
        };
        if status != 0 {
            self.count_lost(class);
        }
    }

    /// Counts an event that could not even be begun.
    #[inline(always)]
    fn lose(self, class: Class) -> Option<bool> {
        self.count_made();
        self.count_lost(class);
        None
    }

    /// Counts a packet from elsewhere that is not let in.
    #[inline(always)]
    pub fn refuse_inbound(self) {
        // SAFETY: the map lookup that made `self` found a live element.
        add_one(unsafe { &raw mut (*self.counters).refused_inbound });
    }

    #[inline(always)]
    fn count_made(self) {
        // SAFETY: as above.
        add_one(unsafe { &raw mut (*self.counters).made });
    }

    #[inline(always)]
    fn count_lost(self, class: Class) {
        // SAFETY: as above.
        let counters = unsafe { &mut *self.counters };
        add_one(match class {
            Class::Files => &raw mut counters.lost_files,
            Class::Programs => &raw mut counters.lost_programs,
            Class::Network => &raw mut counters.lost_network,
        });
    }
}

/// A length from memory, never above `most`, in the form the verifier follows.
#[inline(always)]
fn bounded(length: u16, most: u64) -> u64 {
    let length = opaque(u64::from(length)) & 0xffff;
    if length > most { most } else { length }
}

/// Reads a field that another task may write.
#[inline(always)]
pub fn load(field: *const u32) -> u32 {
    // SAFETY: callers pass a field of the scratch slot.
    unsafe { field.read_volatile() }
}

/// Writes a field that another task may read.
#[inline(always)]
pub fn store(field: *mut u32, value: u32) {
    // SAFETY: callers pass a field of the scratch slot.
    unsafe { field.write_volatile(value) };
}

/// Adds one atomically. Written out, because the instruction that also returns the old value, which a
/// compiler may choose, is refused by kernels before 5.12.
#[inline(always)]
fn add_one(counter: *mut u64) {
    // SAFETY: the counter is aligned, lives in a map element and is only ever changed like this.
    unsafe {
        asm!("lock *(u64 *)({counter} + 0) += {one}", counter = in(reg) counter, one = in(reg) 1u64);
    }
}

/// Makes an event zeros.
#[inline(always)]
pub fn blank(event: &mut MaybeUninit<NetworkEvent>) -> &mut NetworkEvent {
    zero(event.as_mut_ptr().cast(), size_of::<NetworkEvent>() / 8);
    // SAFETY: every byte has been written, and zeros are a value of all fields.
    unsafe { event.assume_init_mut() }
}

const _: () = assert!(size_of::<FileEvent>() % 8 == 0 && size_of::<NetworkEvent>() % 8 == 0);

/// Writes an address into an event, word by word.
#[inline(always)]
pub fn set_address(event: &mut NetworkEvent, words: [u32; 4]) {
    let place = (&raw mut event.address).cast::<u32>();
    for (index, word) in words.into_iter().enumerate() {
        // SAFETY: the field has four words and begins at a multiple of eight.
        unsafe { place.add(index).write_volatile(word) };
    }
}

/// Writes whole words, one by one: for stretches of odd length or place the compiler would call a loop
/// over bytes.
#[inline(always)]
pub fn zero(start: *mut u64, words: usize) {
    for index in 0..words {
        // SAFETY: callers pass an aligned object of this many words.
        unsafe { start.add(index).write_volatile(0) };
    }
}
