//! Pools of memory that threads share.
//!
//! Threads that wait for the disk or the kernel come and go. Each would get a pool of its own from the allocator, up to
//! eight for each processor (`mallopt(3)`, `M_ARENA_MAX`), and what it leaves stays there: the daemon would grow for hours.
//!
//! A pool keeps small pieces that were given back apart, and puts all of them together again whenever someone asks for a
//! kilobyte or more (`malloc_consolidate` in glibc's `malloc.c`). A call does that several times: every record and every
//! parsed text is as large. Without that shelf (`M_MXFAST`) pieces are put together as they come.

use std::num::NonZero;

/// Has threads share as many pools as there are processors, without shelves. For before there are other threads.
pub fn share_pools() {
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    #[cfg(target_env = "gnu")]
    {
        set(libc::M_ARENA_MAX, i32::try_from(processors.max(2)).unwrap_or(i32::MAX));
        set(libc::M_MXFAST, 0);
    }
    #[cfg(not(target_env = "gnu"))]
    let _ = processors; // Others have neither.
}

#[cfg(target_env = "gnu")]
fn set(parameter: i32, value: i32) {
    // SAFETY: the call sets a number of the allocator's, and has no preconditions.
    unsafe { libc::mallopt(parameter, value) };
}
