//! Every IP packet that leaves a session's socket: the backstop for what the connect and send hooks do
//! not see (raw sockets, other protocols, sockets from elsewhere).

use core::mem::MaybeUninit;

use aya_ebpf::EbpfContext as _;
use aya_ebpf::helpers::generated;
use aya_ebpf::macros::cgroup_skb;
use aya_ebpf::programs::SkBuffContext;
use warrantd_common::{EventKind, NetworkEvent, Outcome, flags};

use crate::packet::{self, Packet};
use crate::process;
use crate::redirect;
use crate::report::{Session, blank, set_address};
use crate::verdict::{self, Destination, Moment, TCP};

/// 1 lets the packet pass, 0 drops it and gives the sender EPERM.
#[cgroup_skb]
pub fn warrantd_egress(ctx: SkBuffContext) -> i32 {
    // SAFETY: the context is valid for the run of the program.
    let cgroup_id = unsafe { generated::bpf_skb_cgroup_id(ctx.as_ptr().cast()) };
    let Some(session) = Session::find(cgroup_id) else {
        return 0;
    };
    let packet = Packet::parse(&ctx);
    let to = packet.to.words;
    let answer = leaves(cgroup_id, pair(to[0], to[1]), pair(to[2], to[3]), packet.summary());
    // A connection that began when its peer was open may be ended, and no more.
    let late = answer & LATE != 0;
    if answer & ALLOWED != 0 || (late && packet.bare) {
        return 1;
    }
    let mut event = MaybeUninit::uninit();
    let event: &mut NetworkEvent = blank(&mut event);
    session.begin(&mut event.header, EventKind::Packet, Outcome::Denied, (answer >> 32) as u32);
    set_address(event, packet.to.words);
    event.port = packet.to.port;
    event.protocol = packet.to.protocol;
    event.family = packet.family;
    if late {
        event.header.flags |= flags::LATE;
    }
    // Retransmissions run in whatever process the timer interrupts.
    let task = process::current();
    if process::cgroup_id_of(task) == Some(cgroup_id) {
        process::describe(task, &mut event.header);
    } else {
        event.header.flags |= flags::NO_PROCESS;
    }
    session.send(event);
    0
}

/// It may pass.
const ALLOWED: u64 = 1;
/// It may not, and belongs to a TCP connection to a peer that the policy lists, and that is closed now.
const LATE: u64 = 2;

/// The one place that decides about packets: those to peers of the policy, questions to the resolver, and
/// answers of a server that listens. The generation of the policy is in the upper half of the answer.
///
/// A function of its own that takes and returns numbers (a "global function",
/// Documentation/bpf/verifier.rst): the verifier looks at it once, not once for each way through the headers.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn leaves(cgroup_id: u64, high: u64, low: u64, summary: u64) -> u64 {
    let (protocol, opens, whole) = packet::parts(summary);
    let words = [high as u32, (high >> 32) as u32, low as u32, (low >> 32) as u32];
    let to = Destination { words, port: packet::port_to(summary), protocol };
    let mut verdict = verdict::judge(cgroup_id, &to, Moment::Follow);
    if !verdict.allowed {
        verdict.allowed = redirect::is_resolver(cgroup_id, &to)
            || (protocol == TCP && !opens && answers(cgroup_id, packet::port_from(summary)));
    }
    let generation = u64::from(verdict.generation) << 32;
    if !whole {
        return generation;
    }
    if verdict.allowed {
        return generation | ALLOWED;
    }
    let late = protocol == TCP && !opens && verdict::knows(cgroup_id, &to);
    generation | if late { LATE } else { 0 }
}

/// Whether a session listens at a port: then its packets belong to connections that somebody else began.
#[inline(always)]
fn answers(cgroup_id: u64, port: u16) -> bool {
    verdict::policy(cgroup_id).is_some_and(|policy| verdict::listens(policy, TCP, port))
}

#[inline(always)]
fn pair(first: u32, second: u32) -> u64 {
    u64::from(second) << 32 | u64::from(first)
}
