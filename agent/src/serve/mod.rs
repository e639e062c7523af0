//! The daemon: what a configuration means, wired together.
#![forbid(unsafe_code)]

mod authenticate;
mod daemon;
mod gaps;
mod keyring;
mod load;

pub use authenticate::AUTHENTICATE;
pub use daemon::{Daemon, DaemonError};
pub use gaps::record_gaps;
pub use keyring::Keyring;
pub use load::{Loaded, LoadedServer, load, load_policy};
