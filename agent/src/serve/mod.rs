//! The daemon: what a configuration means, wired together.
#![forbid(unsafe_code)]

mod accept;
mod authenticate;
mod control;
mod control_client;
mod control_messages;
mod daemon;
mod fixed;
mod gaps;
mod http_desk;
mod keyring;
mod listen;
mod load;
mod metrics;
pub mod notify;
mod overview;
mod reload;
mod roster;
mod running;
mod shipping;

pub use authenticate::AUTHENTICATE;
pub use control::Control;
pub use control_client::{Instance, instances};
pub use control_messages::{Answer, Refusal, Request};
pub use daemon::{Daemon, DaemonError};
pub use fixed::Fixed;
pub use gaps::record_gaps;
pub use keyring::Keyring;
pub use load::{Loaded, LoadedServer, load, load_policy};
pub use overview::{
    Configuration, ConfigurationView, Counts, Durations, KernelView, LogView, Overseer, Overview,
    PlacedServer, ReceiverView, ServerState, ServerView, Tally,
};
pub use reload::{Order, Orders, ReloadError, Reloaded};
pub use shipping::{Receivers, Shipping};
