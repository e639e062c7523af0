//! `connect` on IPv4 and IPv6 sockets: TCP (fast open included), MPTCP, connected UDP.

use core::mem::MaybeUninit;

use aya_ebpf::bindings::bpf_sock_addr;
use aya_ebpf::macros::cgroup_sock_addr;
use aya_ebpf::programs::SockAddrContext;
use warrantd_common::{EventKind, NetworkEvent, Outcome};

use crate::address::{family, v4, v6};
use crate::process;
use crate::redirect;
use crate::report::{Session, blank, set_address};
use crate::verdict::{self, Destination, Moment, Verdict};

/// Runs before the socket is connected; 0 refuses with EPERM.
#[cgroup_sock_addr(connect4)]
pub fn warrantd_connect4(ctx: SockAddrContext) -> i32 {
    if redirect::to_resolver_v4(ctx.sock_addr) {
        return 1;
    }
    decide(EventKind::Connect, v4(ctx.sock_addr), ctx.sock_addr)
}

/// As [`warrantd_connect4`]; sees IPv4-mapped addresses too.
#[cgroup_sock_addr(connect6)]
pub fn warrantd_connect6(ctx: SockAddrContext) -> i32 {
    if redirect::to_resolver_v6(ctx.sock_addr) {
        return 1;
    }
    decide(EventKind::Connect, v6(ctx.sock_addr), ctx.sock_addr)
}

/// Judges by the cgroup of the process that calls: a socket that a session handed to a process outside
/// is not opened to it by the session's policy.
#[inline(always)]
pub fn decide(kind: EventKind, to: Destination, context: *mut bpf_sock_addr) -> i32 {
    let cgroup_id = process::cgroup_id();
    let Some(session) = Session::find(cgroup_id) else {
        return 0;
    };
    let verdict = verdict::judge(cgroup_id, &to, Moment::Begin);
    report(session, kind, &to, verdict, family(context));
    i32::from(verdict.allowed)
}

/// Reports what was decided about an address.
#[inline(always)]
pub fn report(session: Session, kind: EventKind, to: &Destination, verdict: Verdict, family: u16) {
    let outcome = if verdict.allowed { Outcome::Allowed } else { Outcome::Denied };
    let mut event = MaybeUninit::uninit();
    let event: &mut NetworkEvent = blank(&mut event);
    session.begin(&mut event.header, kind, outcome, verdict.generation);
    set_address(event, to.words);
    event.port = to.port;
    event.protocol = to.protocol;
    event.family = family;
    process::describe_caller(&mut event.header);
    session.send(event);
}
