//! Name service: what a session sends to port 53, wherever, goes to warrantd's resolver, and answers seem
//! to come from where the question went.

use aya_ebpf::bindings::bpf_sock_addr;
use aya_ebpf::helpers::generated;
use aya_ebpf::macros::cgroup_sock_addr;
use aya_ebpf::programs::SockAddrContext;

use crate::address::{raw_port, set_v4, set_v6, v4, v6, words};
use crate::maps::{ASKED, Server};
use crate::process;
use crate::verdict::{self, Destination, TCP, UDP};

/// The port of name servers (RFC 1035, 4.2).
const DNS: u16 = 53;
/// 127.0.0.1, in network byte order.
const LOOPBACK_V4: u32 = 0x7f00_0001_u32.to_be();
/// ::1, in network byte order.
const LOOPBACK_V6: [u32; 4] = [0, 0, 0, 1_u32.to_be()];
/// ::ffff:0:0/96, third word.
const MAPPED: u32 = 0x0000_ffff_u32.to_be();

/// Turns a question to the resolver; false when it is none, or the session has no resolver.
#[inline(always)]
pub fn to_resolver_v4(context: *mut bpf_sock_addr) -> bool {
    let to = v4(context);
    if !is_question(&to) {
        return false;
    }
    let port = verdict::policy(process::cgroup_id()).map_or(0, |policy| policy.resolver_v4);
    if port == 0 {
        return false;
    }
    remember(context, Server { words: [to.words[3], 0, 0, 0], port: raw_port(context) });
    set_v4(context, LOOPBACK_V4, u32::from(port.to_be()));
    true
}

/// As [`to_resolver_v4`]. A mapped address stays one, because the socket may speak IPv4 alone.
#[inline(always)]
pub fn to_resolver_v6(context: *mut bpf_sock_addr) -> bool {
    let to = v6(context);
    if !is_question(&to) {
        return false;
    }
    let Some(policy) = verdict::policy(process::cgroup_id()) else {
        return false;
    };
    let mapped = to.words[0] == 0 && to.words[1] == 0 && to.words[2] == MAPPED;
    let (address, port) = if mapped {
        ([0, 0, MAPPED, LOOPBACK_V4], policy.resolver_v4)
    } else {
        (LOOPBACK_V6, policy.resolver_v6)
    };
    if port == 0 {
        return false;
    }
    remember(context, Server { words: to.words, port: raw_port(context) });
    set_v6(context, address, u32::from(port.to_be()));
    true
}

/// Whether packets to this address are questions that were turned.
#[inline(always)]
pub fn is_resolver(cgroup_id: u64, to: &Destination) -> bool {
    let Some(policy) = verdict::policy(cgroup_id) else {
        return false;
    };
    if to.port == 0 || (to.protocol != UDP && to.protocol != TCP) {
        return false;
    }
    let v4 = to.words == [0, 0, MAPPED, LOOPBACK_V4] && to.port == policy.resolver_v4;
    let v6 = to.words == LOOPBACK_V6 && to.port == policy.resolver_v6;
    v4 || v6
}

#[inline(always)]
fn is_question(to: &Destination) -> bool {
    to.port == DNS && (to.protocol == UDP || to.protocol == TCP)
}

#[inline(always)]
fn remember(context: *mut bpf_sock_addr, server: Server) {
    let cookie = cookie(context);
    // Without a memory the answer comes from an address that the asker may not believe.
    let _ = ASKED.insert(cookie, server, 0);
}

#[inline(always)]
fn cookie(context: *mut bpf_sock_addr) -> u64 {
    // SAFETY: the context is valid for the run of the program.
    unsafe { generated::bpf_get_socket_cookie(context.cast()) }
}

/// Answers to datagrams; always 1.
#[cgroup_sock_addr(recvmsg4)]
pub fn warrantd_recvmsg4(ctx: SockAddrContext) -> i32 {
    let from = v4(ctx.sock_addr);
    if is_resolver(process::cgroup_id(), &from)
        // SAFETY: an element that is recycled meanwhile yields another server's address, which the
        // asker does not believe.
        && let Some(server) = unsafe { ASKED.get(cookie(ctx.sock_addr)) }
    {
        set_v4(ctx.sock_addr, server.words[0], server.port);
    }
    1
}

/// As [`warrantd_recvmsg4`].
#[cgroup_sock_addr(recvmsg6)]
pub fn warrantd_recvmsg6(ctx: SockAddrContext) -> i32 {
    let from = v6(ctx.sock_addr);
    if is_resolver(process::cgroup_id(), &from)
        // SAFETY: as above.
        && let Some(server) = unsafe { ASKED.get(cookie(ctx.sock_addr)) }
    {
        let address = if words(ctx.sock_addr)[2] == MAPPED && server.words[3] == 0 {
            [0, 0, MAPPED, server.words[0]]
        } else {
            server.words
        };
        set_v6(ctx.sock_addr, address, server.port);
    }
    1
}
