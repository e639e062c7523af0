//! One conversation between a client and a server, driven through the main line: messages are
//! judged on their way in, effects on their way out, and a response is held until they are.
#![forbid(unsafe_code)]

mod call;
mod conversation;
mod floor;
mod gate;
mod inbound;
mod install;
mod loader;
mod names;
mod opening;
mod outbound;
mod resolve;
mod schemas;
mod server;
mod startup;

pub use conversation::{Context, Ending, SessionError, converse};
pub(crate) use conversation::{MAX_REQUEST, stopped};
pub use server::{RunAs, Server, ServerError, ServerSpec};
