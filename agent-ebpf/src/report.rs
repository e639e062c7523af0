//! Getting events to user space: accounts first, then the ring.

use core::arch::asm;
use core::mem::{MaybeUninit, size_of};

use aya_ebpf::bindings::{BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP};
use aya_ebpf::helpers::generated;
use warrantd_common::{
    EventHeader, EventKind, FileEvent, NetworkEvent, Outcome, PATH_BYTES, RING_BYTES,
    SessionCounters,
};

use crate::kernel::opaque;
use crate::maps::{DEPTH, EVENTS, NEST_SLOTS, SCRATCH, SESSIONS};
use crate::path::COMPONENT_BYTES;

/// Room for one event with a path. The path area is longer than a path may be by one component, so
/// that a write at the last allowed offset stays inside.
#[repr(C)]
pub struct Scratch {
    /// The event.
    pub event: FileEvent,
    /// The components of its path.
    pub path: [u8; PATH_BYTES + COMPONENT_BYTES],
}

/// The accounts of one session.
#[derive(Clone, Copy)]
pub struct Session {
    counters: *mut SessionCounters,
    id: u64,
}

impl Session {
    /// The session whose cgroup has this id, if it is one.
    #[inline(always)]
    pub fn find(cgroup_id: u64) -> Option<Self> {
        SESSIONS.get_ptr_mut(cgroup_id).map(|counters| Self { counters, id: cgroup_id })
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
            core::ptr::from_ref(event).cast(),
            size_of::<NetworkEvent>() as u64,
            event.header.outcome == Outcome::Denied as u8,
        );
    }

    /// Counts an event with a path, lets `fill` write it, and sends it. `fill` returns how many bytes
    /// of path it wrote. Without room to write it, the event counts as lost.
    #[inline(always)]
    pub fn send_file(self, fill: impl FnOnce(&mut Scratch) -> usize) {
        self.count_made();
        let Some(depth) = DEPTH.get_ptr_mut(0) else {
            return self.count_lost();
        };
        // A program that interrupts this one leaves the counter as it found it, so plain steps do.
        // SAFETY: the pointer is a value of this processor's own map element.
        let slot = unsafe { depth.read_volatile() };
        if slot >= NEST_SLOTS {
            return self.count_lost();
        }
        // SAFETY: as above.
        unsafe { depth.write_volatile(slot + 1) };
        match SCRATCH.get_ptr_mut(slot) {
            // SAFETY: the slot is this program's until the counter goes down again.
            Some(scratch) => self.fill_and_output(unsafe { &mut *scratch }, fill),
            None => self.count_lost(),
        }
        // SAFETY: as above.
        unsafe { depth.write_volatile(slot) };
    }

    #[inline(always)]
    fn fill_and_output(self, scratch: &mut Scratch, fill: impl FnOnce(&mut Scratch) -> usize) {
        zero((&raw mut scratch.event).cast(), size_of::<FileEvent>() / 8);
        let path = fill(scratch);
        // A path of PATH_BYTES exactly still passes: the mask is twice as long.
        let path = opaque(path as u64) & (2 * PATH_BYTES as u64 - 1);
        let path = if path > PATH_BYTES as u64 { PATH_BYTES as u64 } else { path };
        let length = size_of::<FileEvent>() as u64 + path;
        self.output(core::ptr::from_ref(scratch).cast(), length, false);
    }

    /// Ordinary events wait for a reader that comes by; refusals and a filling ring call one.
    #[inline(always)]
    fn output(self, data: *const u8, length: u64, urgent: bool) {
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
            self.count_lost();
        }
    }

    #[inline(always)]
    fn count_made(self) {
        // SAFETY: the map lookup that made `self` found a live element.
        add_one(unsafe { &raw mut (*self.counters).made });
    }

    #[inline(always)]
    fn count_lost(self) {
        // SAFETY: the map lookup that made `self` found a live element.
        add_one(unsafe { &raw mut (*self.counters).lost });
    }
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
pub fn blank<T: Event>(event: &mut MaybeUninit<T>) -> &mut T {
    zero(event.as_mut_ptr().cast(), size_of::<T>() / 8);
    // SAFETY: every byte has been written, and zeros are a value of all fields.
    unsafe { event.assume_init_mut() }
}

/// Events of whole words.
pub trait Event: Copy {}
impl Event for FileEvent {}
impl Event for NetworkEvent {}

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
fn zero(start: *mut u64, words: usize) {
    for index in 0..words {
        // SAFETY: callers pass an aligned object of this many words.
        unsafe { start.add(index).write_volatile(0) };
    }
}
