//! Work that blocks, in the middle of tasks.
#![forbid(unsafe_code)]

use tokio::runtime::{Handle, RuntimeFlavor};

/// Runs what waits for a disk or the kernel so that other tasks go on meanwhile: the runtime, if there is one that can,
/// moves them to another thread.
pub(crate) fn aside<T>(work: impl FnOnce() -> T) -> T {
    let moves = |handle: Handle| handle.runtime_flavor() == RuntimeFlavor::MultiThread;
    if Handle::try_current().is_ok_and(moves) { tokio::task::block_in_place(work) } else { work() }
}
