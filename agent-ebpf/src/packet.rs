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
/// Flags of a TCP header (RFC 9293).
const SYN: u16 = 0x02;
const ACK: u16 = 0x10;

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
    /// It belongs to a TCP connection and carries no data.
    pub bare: bool,
    /// The addresses and ports could be read.
    pub whole: bool,
}

/// Both ports, whether a TCP connection begins, and the length of TCP's header. Zeros when they cannot be read, and `whole` says so:
/// an absent value of this type would be registers that the verifier finds unset.
#[derive(Clone, Copy)]
struct Transport {
    source: u16,
    destination: u16,
    opens: bool,
    length: u16,
    whole: bool,
}

impl Transport {
    /// Whether a packet of `total` bytes whose transport header is at `header` ends with that header.
    #[inline(always)]
    fn ends_at(&self, header: u16, total: u16) -> bool {
        self.length != 0 && !self.opens && header.wrapping_add(self.length) == total
    }
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
        parsed.unwrap_or(Self {
            from: NOWHERE,
            to: NOWHERE,
            family: 0,
            opens: false,
            bare: false,
            whole: false,
        })
    }
}

/// Places in a [`Packet::summary`], from the lowest bit: ports, protocol, and two bits.
const FROM: u32 = 16;
const PROTOCOL: u32 = 32;
const OPENS: u32 = 48;
const WHOLE: u32 = 49;

impl Packet {
    /// All but the addresses and the family, in one number.
    #[inline(always)]
    pub fn summary(&self) -> u64 {
        u64::from(self.to.port)
            | u64::from(self.from.port) << FROM
            | u64::from(self.to.protocol) << PROTOCOL
            | u64::from(self.opens) << OPENS
            | u64::from(self.whole) << WHOLE
    }
}

/// The port that a packet goes to.
#[inline(always)]
pub const fn port_to(summary: u64) -> u16 {
    summary as u16
}

/// The port that it comes from.
#[inline(always)]
pub const fn port_from(summary: u64) -> u16 {
    (summary >> FROM) as u16
}

/// Its protocol, whether it opens a connection, and whether it could be read.
#[inline(always)]
pub const fn parts(summary: u64) -> (u16, bool, bool) {
    ((summary >> PROTOCOL) as u16, summary >> OPENS & 1 != 0, summary >> WHOLE & 1 != 0)
}

/// RFC 791.
#[inline(always)]
fn parse_v4(ctx: &SkBuffContext, first: u8) -> Option<Packet> {
    let source: u32 = ctx.load(12).ok()?;
    let destination: u32 = ctx.load(16).ok()?;
    let protocol = u16::from(ctx.load::<u8>(9).ok()?);
    let fragment = u16::from_be(ctx.load(6).ok()?) & 0x1fff;
    let header = u16::from(first & 0x0f) * 4;
    let total = u16::from_be(ctx.load(2).ok()?);
    let ports = transport(ctx, usize::from(header), protocol);
    Some(Packet {
        from: Destination::v4(source, ports.source, protocol),
        to: Destination::v4(destination, ports.destination, protocol),
        family: AF_INET,
        opens: ports.opens,
        bare: ports.ends_at(header, total),
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
    let total = u16::from_be(ctx.load(4).ok()?).wrapping_add(40);
    let ports = transport(ctx, header, protocol);
    Some(Packet {
        from: Destination { words: source, port: ports.source, protocol },
        to: Destination { words: destination, port: ports.destination, protocol },
        family: AF_INET6,
        opens: ports.opens,
        bare: ports.ends_at(header as u16, total),
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
    let mut found = Transport { source: 0, destination: 0, opens: false, length: 0, whole: false };
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
    // Data offset and flags (RFC 9293, 3.1).
    if let Ok(bits) = ctx.load::<u16>(header + 12) {
        let bits = u16::from_be(bits);
        found.opens = bits & (SYN | ACK) == SYN;
        found.length = (bits >> 12) * 4;
        found.whole = true;
    }
    found
}
