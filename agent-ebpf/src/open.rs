//! Files that processes of sessions open, where the security hooks cannot be used: reported when the
//! system call returns.
//!
//! What is reported comes from the `struct file` behind the new descriptor, never from the arguments of the
//! call, except for `O_TRUNC`, which the kernel drops from `f_flags`.

use aya_ebpf::EbpfContext as _;
use aya_ebpf::macros::tracepoint;
use aya_ebpf::programs::TracePointContext;
use warrantd_common::{EventKind, Outcome, flags};

use crate::exec::describe_file;
use crate::kernel::{Address, Object, Pointer, layout};
use crate::process;
use crate::registers::{argument, read_user};
use crate::report::{Scratch, Session};
use crate::verdict;

/// `O_TRUNC` on every architecture we build for (include/uapi/asm-generic/fcntl.h).
const O_TRUNC: u64 = 0o1000;

/// What tracepoints of the `syscalls` group pass at exit (`struct syscall_trace_exit` in
/// kernel/trace/trace.h), after the eight bytes that all trace entries begin with.
#[repr(C)]
struct SyscallExit {
    common: u64,
    number: i64,
    result: i64,
}

/// Number and result of the call that returns.
#[inline(always)]
pub fn call_and_result(ctx: &TracePointContext) -> (u32, i64) {
    let exit: *const SyscallExit = ctx.as_ptr().cast();
    // SAFETY: the context is valid for the run of the program.
    let result = unsafe { (&raw const (*exit).result).read_volatile() };
    // SAFETY: as above.
    let call = unsafe { (&raw const (*exit).number).read_volatile() } as u32;
    (call, result)
}

/// Runs at the exit of `open`, `openat`, `openat2`, `creat` and `open_by_handle_at`.
#[tracepoint]
pub fn warrantd_open(ctx: TracePointContext) -> u32 {
    let (call, result) = call_and_result(&ctx);
    if result < 0 || result > i64::from(i32::MAX) {
        return 0;
    }
    let Some(session) = Session::find(process::cgroup_id()) else {
        return 0;
    };
    session.file(EventKind::Open, |scratch| {
        describe(session, call, result as u32, scratch);
        true
    });
    0
}

/// Writes the event for descriptor `fd` of the current process.
#[inline(always)]
fn describe(session: Session, call: u32, fd: u32, scratch: &mut Scratch) {
    let generation = verdict::generation(session.id());
    let header = &mut scratch.event.header;
    session.begin(header, EventKind::Open, Outcome::Allowed, generation);
    process::describe_current(header);
    if asked_to_empty(call) {
        header.flags |= flags::EMPTIED;
    }
    match file_of(fd) {
        Some(file) => describe_file(file, scratch),
        None => scratch.event.header.flags |= flags::VANISHED | flags::TRUNCATED,
    }
}

/// The file behind a descriptor.
#[inline(always)]
pub fn file_of(fd: u32) -> Option<Address> {
    let file = Address::new(descriptor_file(fd));
    if file.is_null() { None } else { Some(file) }
}

/// The address of the file behind a descriptor, or 0: `current->files->fdt->fd[fd]`. A function of its own that takes
/// and returns numbers, as [`path_step`](crate::walk::path_step) is: the verifier looks at it once.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn descriptor_file(fd: u32) -> u64 {
    let table = if layout!(task_helper) != 0 {
        descriptors(Object::current_task())
    } else {
        descriptors(process::current())
    };
    match table {
        Some((size, files)) if fd < size => files.at(fd.wrapping_mul(8)).read(0).unwrap_or(0),
        _ => 0,
    }
}

/// Size and place of a task's table of descriptors.
#[inline(always)]
fn descriptors(task: impl Pointer) -> Option<(u32, Address)> {
    let table = task.follow(layout!(task_files))?.follow(layout!(files_fdt))?;
    let files = table.read(layout!(fdtable_fd))?;
    Some((table.read(layout!(fdtable_max_fds))?, Address::new(files)))
}

/// Whether the arguments of the call asked for `O_TRUNC`; true as well when they cannot be known. Those of
/// `openat2` lie in memory that other threads can change, so there the answer may be wrong either way.
#[inline(always)]
fn asked_to_empty(call: u32) -> bool {
    let asked = if call == layout!(sys_creat) {
        None
    } else if call == layout!(sys_open) {
        argument(call, layout!(regs_arg1))
    } else if call == layout!(sys_openat2) {
        // struct open_how begins with its flags (include/uapi/linux/openat2.h).
        argument(call, layout!(regs_arg2)).and_then(read_user)
    } else {
        argument(call, layout!(regs_arg2))
    };
    match asked {
        Some(asked) => asked & O_TRUNC != 0,
        None => true,
    }
}
