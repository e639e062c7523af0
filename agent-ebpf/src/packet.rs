//! The headers of an IP packet, as far as verdicts need them.

use aya_ebpf::programs::SkBuffContext;

use crate::address::{AF_INET, AF_INET6};
use crate::verdict::{Destination, TCP, UDP};

/// IPv6 next headers that may stand before the transport header of an ordinary packet: hop-by-hop
/// options (which packets over 64 KiB carry) and destination options (RFC 8200).
const HOP_BY_HOP: u8 = 0;
const DESTINATION_OPTIONS: u8 = 60;
/// ICMP, and ICMP for IPv6.
pub const ICMP: u16 = 1;
/// See [`ICMP`].
pub const ICMP_V6: u16 = 58;
/// Bits in the fourteenth byte of a TCP header (RFC 9293).
const SYN: u8 = 0x02;
const ACK: u8 = 0x10;

/// A packet's two ends.
pub struct Packet {
    /// Where it comes from.
    pub from: Destination,
    /// Where it goes.
    pub to: Destination,
    /// Address family.
    pub family: u16,
    /// It asks for a new TCP connection.
    pub opens: bool,
    /// The addresses and ports could be read.
    pub whole: bool,
}

/// Both ports, and whether a TCP connection begins. Zeros when they cannot be read, and `whole` says so:
/// an absent value of this type would be registers that the verifier finds unset.
#[derive(Clone, Copy)]
struct Transport {
    source: u16,
    destination: u16,
    opens: bool,
    whole: bool,
}

const NOWHERE: Destination = Destination { words: [0; 4], port: 0, protocol: 0 };

impl Packet {
    /// Reads the headers.
    #[inline(always)]
    pub fn parse(ctx: &SkBuffContext) -> Self {
        let parsed = match ctx.load::<u8>(0) {
            Ok(first) if first >> 4 == 4 => parse_v4(ctx, first),
            Ok(first) if first >> 4 == 6 => parse_v6(ctx),
            _ => None,
        };
        let nothing = Self { from: NOWHERE, to: NOWHERE, family: 0, opens: false, whole: false };
        parsed.unwrap_or(nothing)
    }
}

/// RFC 791.
#[inline(always)]
fn parse_v4(ctx: &SkBuffContext, first: u8) -> Option<Packet> {
    let source: u32 = ctx.load(12).ok()?;
    let destination: u32 = ctx.load(16).ok()?;
    let protocol = u16::from(ctx.load::<u8>(9).ok()?);
    let fragment = u16::from_be(ctx.load(6).ok()?) & 0x1fff;
    let ports = transport(ctx, usize::from(first & 0x0f) * 4, protocol);
    Some(Packet {
        from: Destination::v4(source, ports.source, protocol),
        to: Destination::v4(destination, ports.destination, protocol),
        family: AF_INET,
        opens: ports.opens,
        // A later fragment has no ports; ordinary sockets hand over whole packets here.
        whole: ports.whole && fragment == 0,
    })
}

/// RFC 8200.
#[inline(always)]
fn parse_v6(ctx: &SkBuffContext) -> Option<Packet> {
    let source = address(ctx, 8)?;
    let destination = address(ctx, 24)?;
    let mut protocol: u8 = ctx.load(6).ok()?;
    let mut header = 40;
    if protocol == HOP_BY_HOP || protocol == DESTINATION_OPTIONS {
        let length: u8 = ctx.load(header + 1).ok()?;
        protocol = ctx.load(header).ok()?;
        header += (usize::from(length) + 1) * 8;
    }
    let protocol = u16::from(protocol);
    let ports = transport(ctx, header, protocol);
    Some(Packet {
        from: Destination { words: source, port: ports.source, protocol },
        to: Destination { words: destination, port: ports.destination, protocol },
        family: AF_INET6,
        opens: ports.opens,
        whole: ports.whole,
    })
}

#[inline(always)]
fn address(ctx: &SkBuffContext, offset: usize) -> Option<[u32; 4]> {
    Some([
        ctx.load(offset).ok()?,
        ctx.load(offset + 4).ok()?,
        ctx.load(offset + 8).ok()?,
        ctx.load(offset + 12).ok()?,
    ])
}

/// Both transports have their ports at the same place; others have none.
#[inline(always)]
fn transport(ctx: &SkBuffContext, header: usize, protocol: u16) -> Transport {
    let mut found = Transport { source: 0, destination: 0, opens: false, whole: false };
    if protocol != TCP && protocol != UDP {
        return found;
    }
    let Ok(ports) = ctx.load::<u32>(header) else {
        return found;
    };
    let ports = u32::from_be(ports);
    found.source = (ports >> 16) as u16;
    found.destination = ports as u16;
    if protocol == UDP {
        found.whole = true;
        return found;
    }
    if let Ok(bits) = ctx.load::<u8>(header + 13) {
        found.opens = bits & (SYN | ACK) == SYN;
        found.whole = true;
    }
    found
}
