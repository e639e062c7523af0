//! What a call may do, and whether it kept to it. Pure: no I/O, no clock.
#![forbid(unsafe_code)]

mod effect;

pub use effect::{Effect, EffectKind, FileTarget, Outcome, Peer, Process, Protocol, Target};
