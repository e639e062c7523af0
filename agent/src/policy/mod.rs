//! Policy: pure functions from a policy, an actor and a call to a decision.
#![forbid(unsafe_code)]

mod arguments;
mod check;
mod compile;
mod decide;
mod disguise;
mod glob_sets;
mod limits;
mod methods;
mod names;
mod narrow;
mod near_miss;
pub mod network;
mod observe;
mod offer;
mod paths;
pub mod pin;
mod rate;
mod reach;
pub mod schema;
pub mod sql;
pub mod url;

pub use arguments::{means_path, means_query, means_url};
pub use compile::Policy;
pub use decide::{ApprovedPath, Call, Decision, decide};
pub use methods::{
    Asked, Inquiry, MAX_INQUIRIES, decide_answer, decide_method, inquiries, method_arguments,
    method_near_miss, method_remarks, request_summary,
};
pub use names::{MAX_FREEDOM, NameDenial, NameMatch, Names};
pub use narrow::{Need, within};
pub use near_miss::near_miss;
pub use paths::{PathError, PathGlobs, absolute, literal};
pub use rate::{RateLimiter, RateLimits, Subject, TooSoon};
pub use reach::Reach;
