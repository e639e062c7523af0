//! The arguments of the system call that the current task is in.

use aya_ebpf::helpers::generated;

use crate::kernel::{Address, layout};
use crate::process;

/// Number of the call; `None` when it cannot be known.
#[inline(always)]
pub fn number(task: Address) -> Option<u32> {
    registers(task)?.read::<u32>(layout!(regs_syscall))
}

/// An argument of the call `call`, by its place in `pt_regs`. `None` when the registers found do not
/// belong to this call.
#[inline(always)]
pub fn argument(task: Address, call: u32, place: u32) -> Option<u64> {
    let registers = registers(task)?;
    if registers.read::<u32>(layout!(regs_syscall))? != call {
        return None;
    }
    registers.read(place)
}

/// The argument with this number, from 0.
#[inline(always)]
pub fn numbered(task: Address, call: u32, index: u8) -> Option<u64> {
    let place = match index {
        0 => layout!(regs_arg0),
        1 => layout!(regs_arg1),
        2 => layout!(regs_arg2),
        _ => layout!(regs_arg3),
    };
    argument(task, call, place)
}

/// Whether the current task is in a call that opens by name. One that opens in another way (io_uring) says
/// no, and has what it makes reported twice.
#[inline(always)]
pub fn in_open() -> bool {
    match number(process::current()) {
        Some(call) => {
            call == layout!(sys_openat)
                || call == layout!(sys_open)
                || call == layout!(sys_openat2)
                || call == layout!(sys_creat)
        }
        None => false,
    }
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
pub fn read_user(address: u64) -> Option<u64> {
    let mut value = 0u64;
    // SAFETY: the helper checks the source and writes exactly eight bytes.
    let status =
        unsafe { generated::bpf_probe_read_user((&raw mut value).cast(), 8, address as *const _) };
    if status == 0 { Some(value) } else { None }
}
