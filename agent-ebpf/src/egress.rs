//! Every IP packet that leaves a session's socket: the backstop for what the connect and send hooks do
//! not see (raw sockets, other protocols, sockets from elsewhere).

use core::mem::MaybeUninit;

use aya_ebpf::EbpfContext as _;
use aya_ebpf::helpers::generated;
use aya_ebpf::macros::cgroup_skb;
use aya_ebpf::programs::SkBuffContext;
use warrantd_common::{EventKind, NetworkEvent, Outcome, flags};

use crate::packet::Packet;
use crate::process;
use crate::redirect;
use crate::report::{Session, blank, set_address};
use crate::verdict::{self, Moment, TCP};

/// 1 lets the packet pass, 0 drops it and gives the sender EPERM.
#[cgroup_skb]
pub fn warrantd_egress(ctx: SkBuffContext) -> i32 {
    // SAFETY: the context is valid for the run of the program.
    let cgroup_id = unsafe { generated::bpf_skb_cgroup_id(ctx.as_ptr().cast()) };
    let Some(session) = Session::find(cgroup_id) else {
        return 0;
    };
    let packet = Packet::parse(&ctx);
    let verdict = may_leave(cgroup_id, &packet);
    if verdict.allowed {
        return 1;
    }
    // A connection that began when its peer was open may be ended, and no more.
    let late = follows(cgroup_id, &packet);
    if late && packet.bare {
        return 1;
    }
    let mut event = MaybeUninit::uninit();
    let event: &mut NetworkEvent = blank(&mut event);
    session.begin(&mut event.header, EventKind::Packet, Outcome::Denied, verdict.generation);
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

/// The one place that decides about packets: those to peers of the policy, questions to the resolver, and
/// answers of a server that listens.
#[inline(always)]
fn may_leave(cgroup_id: u64, packet: &Packet) -> verdict::Verdict {
    let mut verdict = verdict::judge(cgroup_id, &packet.to, Moment::Follow);
    if !verdict.allowed {
        verdict.allowed =
            redirect::is_resolver(cgroup_id, &packet.to) || answers(cgroup_id, packet);
    }
    verdict.allowed &= packet.whole;
    verdict
}

/// Whether the packet belongs to a TCP connection to a peer that the policy lists, and that is closed now.
#[inline(always)]
fn follows(cgroup_id: u64, packet: &Packet) -> bool {
    packet.whole
        && packet.to.protocol == TCP
        && !packet.opens
        && verdict::knows(cgroup_id, &packet.to)
}

/// Whether the packet belongs to a connection that somebody else began.
#[inline(always)]
fn answers(cgroup_id: u64, packet: &Packet) -> bool {
    packet.from.protocol == TCP
        && !packet.opens
        && verdict::policy(cgroup_id)
            .is_some_and(|policy| verdict::listens(policy, TCP, packet.from.port))
}
