//! One conversation between a client and a server, driven through the main line: messages are
//! judged on their way in, effects on their way out, and a response is held until they are.
#![forbid(unsafe_code)]

mod admission;
mod adopt;
mod asking;
mod bridge;
mod call;
mod circumstances;
mod clients;
mod close;
mod conversation;
mod files;
mod floor;
mod frozen;
mod gate;
mod ids;
mod inbound;
mod install;
mod link;
mod listing;
mod loader;
mod methods;
mod names;
mod news;
mod opening;
mod outbound;
mod pins;
mod pool;
mod queue;
mod reached;
mod request;
mod resolve;
mod rounds;
mod schemas;
mod server;
mod sessions;
mod source;
mod start;
mod startup;
mod status;
mod stock;
mod succession;
mod tasks;
mod terms;
mod way;
mod wire;

pub use conversation::{Context, Ending, SessionError};
pub(crate) use conversation::{MAX_REQUEST, stopped};
pub(crate) use pins::{Content, Store, StoreError};
pub use pool::{Crowded, Part, Pool};
pub use reached::ReachedPeer;
pub use server::{RunAs, Server, ServerError, ServerSpec};
pub use sessions::{OrderError, Sessions};
pub use start::converse;
pub use status::{FlyingCall, FrozenStatus, SessionStatus, VerdictCounts};
pub use way::{Manner, Way};
