//! What a call may do, and whether it kept to it. Pure: no I/O, no clock.
//!
//! [`Rules`] are the `effects` of a policy; from them and a decision comes the [`Warrant`] of one
//! call. Each effect that the kernel reports is judged against the warrants in flight ([`judge`]),
//! and a call's judged effects make its [`Verdict`].
#![forbid(unsafe_code)]

mod ambient;
mod derive;
mod effect;
mod grant;
mod named;
mod peers;
mod roots;
mod rules;
mod template;
mod verify;

pub use crate::policy::network::Protocol;
pub use ambient::Ambient;
pub use effect::{Effect, EffectKind, FileTarget, Outcome, Peer, Process, Target};
pub use grant::{
    DELETE, FileGrant, PeerGrant, READ, RunGrant, Scope, WRITE, Warrant, WarrantForm, Whom,
};
pub use named::IssueError;
pub use roots::{Extent, Place, Roots};
pub use rules::Rules;
pub use verify::{Judged, Observation, Standing, Verdict, judge};
