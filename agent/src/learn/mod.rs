//! From the audit log to a least-privilege policy for people to review.
//!
//! Pure: records in, a policy out; the same records give the same policy, in whatever order they come.
//! What is learned from are calls that ended well and whose effects are known whole ([`Material`]). An
//! effect that follows from an argument becomes a template (`${arguments.path}`), any other becomes what
//! it was, generalised only where that is safe to read ([`Learned`]). What needs eyes says so.
#![forbid(unsafe_code)]

mod access;
mod argument;
mod compare;
mod constraints;
mod entry;
mod evidence;
mod exec;
pub(crate) mod flow;
mod glob;
mod grants;
mod header;
mod item;
mod material;
mod outside;
mod peers;
mod places;
mod policy;
mod rate;
mod review;
mod select;
mod tool;
mod trial;
mod unused;
mod yaml;

#[cfg(test)]
mod tests;

pub use compare::{Difference, compare};
pub use entry::{Entry, LogFile};
pub use item::{Item, Seen, Unit};
pub use material::{Material, Outside, Reason};
pub use policy::{Grants, Learned, LearnedActor, LearnedConstraint, learn};
pub use select::{LearnError, select};
pub use trial::{Refusal, Trial};
