//! Programs that processes of sessions start.

use aya_ebpf::helpers::generated;
use aya_ebpf::macros::raw_tracepoint;
use aya_ebpf::programs::RawTracePointContext;
use warrantd_common::{EventKind, Outcome, PATH_BYTES, flags};

use crate::kernel::{Address, Pointer, layout, opaque};
use crate::leave;
use crate::path::OpenFile;
use crate::process;
use crate::report::{Scratch, Session};
use crate::verdict;
use crate::walk::walk;

/// Most bytes of arguments that an event carries; one less than a power of two.
const ARGUMENT_BYTES: u64 = 511;

/// `sched_process_exec(struct task_struct *p, pid_t old_pid, struct linux_binprm *bprm)`
/// (include/trace/events/sched.h). Fires after the point of no return, with the new program in place;
/// `bprm->file` is the executable itself: for a script, its interpreter.
#[raw_tracepoint(tracepoint = "sched_process_exec")]
pub fn warrantd_exec(ctx: RawTracePointContext) -> i32 {
    let Some(session) = Session::find(process::cgroup_id()) else {
        return 0;
    };
    leave::remember(process::current(), session.id());
    let program = Address::new(ctx.arg(2));
    session.file(EventKind::Exec, |scratch| {
        describe(session, program, scratch);
        true
    });
    0
}

#[inline(always)]
fn describe(session: Session, program: Address, scratch: &mut Scratch) {
    let generation = verdict::generation(session.id());
    let header = &mut scratch.event.header;
    session.begin(header, EventKind::Exec, Outcome::Allowed, generation);
    process::describe_caller(header);
    match program.follow(layout!(binprm_file)) {
        Some(file) => describe_file(file, scratch),
        None => scratch.event.header.flags |= flags::VANISHED | flags::TRUNCATED,
    }
    copy_arguments(scratch);
}

/// Writes what there is to know of an open file, and its path.
#[inline(always)]
pub fn describe_file(file: Address, scratch: &mut Scratch) {
    let Some(file) = OpenFile::at(file) else {
        scratch.event.header.flags |= flags::TRUNCATED;
        return;
    };
    if let Some((dev, ino)) = process::identity_of(file.inode) {
        scratch.event.dev = dev;
        scratch.event.ino = ino;
    }
    scratch.event.open_flags = file.flags;
    scratch.event.mode = file.mode;
    scratch.event.header.flags |= walk(file.place, 0, scratch);
}

/// Copies the arguments, each with the zero that ends it, from the new program's stack.
#[inline(always)]
fn copy_arguments(scratch: &mut Scratch) {
    let Some((start, end)) = arguments(process::current()) else {
        return;
    };
    let length = end.wrapping_sub(start);
    let kept = if length > ARGUMENT_BYTES { ARGUMENT_BYTES } else { length };
    let kept = opaque(kept) as u32 & ARGUMENT_BYTES as u32;
    let Some(place) = tail(scratch) else {
        return;
    };
    // SAFETY: behind the path there is room for TAIL_BYTES; the helper checks the source.
    let status = unsafe { generated::bpf_probe_read_user(place.cast(), kept, start as *const _) };
    if status != 0 || u64::from(kept) < length {
        scratch.event.header.flags |= flags::TAIL_CUT;
    }
    if status == 0 {
        scratch.event.tail_len = kept as u16;
    }
}

/// Where the arguments of a task's program begin and end.
#[inline(always)]
fn arguments(task: Address) -> Option<(u64, u64)> {
    let mm = task.follow(layout!(task_mm))?;
    Some((mm.read(layout!(mm_arg_start))?, mm.read(layout!(mm_arg_end))?))
}

/// Where the tail begins: behind the path.
#[inline(always)]
pub fn tail(scratch: &mut Scratch) -> Option<*mut u8> {
    let used = opaque(u64::from(scratch.event.path_len)) & 0xffff;
    if used > PATH_BYTES as u64 {
        return None;
    }
    // SAFETY: the area is TAIL_BYTES longer than PATH_BYTES.
    Some(unsafe { (&raw mut scratch.area).cast::<u8>().add(used as usize) })
}
