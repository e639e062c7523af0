//! Files that processes of sessions open: reported when the system call returns.
//!
//! What is reported comes from the `struct file` behind the new descriptor, never from the arguments of the
//! call, except for `O_TRUNC`, which the kernel drops from `f_flags`.

use aya_ebpf::EbpfContext as _;
use aya_ebpf::helpers::generated;
use aya_ebpf::macros::tracepoint;
use aya_ebpf::programs::TracePointContext;
use warrantd_common::{EventKind, Outcome, flags};

use crate::kernel::{Address, layout};
use crate::path;
use crate::process;
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

/// Runs at the exit of `open`, `openat`, `openat2`, `creat` and `open_by_handle_at`.
#[tracepoint]
pub fn warrantd_open(ctx: TracePointContext) -> u32 {
    let exit: *const SyscallExit = ctx.as_ptr().cast();
    // SAFETY: the context is valid for the run of the program.
    let result = unsafe { (&raw const (*exit).result).read_volatile() };
    if result < 0 || result > i64::from(i32::MAX) {
        return 0;
    }
    let Some(session) = Session::find(process::cgroup_id()) else {
        return 0;
    };
    // SAFETY: as above.
    let call = unsafe { (&raw const (*exit).number).read_volatile() } as u32;
    session.send_file(|scratch| describe(session, call, result as u32, scratch));
    0
}

/// Writes the event for descriptor `fd` of the current process.
#[inline(always)]
fn describe(session: Session, call: u32, fd: u32, scratch: &mut Scratch) -> usize {
    let task = process::current();
    let generation = verdict::generation(process::cgroup_id());
    let header = &mut scratch.event.header;
    session.begin(header, EventKind::Open, Outcome::Allowed, generation);
    process::describe(task, header);
    if asked_to_empty(task, call) {
        header.flags |= flags::EMPTIED;
    }
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

/// Whether the arguments of the call asked for `O_TRUNC`; true as well when they cannot be known. Those of
/// `openat2` lie in memory that other threads can change, so there the answer may be wrong either way.
#[inline(always)]
fn asked_to_empty(task: Address, call: u32) -> bool {
    let asked = if call == layout!(sys_creat) {
        None
    } else if call == layout!(sys_open) {
        argument(task, call, layout!(regs_arg1))
    } else if call == layout!(sys_openat2) {
        // struct open_how begins with its flags (include/uapi/linux/openat2.h).
        argument(task, call, layout!(regs_arg2)).and_then(read_user)
    } else {
        argument(task, call, layout!(regs_arg2))
    };
    match asked {
        Some(asked) => asked & O_TRUNC != 0,
        None => true,
    }
}

/// An argument of the system call that returns, by its place in `pt_regs`. `None` when the registers
/// found do not belong to this call.
#[inline(always)]
fn argument(task: Address, call: u32, place: u32) -> Option<u64> {
    let registers = registers(task)?;
    if registers.read::<u32>(layout!(regs_syscall))? != call {
        return None;
    }
    registers.read(place)
}

/// The user registers of the running task, at the upper end of its kernel stack. The helper came with
/// 5.15; where it is missing, the branch that calls it is dead and the verifier does not look at it.
#[inline(always)]
fn registers(task: Address) -> Option<Address> {
    if layout!(regs_helper) != 0 {
        // SAFETY: the helper takes no arguments and returns the running task.
        let task = unsafe { generated::bpf_get_current_task_btf() };
        // SAFETY: the task is the running one.
        let registers = unsafe { generated::bpf_task_pt_regs(task) };
        return Some(Address::new(registers as u64));
    }
    Some(task.follow(layout!(task_stack))?.at(layout!(regs_in_stack)))
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
