//! Pinned tools of a server: what was accepted, what its sessions see, and what follows from both.

mod board;
mod notice;
mod seen;
mod store;

pub(super) use board::Pins;
pub(super) use seen::Seen;
pub(crate) use store::{Content, Store, StoreError};
