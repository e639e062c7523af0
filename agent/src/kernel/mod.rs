//! The only place that knows eBPF: loads the kernel programs, gives every session a cgroup and a network
//! policy, spawns servers in it, and turns what the kernel reports into [`Effect`]s.
//!
//! - [`Kernel`] is one running instance: programs attached to one parent cgroup, links and maps pinned so
//!   that enforcement outlives a crash.
//! - [`Session`] is one child cgroup of it, or one cgroup of somebody else to which the programs are attached as
//!   well. The programs find the session by the id of its cgroup.
//! - [`Session::drain`] is the response gate: it returns everything the session's processes had done when
//!   it was called, or says that it could not.
//!
//! [`Effect`]: crate::warrant::Effect

mod account;
mod ahead;
mod attachment;
mod backend;
mod btf;
mod calls;
mod cgroup;
mod confine;
mod decode;
mod delegation;
mod doors;
mod error;
mod file_rules;
mod floor;
mod gap;
mod give_back;
mod in_force;
mod instance;
mod leave;
mod measure;
mod misses;
mod mounts;
mod names;
mod object;
mod observe;
mod offsets;
mod open_peers;
mod path;
mod pools;
mod privileges;
mod process;
mod query;
mod queue;
mod retired;
mod ring;
mod runtime;
mod seccomp;
mod self_test;
mod sent;
mod session;
mod spawn;
mod starter;
mod tables;

pub use account::Lost;
pub use backend::Backend;
pub use doors::Doors;
pub use error::KernelError;
pub use file_rules::{Access, FileRules, Reach};
pub use floor::{Floor, floor_shortcomings};
pub use gap::{Gap, SessionGap};
pub use give_back::give_back_memory;
pub use leave::Leave;
#[doc(hidden)]
pub use measure::OpenHook;
pub use names::NamedAddresses;
pub use open_peers::OpenPeer;
pub use pools::share_pools;
pub use privileges::can_drop;
pub use runtime::{Kernel, KernelOptions};
pub use sent::unacknowledged;
pub use session::{Drained, Session};
pub use spawn::{SpawnSpec, User, spawn_unconfined};
