//! One conversation between a client and a server, driven through the main line: messages are
//! judged on their way in, effects on their way out, and a response is held until they are.
#![forbid(unsafe_code)]

mod call;
mod conversation;
mod files;
mod floor;
mod frozen;
mod gate;
mod inbound;
mod install;
mod listing;
mod loader;
mod names;
mod opening;
mod outbound;
mod pins;
mod queue;
mod request;
mod resolve;
mod rounds;
mod schemas;
mod server;
mod sessions;
mod startup;
mod status;
mod stock;
mod tasks;

pub use conversation::{Context, Ending, SessionError, converse};
pub(crate) use conversation::{MAX_REQUEST, stopped};
pub(crate) use pins::{Content, Store, StoreError};
pub use server::{RunAs, Server, ServerError, ServerSpec};
pub use sessions::{OrderError, Sessions};
pub use status::{FlyingCall, FrozenStatus, SessionStatus, VerdictCounts};
