//! May this address be reached? One decision for every hook.

use warrantd_common::{MAX_PORT_RULES, PortRules, SessionPolicy};

use crate::maps::{AddressKey, POLICIES, RULES};

/// An IPv6 address as four words in network byte order, the form in which contexts hold it.
#[derive(Clone, Copy)]
pub struct Destination {
    /// The address; IPv4 as `::ffff:a.b.c.d`.
    pub words: [u32; 4],
    /// Port in host byte order, 0 where the protocol has none.
    pub port: u16,
    /// IP protocol number.
    pub protocol: u16,
}

/// What was decided, by which policy.
#[derive(Clone, Copy)]
pub struct Verdict {
    /// Whether it may happen.
    pub allowed: bool,
    /// Generation of the policy, 0 when the session has none.
    pub generation: u32,
}

/// IP protocol numbers (include/uapi/linux/in.h).
pub const TCP: u16 = 6;
/// See [`TCP`].
pub const UDP: u16 = 17;
/// See [`TCP`]; carried by TCP and judged as such.
pub const MPTCP: u16 = 262;

/// ::ffff:0:0/96, third word.
const MAPPED: u32 = 0x0000_ffff_u32.to_be();

impl Destination {
    /// A destination in IPv4; `address` is in network byte order.
    #[inline(always)]
    pub const fn v4(address: u32, port: u16, protocol: u16) -> Self {
        Self { words: [0, 0, MAPPED, address], port, protocol }
    }
}

/// Decides for a session: default deny, and a missing policy or entry is a deny.
#[inline(always)]
pub fn judge(cgroup_id: u64, to: &Destination) -> Verdict {
    let generation = generation(cgroup_id);
    let allowed = generation != 0 && reachable(generation, to);
    Verdict { allowed, generation }
}

/// Generation of a session's policy, 0 when it has none.
#[inline(always)]
pub fn generation(cgroup_id: u64) -> u32 {
    // SAFETY: the map does not preallocate, so the element outlives this program run.
    let policy: Option<&SessionPolicy> = unsafe { POLICIES.get(cgroup_id) };
    policy.map_or(0, |policy| policy.generation)
}

#[inline(always)]
fn reachable(generation: u32, to: &Destination) -> bool {
    let protocol = if to.protocol == MPTCP { TCP } else { to.protocol };
    if protocol != TCP && protocol != UDP {
        return false;
    }
    match RULES.get(AddressKey::new(generation, carried(to.words)).as_key()) {
        Some(rules) => listed(rules, protocol, to.port),
        None => false,
    }
}

#[inline(always)]
fn listed(rules: &PortRules, protocol: u16, port: u16) -> bool {
    for index in 0..MAX_PORT_RULES {
        if index as u32 >= rules.count {
            return false;
        }
        let rule = &rules.rules[index];
        if rule.protocol == protocol && rule.low <= port && port <= rule.high {
            return true;
        }
    }
    false
}

/// The IPv4 address that a NAT64 (64:ff9b::/96, RFC 6052) or 6to4 (2002::/16, RFC 3056) address carries.
#[inline(always)]
fn carried(words: [u32; 4]) -> [u32; 4] {
    if words[0] == 0x0064_ff9b_u32.to_be() && words[1] == 0 && words[2] == 0 {
        return [0, 0, MAPPED, words[3]];
    }
    let (first, second) = (u32::from_be(words[0]), u32::from_be(words[1]));
    if first >> 16 == 0x2002 {
        return [0, 0, MAPPED, (first << 16 | second >> 16).to_be()];
    }
    words
}
