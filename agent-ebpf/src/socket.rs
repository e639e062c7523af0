//! Which internet sockets can be made at all. Other families never come here: the system call filter
//! of the server refuses them.

use core::mem::MaybeUninit;

use aya_ebpf::bindings::bpf_sock;
use aya_ebpf::macros::cgroup_sock;
use aya_ebpf::programs::SockContext;
use warrantd_common::{EventKind, NetworkEvent, Outcome};

use crate::process;
use crate::report::{Session, blank};
use crate::verdict::{self, MPTCP, TCP, UDP};

/// Socket types (include/linux/net.h).
const STREAM: u32 = 1;
const DGRAM: u32 = 2;

/// Runs when an `AF_INET` or `AF_INET6` socket is made; 0 refuses with EPERM.
#[cgroup_sock(sock_create)]
pub fn warrantd_socket(ctx: SockContext) -> i32 {
    let (kind, protocol) = (socket_type(ctx.sock), protocol(ctx.sock));
    let ordinary = match kind {
        STREAM => protocol == TCP || protocol == MPTCP,
        DGRAM => protocol == UDP,
        _ => false,
    };
    let cgroup_id = process::cgroup_id();
    let Some(session) = Session::find(cgroup_id) else {
        return 0;
    };
    if ordinary {
        return 1;
    }
    let generation = verdict::generation(cgroup_id);
    let mut event = MaybeUninit::uninit();
    let event: &mut NetworkEvent = blank(&mut event);
    session.begin(&mut event.header, EventKind::Socket, Outcome::Denied, generation);
    event.protocol = protocol;
    // SAFETY: the context is valid for the run of the program.
    event.family = unsafe { (&raw const (*ctx.sock).family).read_volatile() } as u16;
    event.socket_type = kind as u16;
    process::describe_caller(&mut event.header);
    session.send(event);
    0
}

#[inline(always)]
fn socket_type(socket: *mut bpf_sock) -> u32 {
    // SAFETY: the context is valid for the run of the program.
    unsafe { (&raw const (*socket).type_).read_volatile() }
}

#[inline(always)]
fn protocol(socket: *mut bpf_sock) -> u16 {
    // SAFETY: the context is valid for the run of the program.
    unsafe { (&raw const (*socket).protocol).read_volatile() as u16 }
}
