//! The system call filter of servers: what would hide a server's work from the kernel programs, or do it
//! through others, is refused (Documentation/userspace-api/seccomp_filter.rst).
//!
//! | refused | because |
//! |---|---|
//! | other architectures (ia32, x32) | their calls have other numbers, which the observer does not watch |
//! | `io_uring_*` | opens files without a system call |
//! | sockets other than IPv4, IPv6, route netlink | no cgroup hook sees them |
//! | unix sockets, unless the policy lists one | daemons that listen there work for whoever asks |
//! | pairs of datagram sockets, with them | such a socket can write to any name |
//! | `CLONE_NEWUSER`, `clone3`, `setns`, mounts | give files other names |
//! | `ptrace`, `process_vm_*`, `pidfd_getfd` | make processes outside the session work for it |
//! | `bpf`, `perf_event_open`, `userfaultfd` | look into, or hold up, what the kernel does |
#![forbid(unsafe_code)]

use libc::{c_long, sock_filter};

// Offsets in struct seccomp_data (include/uapi/linux/seccomp.h).
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const ARGUMENTS: u32 = 16;

// Classic BPF (include/uapi/linux/bpf_common.h).
const LOAD_WORD: u16 = 0x20;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_SET: u16 = 0x45;
const JUMP_GREATER_EQUAL: u16 = 0x35;
const AND: u16 = 0x54;
const RETURN: u16 = 0x06;

const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const KILL: u32 = libc::SECCOMP_RET_KILL_PROCESS;

/// `AUDIT_ARCH_…` of the only architecture that is allowed (include/uapi/linux/audit.h).
#[cfg(target_arch = "x86_64")]
const NATIVE: u32 = 0xc000_003e;
/// See above.
#[cfg(target_arch = "aarch64")]
const NATIVE: u32 = 0xc000_00b7;

/// Calls with this bit are x32's (arch/x86/include/uapi/asm/unistd.h).
const X32_BIT: u32 = 0x4000_0000;

/// Refused as if the kernel did not have them, so that libraries fall back to what can be seen.
const UNKNOWN: [c_long; 4] = [
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_clone3,
];

/// Refused as not permitted.
const FORBIDDEN: [c_long; 18] = [
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_getfd,
    libc::SYS_setns,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_mount_setattr,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
];

/// The filter, ready to install. `unix` lets the server have unix sockets.
pub(super) fn filter(unix: bool) -> Vec<sock_filter> {
    let mut code = vec![load(ARCH), jump(JUMP_EQUAL, NATIVE, 1, 0), result(KILL), load(NUMBER)];
    if cfg!(target_arch = "x86_64") {
        code.extend([jump(JUMP_GREATER_EQUAL, X32_BIT, 0, 1), result(KILL)]);
    }
    for call in UNKNOWN {
        code.extend([jump(JUMP_EQUAL, number(call), 0, 1), result(error(libc::ENOSYS))]);
    }
    for call in FORBIDDEN {
        code.extend([jump(JUMP_EQUAL, number(call), 0, 1), result(error(libc::EPERM))]);
    }
    for call in [libc::SYS_clone, libc::SYS_unshare] {
        code.extend(refuse_flag(call, libc::CLONE_NEWUSER.cast_unsigned()));
    }
    if !unix {
        code.extend(datagram_pairs());
    }
    code.extend(sockets(unix));
    code.push(result(ALLOW));
    code
}

/// Refuses `call` when its first argument has `flag`.
fn refuse_flag(call: c_long, flag: u32) -> [sock_filter; 5] {
    [
        jump(JUMP_EQUAL, number(call), 0, 4),
        load(argument(0)),
        jump(JUMP_SET, flag, 0, 1),
        result(error(libc::EPERM)),
        result(ALLOW),
    ]
}

/// Refuses sockets of families that no other hook judges.
fn sockets(unix: bool) -> [sock_filter; 10] {
    [
        jump(JUMP_EQUAL, number(libc::SYS_socket), 0, 9),
        load(argument(0)),
        jump(JUMP_EQUAL, family(libc::AF_UNIX), if unix { 6 } else { 5 }, 0),
        jump(JUMP_EQUAL, family(libc::AF_INET), 5, 0),
        jump(JUMP_EQUAL, family(libc::AF_INET6), 4, 0),
        jump(JUMP_EQUAL, family(libc::AF_NETLINK), 0, 2),
        load(argument(2)),
        // The C library lists interfaces through it when it resolves names.
        jump(JUMP_EQUAL, family(libc::NETLINK_ROUTE), 1, 0),
        result(error(libc::EPERM)),
        result(ALLOW),
    ]
}

/// Refuses pairs of datagram sockets. The lower four bits of the second argument are the type
/// (include/linux/net.h).
fn datagram_pairs() -> [sock_filter; 6] {
    [
        jump(JUMP_EQUAL, number(libc::SYS_socketpair), 0, 5),
        load(argument(1)),
        instruction(AND, 0xf, 0, 0),
        jump(JUMP_EQUAL, family(libc::SOCK_DGRAM), 0, 1),
        result(error(libc::EPERM)),
        result(ALLOW),
    ]
}

/// Where the low half of an argument lies; the calls above take 32-bit values.
fn argument(index: u32) -> u32 {
    let low = if cfg!(target_endian = "big") { 4 } else { 0 };
    ARGUMENTS + index * 8 + low
}

fn number(call: c_long) -> u32 {
    u32::try_from(call).unwrap_or(u32::MAX)
}

fn family(value: libc::c_int) -> u32 {
    value.cast_unsigned()
}

fn error(errno: libc::c_int) -> u32 {
    libc::SECCOMP_RET_ERRNO | (errno.cast_unsigned() & libc::SECCOMP_RET_DATA)
}

fn load(offset: u32) -> sock_filter {
    instruction(LOAD_WORD, offset, 0, 0)
}

fn jump(code: u16, value: u32, if_true: u8, if_false: u8) -> sock_filter {
    instruction(code, value, if_true, if_false)
}

fn result(value: u32) -> sock_filter {
    instruction(RETURN, value, 0, 0)
}

fn instruction(code: u16, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code, jt, jf, k }
}

#[cfg(test)]
#[path = "seccomp_tests.rs"]
mod tests;
