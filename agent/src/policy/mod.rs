//! Policy: pure functions from a policy, an actor and a call to a decision.
#![forbid(unsafe_code)]

mod arguments;
mod compile;
mod decide;
pub mod network;
mod paths;

pub use arguments::{PathArgument, path_arguments};
pub use compile::Policy;
pub use decide::{ApprovedPath, Call, Decision, decide};
pub use paths::{PathError, PathGlobs, absolute};
