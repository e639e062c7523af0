//! The arguments of the system call that the current task is in.

use aya_ebpf::helpers::generated;

use crate::kernel::{Address, Object, Pointer, layout};
use crate::process;

/// An argument of the call `call`, by its place in `pt_regs`. `None` when the registers found do not
/// belong to this call.
#[inline(always)]
pub fn argument(call: u32, place: u32) -> Option<u64> {
    if layout!(regs_helper) != 0 {
        of_call(Object::current_registers(), call, place)
    } else {
        of_call(on_stack()?, call, place)
    }
}

#[inline(always)]
fn of_call(registers: impl Pointer, call: u32, place: u32) -> Option<u64> {
    if registers.read::<u32>(layout!(regs_syscall))? != call {
        return None;
    }
    registers.read(place)
}

/// The argument with this number, from 0.
#[inline(always)]
pub fn numbered(call: u32, index: u8) -> Option<u64> {
    let place = match index {
        0 => layout!(regs_arg0),
        1 => layout!(regs_arg1),
        2 => layout!(regs_arg2),
        _ => layout!(regs_arg3),
    };
    argument(call, place)
}

/// Whether the current task is in a call that opens by name. One that opens in another way (io_uring) says
/// no, and has what it makes reported twice.
#[inline(always)]
pub fn in_open() -> bool {
    match number() {
        Some(call) => {
            call == layout!(sys_openat)
                || call == layout!(sys_open)
                || call == layout!(sys_openat2)
                || call == layout!(sys_creat)
        }
        None => false,
    }
}

/// Number of the call; `None` when it cannot be known.
#[inline(always)]
fn number() -> Option<u32> {
    if layout!(regs_helper) != 0 {
        Object::current_registers().read(layout!(regs_syscall))
    } else {
        on_stack()?.read(layout!(regs_syscall))
    }
}

/// The user registers of the running task, at the upper end of its kernel stack: where the helper that
/// knows them is missing, which came with 5.15.
#[inline(always)]
fn on_stack() -> Option<Address> {
    Some(process::current().follow(layout!(task_stack))?.at(layout!(regs_in_stack)))
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
