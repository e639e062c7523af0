//! Every IP packet for a session's socket. New connections are let in at the ports that the policy lists
//! and, when the server is reached through warrantd alone, only from warrantd's own sockets, which carry
//! the session's mark. Nothing is reported: the sender is not in the session.

use aya_ebpf::EbpfContext as _;
use aya_ebpf::bindings::__sk_buff;
use aya_ebpf::helpers::generated;
use aya_ebpf::macros::cgroup_skb;
use aya_ebpf::programs::SkBuffContext;
use warrantd_common::SessionPolicy;

use crate::packet::{ICMP, ICMP_V6, Packet};
use crate::redirect;
use crate::report::Session;
use crate::verdict::{self, Moment, TCP, UDP};

/// 1 lets the packet in, 0 drops it.
#[cgroup_skb]
pub fn warrantd_ingress(ctx: SkBuffContext) -> i32 {
    let skb: *mut __sk_buff = ctx.as_ptr().cast();
    // SAFETY: the context is valid for the run of the program.
    let cgroup_id = unsafe { generated::bpf_skb_cgroup_id(skb) };
    let Some(session) = Session::find(cgroup_id) else {
        return 0;
    };
    // SAFETY: as above.
    let mark = unsafe { (&raw const (*skb).mark).read_volatile() };
    let packet = Packet::parse(&ctx);
    if verdict::policy(cgroup_id).is_some_and(|policy| may_enter(cgroup_id, policy, &packet, mark))
    {
        return 1;
    }
    session.refuse_inbound();
    0
}

#[inline(always)]
fn may_enter(cgroup_id: u64, policy: &SessionPolicy, packet: &Packet, mark: u32) -> bool {
    match packet.to.protocol {
        // What belongs to a connection is the business of the hook that judged its beginning.
        TCP if packet.whole && !packet.opens => true,
        TCP | UDP if packet.whole => {
            let invited = verdict::listens(policy, packet.to.protocol, packet.to.port)
                && (policy.mark == 0 || policy.mark == mark);
            let answer = packet.to.protocol == UDP
                && (redirect::is_resolver(cgroup_id, &packet.from)
                    || verdict::judge(cgroup_id, &packet.from, Moment::Follow).allowed);
            invited || answer
        }
        // Errors that concern a connection.
        ICMP | ICMP_V6 => true,
        _ => false,
    }
}
