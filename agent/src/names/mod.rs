//! A resolver for one session, so that policy can name hosts.
//!
//! The kernel sends what a session's processes say to port 53 here, over UDP and TCP. A name that
//! the policy lists is asked for at the configured name servers; each address of the answer is put
//! into the session's [`AddressBook`], with its ports and its end, *before* the answer leaves. What
//! is enforced is the address: a name that changes its mind (rebinding) opens nothing special, and
//! an address that was never answered stays closed.
//!
//! What a client hears:
//!
//! | asked | answer |
//! |---|---|
//! | a listed name, A or AAAA | its addresses under the name that was asked: aliases are followed here and not shown |
//! | a listed name whose addresses are all refused | `NOERROR` without records |
//! | a listed name, any other type (HTTPS, SVCB, TXT, MX, ANY, …) | `NOERROR` without records; never forwarded |
//! | any other name | `NXDOMAIN` |
//! | too much | `REFUSED` |
//! | a listed name, and no name server answers | `SERVFAIL` within 4 seconds |
//! | no query, or several | `FORMERR`; what is no query at all is dropped |
//!
//! Why `NXDOMAIN` and not `REFUSED` for names that are not listed: glibc takes `REFUSED` for a
//! temporary failure and programs try again, musl waits out its whole timeout. `NXDOMAIN` is final
//! for glibc, musl, c-ares and Go alike. It comes without a SOA record, so nobody caches it, and
//! with an extended error (RFC 8914) that says `Blocked` and why to whoever speaks EDNS.
//!
//! Nothing of a client's query but the name in lower case and the type is forwarded: no EDNS option,
//! no flag, no id, no case pattern. What remains is a name under a wildcard, which tells its owner
//! up to [`crate::policy::MAX_FREEDOM`] bytes: 256 different ones at once and one a second after that.
//! Names that stand in the policy tell no more than that and when they were asked for.
//!
//! Any process of this host can ask it, as it can ask any socket on loopback. What that opens for the
//! session is what its policy lists.
#![forbid(unsafe_code)]

mod answer;
mod engine;
mod known;
mod ledger;
mod listen;
mod pace;
mod query;
mod reply;
mod resolver;
mod tcp;
#[cfg(test)]
mod tests;
mod udp;
mod upstream;
mod wire;

use std::net::IpAddr;
use std::time::Duration;

pub use ledger::Refusal;
pub use query::{Asked, Question};
pub use resolver::Resolver;
pub use upstream::{Upstream, UpstreamError};

use crate::policy::network::Allowed;

/// How long an address stays open after its answer has expired. A client may connect in the last
/// moment of an answer's life, and must be able to use one that lives for 0 seconds.
pub const LINGER: Duration = Duration::from_secs(60);

/// The longest life of an answer in seconds, whatever its records say.
pub const MAX_TTL: u32 = 3600;

/// Addresses of one answer that are used; the rest is left out.
pub const MAX_ADDRESSES: usize = 64;

/// Where addresses that a name leads to are opened.
pub trait AddressBook: Send + Sync {
    /// Lets the session reach `address` as `allowed` says, for `lives` from now, because `name` led to
    /// it, beside what it may reach already. When it returns, a connection succeeds, unless the session
    /// may not use its network at the moment. IPv4-mapped, NAT64 and 6to4 addresses
    /// come as the IPv4 address that the kernel looks up. Called again for an address, it adds the
    /// ports and keeps the later end. Connections that stand when the time is over are not its
    /// concern. The error says why in one line; the address is then left out of the answer.
    fn open(
        &self,
        address: IpAddr,
        name: &str,
        allowed: &[Allowed],
        lives: Duration,
    ) -> Result<(), String>;
}
