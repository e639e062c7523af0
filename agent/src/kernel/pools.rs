//! Pools of memory that threads share.
//!
//! Threads that wait for the disk or the kernel come and go. Each would get a pool of its own from the allocator, up to
//! eight for each processor (`mallopt(3)`, `M_ARENA_MAX`), and what it leaves stays there: the daemon would grow for hours.

use std::num::NonZero;

/// Has threads share as many pools as there are processors. For before there are other threads.
pub fn share_pools() {
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    #[cfg(target_env = "gnu")]
    // SAFETY: the call sets a number of the allocator's, and has no preconditions.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, i32::try_from(processors.max(2)).unwrap_or(i32::MAX));
    }
    #[cfg(not(target_env = "gnu"))]
    let _ = processors; // Others have none for each thread.
}
