//! A warrantd as a whole, for operators: what it is, whom it serves, how calls ended, what it waits for.
//!
//! Everything that is told is bounded: a caller can fill neither the answer nor the screen that shows it.

mod bounds;
mod of_daemon;
mod overseer;
mod tally;
mod told;

pub(super) use of_daemon::of_daemon;
pub use overseer::{Configuration, Overseer, PlacedServer};
pub use tally::Tally;
pub use told::{
    ConfigurationView, Counts, Durations, KernelView, LogView, Overview, ReceiverView, ServerState,
    ServerView,
};
