//! The types that cross the kernel boundary: events that the kernel programs write to the ring buffer,
//! map keys and values, and the field offsets that user space hands to the programs at load.
//!
//! Everything is `#[repr(C)]`, has no padding that a compiler could leave uninitialised, and is in the
//! byte order of the host unless a field says otherwise.
#![no_std]
#![forbid(unsafe_code)]

mod calls;
mod event;
mod files;
mod layout;
mod names;
mod rules;
mod session;

pub use calls::{CALL_SLOTS, CallShape, Named as NamedArgument};
pub use event::{
    EventHeader, EventKind, FileEvent, NetworkEvent, Outcome, PATH_BYTES, PATH_COMPONENTS,
    TAIL_BYTES, flags,
};
pub use files::{FILE_SLOTS, FileKey, FileNameKey, FileRule, NAME_BYTES, modes};
pub use layout::{ENTRY_WORDS, Layout};
pub use names::{NAMED_SLOTS, Named, NamedKey};
pub use rules::{MAX_PORT_RULES, PortRule, PortRules, RulesKey};
pub use session::{MAX_LISTEN, POLICY_SLOTS, SESSION_SLOTS, SessionCounters, SessionPolicy};

/// Size of the event ring in bytes: a power of two and a multiple of every page size in use.
pub const RING_BYTES: u32 = 4 << 20;
