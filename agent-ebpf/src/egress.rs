//! Every IP packet that leaves a session's socket: the backstop for what the connect and send hooks do
//! not see (raw sockets, other protocols, sockets from elsewhere).

use core::mem::MaybeUninit;

use aya_ebpf::EbpfContext as _;
use aya_ebpf::helpers::generated;
use aya_ebpf::macros::cgroup_skb;
use aya_ebpf::programs::SkBuffContext;
use warrantd_common::{EventKind, NetworkEvent, Outcome, flags};

use crate::process;
use crate::report::{Session, blank, set_address};
use crate::verdict::{self, Destination, TCP, UDP};

const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;

/// IPv6 next headers that may stand before the transport header of an ordinary packet: hop-by-hop
/// options (which packets over 64 KiB carry) and destination options (RFC 8200).
const HOP_BY_HOP: u8 = 0;
const DESTINATION_OPTIONS: u8 = 60;

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
    let mut event = MaybeUninit::uninit();
    let event: &mut NetworkEvent = blank(&mut event);
    session.begin(&mut event.header, EventKind::Packet, Outcome::Denied, verdict.generation);
    set_address(event, packet.to.words);
    event.port = packet.to.port;
    event.protocol = packet.to.protocol;
    event.family = packet.family;
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

/// The one place that decides about packets. Answers of a server that listens would be recognised here.
#[inline(always)]
fn may_leave(cgroup_id: u64, packet: &Packet) -> verdict::Verdict {
    let mut verdict = verdict::judge(cgroup_id, &packet.to);
    verdict.allowed &= packet.whole;
    verdict
}

/// Where a packet goes.
struct Packet {
    to: Destination,
    family: u16,
    /// The destination and port could be read.
    whole: bool,
}

impl Packet {
    #[inline(always)]
    fn parse(ctx: &SkBuffContext) -> Self {
        let parsed = match ctx.load::<u8>(0) {
            Ok(first) if first >> 4 == 4 => parse_v4(ctx, first),
            Ok(first) if first >> 4 == 6 => parse_v6(ctx),
            _ => None,
        };
        parsed.unwrap_or(Self {
            to: Destination { words: [0; 4], port: 0, protocol: 0 },
            family: 0,
            whole: false,
        })
    }
}

/// RFC 791.
#[inline(always)]
fn parse_v4(ctx: &SkBuffContext, first: u8) -> Option<Packet> {
    let address: u32 = ctx.load(16).ok()?;
    let protocol: u8 = ctx.load(9).ok()?;
    let fragment = u16::from_be(ctx.load(6).ok()?) & 0x1fff;
    let header = usize::from(first & 0x0f) * 4;
    let port = destination_port(ctx, header, protocol);
    Some(Packet {
        to: Destination::v4(address, port.unwrap_or(0), u16::from(protocol)),
        family: AF_INET,
        // A later fragment has no ports; ordinary sockets hand over whole packets here.
        whole: port.is_some() && fragment == 0,
    })
}

/// RFC 8200.
#[inline(always)]
fn parse_v6(ctx: &SkBuffContext) -> Option<Packet> {
    let words = [ctx.load(24).ok()?, ctx.load(28).ok()?, ctx.load(32).ok()?, ctx.load(36).ok()?];
    let mut protocol: u8 = ctx.load(6).ok()?;
    let mut header = 40;
    if protocol == HOP_BY_HOP || protocol == DESTINATION_OPTIONS {
        let length: u8 = ctx.load(header + 1).ok()?;
        protocol = ctx.load(header).ok()?;
        header += (usize::from(length) + 1) * 8;
    }
    let port = destination_port(ctx, header, protocol);
    Some(Packet {
        to: Destination { words, port: port.unwrap_or(0), protocol: u16::from(protocol) },
        family: AF_INET6,
        whole: port.is_some(),
    })
}

/// Both transports have it at the same place; others have none.
#[inline(always)]
fn destination_port(ctx: &SkBuffContext, header: usize, protocol: u8) -> Option<u16> {
    if u16::from(protocol) != TCP && u16::from(protocol) != UDP {
        return None;
    }
    ctx.load(header + 2).ok().map(u16::from_be)
}
