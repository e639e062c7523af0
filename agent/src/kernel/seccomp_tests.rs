use libc::{c_int, c_long};

use super::*;

/// Runs the filter as the kernel does: classic BPF over `struct seccomp_data`.
fn judge(arch: u32, call: u32, arguments: [u64; 6]) -> u32 {
    judge_with(false, arch, call, arguments)
}

fn judge_with(unix: bool, arch: u32, call: u32, arguments: [u64; 6]) -> u32 {
    let mut data = Vec::new();
    data.extend(call.to_ne_bytes());
    data.extend(arch.to_ne_bytes());
    data.extend(0u64.to_ne_bytes());
    data.extend(arguments.iter().flat_map(|argument| argument.to_ne_bytes()));
    let code = filter(unix);
    let (mut at, mut value) = (0, 0);
    loop {
        let sock_filter { code: operation, jt, jf, k } = code[at];
        at += 1;
        let holds = match operation {
            LOAD_WORD => {
                let place = usize::try_from(k).unwrap();
                value = u32::from_ne_bytes(data[place..place + 4].try_into().unwrap());
                continue;
            }
            RETURN => return k,
            AND => {
                value &= k;
                continue;
            }
            JUMP_EQUAL => value == k,
            JUMP_SET => value & k != 0,
            JUMP_GREATER_EQUAL => value >= k,
            other => panic!("unknown operation {other:#x}"),
        };
        at += usize::from(if holds { jt } else { jf });
    }
}

fn native(call: c_long, arguments: &[c_int]) -> u32 {
    let mut all = [0; 6];
    for (place, argument) in all.iter_mut().zip(arguments) {
        *place = u64::from(argument.cast_unsigned());
    }
    judge(NATIVE, u32::try_from(call).unwrap(), all)
}

const NOT_PERMITTED: u32 = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
const NO_SUCH_CALL: u32 = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;

#[test]
fn foreign_architectures_are_fatal() {
    // i386, arm, and native with every call number that could be x32's.
    for arch in [0x4000_0003, 0x4000_0028, 0] {
        assert_eq!(judge(arch, 1, [0; 6]), KILL);
    }
    if cfg!(target_arch = "x86_64") {
        for call in [X32_BIT, X32_BIT + 257, u32::MAX] {
            assert_eq!(judge(NATIVE, call, [0; 6]), KILL);
        }
    }
}

#[test]
fn hidden_work_is_refused() {
    for call in UNKNOWN {
        assert_eq!(native(call, &[]), NO_SUCH_CALL, "{call}");
    }
    for call in FORBIDDEN {
        assert_eq!(native(call, &[]), NOT_PERMITTED, "{call}");
    }
}

#[test]
fn user_namespaces_are_refused_and_threads_are_not() {
    let thread = libc::CLONE_VM | libc::CLONE_FS | libc::CLONE_FILES | libc::CLONE_THREAD;
    for call in [libc::SYS_clone, libc::SYS_unshare] {
        assert_eq!(native(call, &[libc::CLONE_NEWUSER]), NOT_PERMITTED);
        assert_eq!(native(call, &[libc::CLONE_NEWUSER | libc::CLONE_NEWNS]), NOT_PERMITTED);
        assert_eq!(native(call, &[thread]), ALLOW);
        assert_eq!(native(call, &[0]), ALLOW);
    }
}

#[test]
fn sockets_by_family() {
    let socket = |family, protocol| native(libc::SYS_socket, &[family, libc::SOCK_RAW, protocol]);
    for family in [libc::AF_INET, libc::AF_INET6] {
        assert_eq!(socket(family, 0), ALLOW);
    }
    assert_eq!(socket(libc::AF_NETLINK, libc::NETLINK_ROUTE), ALLOW);
    for protocol in 1..32 {
        assert_eq!(socket(libc::AF_NETLINK, protocol), NOT_PERMITTED, "netlink {protocol}");
    }
    let open = [libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];
    for family in (-1..64).filter(|family| !open.contains(family)) {
        assert_eq!(socket(family, 0), NOT_PERMITTED, "family {family}");
    }
}

#[test]
fn unix_sockets_are_asked_for() {
    let judge = |unix, call: c_long, kind: c_int| {
        let arguments =
            [libc::AF_UNIX, kind, 0, 0, 0, 0].map(|word| u64::from(word.cast_unsigned()));
        judge_with(unix, NATIVE, u32::try_from(call).unwrap(), arguments)
    };
    assert_eq!(judge(false, libc::SYS_socket, libc::SOCK_STREAM), NOT_PERMITTED);
    assert_eq!(judge(true, libc::SYS_socket, libc::SOCK_STREAM), ALLOW);
    let pair = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC;
    assert_eq!(judge(false, libc::SYS_socketpair, pair), NOT_PERMITTED);
    assert_eq!(judge(true, libc::SYS_socketpair, pair), ALLOW);
    // Runtimes talk to their children through these.
    assert_eq!(judge(false, libc::SYS_socketpair, libc::SOCK_STREAM | libc::SOCK_CLOEXEC), ALLOW);
    assert_eq!(judge(false, libc::SYS_socketpair, libc::SOCK_SEQPACKET), ALLOW);
}

#[test]
fn ordinary_calls_pass() {
    for call in
        [libc::SYS_read, libc::SYS_openat, libc::SYS_execve, libc::SYS_connect, libc::SYS_exit]
    {
        assert_eq!(native(call, &[0, 1, 2]), ALLOW, "{call}");
    }
}
