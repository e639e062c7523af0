//! For measurements alone, where no security hook can be loaded: what one does when a file is opened.

use aya_ebpf::macros::tracepoint;
use aya_ebpf::programs::TracePointContext;

use crate::deed::Power;
use crate::file;
use crate::kernel::{Object, Pointer, layout};

/// The work of `lsm_file_open` and `fentry_file_open`, by the same function, on the one open file that a
/// tracepoint finds by its type: the executable of the process. Never loaded by an instance.
#[tracepoint]
pub fn measure_open(_: TracePointContext) -> u32 {
    if layout!(task_helper) != 0 {
        let _ = look();
    }
    0
}

#[inline(always)]
fn look() -> Option<bool> {
    let mm = Object::current_task().follow(layout!(task_mm))?;
    Some(file::opened(Power::Watch, mm.follow(layout!(mm_exe_file))?))
}
