//! Datagrams with an address of their own: unconnected UDP.

use aya_ebpf::macros::cgroup_sock_addr;
use aya_ebpf::programs::SockAddrContext;
use warrantd_common::EventKind;

use crate::address::{v4, v6};
use crate::connect::decide;
use crate::process;
use crate::redirect;

/// Runs before the datagram is built; 0 refuses with EPERM. An IPv6 socket that is connected to a mapped
/// address comes here with each datagram (`udpv6_sendmsg`, net/ipv6/udp.c), also when it was turned to
/// the resolver as it connected.
#[cgroup_sock_addr(sendmsg4)]
pub fn warrantd_sendmsg4(ctx: SockAddrContext) -> i32 {
    if redirect::to_resolver_v4(ctx.sock_addr) {
        return 1;
    }
    let to = v4(ctx.sock_addr);
    if redirect::is_resolver(process::cgroup_id(), &to) {
        return 1;
    }
    decide(EventKind::Send, to, ctx.sock_addr)
}

/// As [`warrantd_sendmsg4`]; an IPv4-mapped destination comes here first and there next.
#[cgroup_sock_addr(sendmsg6)]
pub fn warrantd_sendmsg6(ctx: SockAddrContext) -> i32 {
    if redirect::to_resolver_v6(ctx.sock_addr) {
        return 1;
    }
    decide(EventKind::Send, v6(ctx.sock_addr), ctx.sock_addr)
}
