//! Files that processes of sessions open: reported when the system call returns.
//!
//! The hook is the raw `sys_exit` tracepoint, not the tracepoints of single calls: those are skipped
//! without a trace while the processor is inside another map operation (`trace_call_bpf` in
//! kernel/trace/bpf_trace.c), this one is not. What is reported comes from the `struct file` behind the
//! new descriptor, never from the arguments of the call, except for `O_TRUNC`, which the kernel drops
//! from `f_flags`.

use aya_ebpf::EbpfContext as _;
use aya_ebpf::helpers::generated;
use aya_ebpf::macros::raw_tracepoint;
use aya_ebpf::programs::RawTracePointContext;
use warrantd_common::{EventKind, FileEvent, Outcome, flags};

use crate::kernel::{Address, layout};
use crate::path;
use crate::process;
use crate::report::{Scratch, Session};
use crate::verdict;

/// `O_TRUNC` on every architecture we build for (include/uapi/asm-generic/fcntl.h).
const O_TRUNC: u64 = 0o1000;

/// `sys_exit(struct pt_regs *regs, long ret)` (include/trace/events/syscalls.h).
#[raw_tracepoint(tracepoint = "sys_exit")]
pub fn warrantd_open(ctx: RawTracePointContext) -> i32 {
    let _ = ctx.as_ptr();
    let result: i64 = ctx.arg(1);
    if result < 0 || result > i64::from(i32::MAX) {
        return 0;
    }
    let registers = Address::new(ctx.arg(0));
    let Some(number) = registers.read::<u64>(layout!(regs_syscall)) else {
        return 0;
    };
    let call = number as u32;
    let watched = call == layout!(sys_openat)
        || call == layout!(sys_open)
        || call == layout!(sys_openat2)
        || call == layout!(sys_creat)
        || call == layout!(sys_open_by_handle_at);
    if !watched {
        return 0;
    }
    let Some(session) = Session::find(process::cgroup_id()) else {
        return 0;
    };
    let emptied = asked_to_empty(call, registers);
    session.send_file(|scratch| describe(session, result as u32, emptied, scratch));
    0
}

/// Writes the event for descriptor `fd` of the current process.
#[inline(always)]
fn describe(session: Session, fd: u32, emptied: bool, scratch: &mut Scratch) -> usize {
    let task = process::current();
    let generation = verdict::generation(process::cgroup_id());
    let mut header = session.header(EventKind::Open, Outcome::Allowed, generation);
    process::describe(task, &mut header);
    if emptied {
        header.flags |= flags::EMPTIED;
    }
    scratch.event = FileEvent { header, ..FileEvent::default() };
    let Some(file) = file_of(task, fd) else {
        scratch.event.header.flags |= flags::VANISHED | flags::TRUNCATED;
        return 0;
    };
    describe_file(task, file, scratch)
}

/// Writes what there is to know of an open file; returns the bytes of its path.
#[inline(always)]
pub fn describe_file(task: Address, file: Address, scratch: &mut Scratch) -> usize {
    if let Some((dev, ino)) = process::identity(file) {
        scratch.event.dev = dev;
        scratch.event.ino = ino;
    }
    scratch.event.open_flags = file.read(layout!(file_flags)).unwrap_or(0);
    scratch.event.mode = file.read(layout!(file_mode)).unwrap_or(0);
    scratch.event.header.flags |= path::walk(task, file, scratch);
    usize::from(scratch.event.path_len)
}

/// The file behind a descriptor: `current->files->fdt->fd[fd]`.
#[inline(always)]
fn file_of(task: Address, fd: u32) -> Option<Address> {
    let table = task.follow(layout!(task_files))?.follow(layout!(files_fdt))?;
    if fd >= table.read::<u32>(layout!(fdtable_max_fds))? {
        return None;
    }
    table.follow(layout!(fdtable_fd))?.at(fd.wrapping_mul(8)).follow(0)
}

/// Whether the arguments of the call asked for `O_TRUNC`. Those of `openat2` lie in memory that other
/// threads can change, so there the answer may be wrong either way.
#[inline(always)]
fn asked_to_empty(call: u32, registers: Address) -> bool {
    let asked = if call == layout!(sys_creat) {
        return true;
    } else if call == layout!(sys_open) {
        registers.read::<u64>(layout!(regs_arg1))
    } else if call == layout!(sys_openat) {
        registers.read::<u64>(layout!(regs_arg2))
    } else if call == layout!(sys_openat2) {
        // struct open_how begins with its flags (include/uapi/linux/openat2.h).
        registers.read::<u64>(layout!(regs_arg2)).and_then(read_user)
    } else {
        registers.read::<u64>(layout!(regs_arg2))
    };
    asked.is_some_and(|asked| asked & O_TRUNC != 0)
}

/// Reads a 64-bit number of the current process.
#[inline(always)]
fn read_user(address: u64) -> Option<u64> {
    let mut value = 0u64;
    // SAFETY: the helper checks the source and writes exactly eight bytes.
    let status =
        unsafe { generated::bpf_probe_read_user((&raw mut value).cast(), 8, address as *const _) };
    if status == 0 { Some(value) } else { None }
}
