//! Local ports. Which one a client gets is of no interest; one that is asked for is a door.

use aya_ebpf::bindings::bpf_sock_addr;
use aya_ebpf::macros::cgroup_sock_addr;
use aya_ebpf::programs::SockAddrContext;
use warrantd_common::EventKind;

use crate::address::{family, v4, v6};
use crate::connect::report;
use crate::process;
use crate::report::Session;
use crate::verdict::{self, Destination, Verdict};

/// Runs before a socket gets a local address; 0 refuses with EPERM.
#[cgroup_sock_addr(bind4)]
pub fn warrantd_bind4(ctx: SockAddrContext) -> i32 {
    decide(v4(ctx.sock_addr), ctx.sock_addr)
}

/// As [`warrantd_bind4`].
#[cgroup_sock_addr(bind6)]
pub fn warrantd_bind6(ctx: SockAddrContext) -> i32 {
    decide(v6(ctx.sock_addr), ctx.sock_addr)
}

#[inline(always)]
fn decide(local: Destination, context: *mut bpf_sock_addr) -> i32 {
    let cgroup_id = process::cgroup_id();
    let Some(session) = Session::find(cgroup_id) else {
        return 0;
    };
    if local.port == 0 {
        return 1;
    }
    let verdict = match verdict::policy(cgroup_id) {
        Some(policy) => Verdict {
            allowed: verdict::listens(policy, local.protocol, local.port),
            generation: policy.generation,
        },
        None => Verdict { allowed: false, generation: 0 },
    };
    report(session, EventKind::Bind, &local, verdict, family(context));
    i32::from(verdict.allowed)
}
