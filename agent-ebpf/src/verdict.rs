//! May this address be reached? One decision for every hook.

use aya_ebpf::helpers::generated;
use warrantd_common::{MAX_LISTEN, MAX_PORT_RULES, PortRule, PortRules, SessionPolicy};

use crate::maps::{AddressKey, NAMES, POLICIES, RULES, SessionAddress};

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

/// When something is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// A connection or datagram begins.
    Begin,
    /// A packet follows, whose beginning was judged.
    Follow,
}

/// Decides for a session by what is open now: default deny, and a missing policy or entry is a deny.
#[inline(always)]
pub fn judge(cgroup_id: u64, to: &Destination, moment: Moment) -> Verdict {
    let Some(policy) = policy(cgroup_id) else {
        return Verdict { allowed: false, generation: 0 };
    };
    let allowed = reachable(cgroup_id, policy.open, to, moment);
    Verdict { allowed, generation: policy.generation }
}

/// Whether a session's policy lists a peer, be it open now or not.
#[inline(always)]
pub fn knows(cgroup_id: u64, to: &Destination) -> bool {
    let address = carried(to.words);
    if let Some(rules) = RULES.get(AddressKey::new(generation(cgroup_id), address).as_key())
        && listed(rules, to.protocol, to.port)
    {
        return true;
    }
    // SAFETY: the map does not preallocate, so the element outlives this program run.
    unsafe { NAMES.get(SessionAddress::new(cgroup_id, address).as_key()) }.is_some()
}

/// The policy of a session.
#[inline(always)]
pub fn policy(cgroup_id: u64) -> Option<&'static SessionPolicy> {
    // SAFETY: the map does not preallocate, so the element outlives this program run.
    unsafe { POLICIES.get(cgroup_id) }
}

/// Generation of a session's policy, 0 when it has none.
#[inline(always)]
pub fn generation(cgroup_id: u64) -> u32 {
    policy(cgroup_id).map_or(0, |policy| policy.generation)
}

/// Whether a session may be reached at one of its own ports.
#[inline(always)]
pub fn listens(policy: &SessionPolicy, protocol: u16, port: u16) -> bool {
    let protocol = if protocol == MPTCP { TCP } else { protocol };
    for index in 0..MAX_LISTEN {
        if index as u32 >= policy.listen_count {
            return false;
        }
        if covers(&policy.listen[index], protocol, port) {
            return true;
        }
    }
    false
}

#[inline(always)]
fn reachable(cgroup_id: u64, open: u32, to: &Destination, moment: Moment) -> bool {
    let protocol = if to.protocol == MPTCP { TCP } else { to.protocol };
    if protocol != TCP && protocol != UDP {
        return false;
    }
    let address = carried(to.words);
    if open != 0
        && let Some(rules) = RULES.get(AddressKey::new(open, address).as_key())
        && listed(rules, protocol, to.port)
    {
        return true;
    }
    // SAFETY: the map does not preallocate, so the element outlives this program run.
    let named = unsafe { NAMES.get(SessionAddress::new(cgroup_id, address).as_key()) };
    let Some(named) = named else {
        return false;
    };
    // SAFETY: the helper takes no arguments and always succeeds.
    let now = unsafe { generated::bpf_ktime_get_boot_ns() };
    (moment == Moment::Follow || now < named.expires_ns) && listed(&named.ports, protocol, to.port)
}

#[inline(always)]
fn listed(rules: &PortRules, protocol: u16, port: u16) -> bool {
    for index in 0..MAX_PORT_RULES {
        if index as u32 >= rules.count {
            return false;
        }
        if covers(&rules.rules[index], protocol, port) {
            return true;
        }
    }
    false
}

#[inline(always)]
fn covers(rule: &PortRule, protocol: u16, port: u16) -> bool {
    rule.protocol == protocol && rule.low <= port && port <= rule.high
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
