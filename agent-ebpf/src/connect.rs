//! `connect` on IPv4 and IPv6 sockets: TCP (fast open included), MPTCP, connected UDP.

use core::mem::MaybeUninit;

use aya_ebpf::bindings::bpf_sock_addr;
use aya_ebpf::macros::cgroup_sock_addr;
use aya_ebpf::programs::SockAddrContext;
use warrantd_common::{EventKind, NetworkEvent, Outcome};

use crate::process;
use crate::report::{Session, blank, set_address};
use crate::verdict::{self, Destination};

/// Runs before the socket is connected; 0 refuses with EPERM.
#[cgroup_sock_addr(connect4)]
pub fn warrantd_connect4(ctx: SockAddrContext) -> i32 {
    decide(EventKind::Connect, v4(ctx.sock_addr), ctx.sock_addr)
}

/// As [`warrantd_connect4`]; sees IPv4-mapped addresses too.
#[cgroup_sock_addr(connect6)]
pub fn warrantd_connect6(ctx: SockAddrContext) -> i32 {
    decide(EventKind::Connect, v6(ctx.sock_addr), ctx.sock_addr)
}

/// Judges by the cgroup of the process that calls: a socket that a session handed to a process outside
/// is not opened to it by the session's policy.
#[inline(always)]
pub fn decide(kind: EventKind, to: Destination, address: *mut bpf_sock_addr) -> i32 {
    let cgroup_id = process::cgroup_id();
    let verdict = verdict::judge(cgroup_id, &to);
    let Some(session) = Session::find(cgroup_id) else {
        return 0;
    };
    let outcome = if verdict.allowed { Outcome::Allowed } else { Outcome::Denied };
    let mut event = MaybeUninit::uninit();
    let event: &mut NetworkEvent = blank(&mut event);
    session.begin(&mut event.header, kind, outcome, verdict.generation);
    set_address(event, to.words);
    event.port = to.port;
    event.protocol = to.protocol;
    // SAFETY: the context is valid for the run of the program.
    event.family = unsafe { (&raw const (*address).family).read_volatile() } as u16;
    process::describe(process::current(), &mut event.header);
    session.send(event);
    i32::from(verdict.allowed)
}

/// The IPv4 destination in a context. Volatile: the verifier wants each field read as declared.
#[inline(always)]
pub fn v4(address: *mut bpf_sock_addr) -> Destination {
    // SAFETY: the context is valid for the run of the program.
    let ip = unsafe { (&raw const (*address).user_ip4).read_volatile() };
    Destination::v4(ip, port(address), protocol(address))
}

/// The IPv6 destination in a context.
#[inline(always)]
pub fn v6(address: *mut bpf_sock_addr) -> Destination {
    // SAFETY: the context is valid for the run of the program.
    let words = unsafe { (&raw const (*address).user_ip6).cast::<u32>() };
    let word = |index: usize| {
        // SAFETY: user_ip6 has four words.
        unsafe { words.add(index).read_volatile() }
    };
    Destination {
        words: [word(0), word(1), word(2), word(3)],
        port: port(address),
        protocol: protocol(address),
    }
}

#[inline(always)]
fn port(address: *mut bpf_sock_addr) -> u16 {
    // SAFETY: the context is valid for the run of the program.
    let port = unsafe { (&raw const (*address).user_port).read_volatile() };
    u16::from_be(port as u16)
}

#[inline(always)]
fn protocol(address: *mut bpf_sock_addr) -> u16 {
    // SAFETY: the context is valid for the run of the program.
    let protocol = unsafe { (&raw const (*address).protocol).read_volatile() };
    protocol as u16
}
