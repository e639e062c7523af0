//! Which names a server may resolve, and on which ports it may then reach their addresses.
//!
//! A name opens public addresses alone. A special one (private, loopback, metadata, …) is opened by
//! a `cidr` rule that covers it, never by a name: whoever owns a name chooses its addresses.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::IpAddr;

use super::network::{Allowed, MAX_PORTS, PortRange, Table, merge};
use super::reach::ports;
use super::url::{HostPattern, special};
use crate::config::{NetworkRule, Problem};

/// How many bytes the wildcards of a pattern may stand for, dots included. A server can put data into the name
/// it asks for, and whoever answers for `example.com` reads it: a name has room for 253 bytes. For a
/// pattern that covers every name there is no limit: whoever may reach everybody needs no such way.
pub const MAX_FREEDOM: usize = 63;

/// The `host` rules of a policy.
#[derive(Debug, Clone, Default)]
pub struct Names {
    exact: HashMap<String, Vec<Allowed>>,
    globs: Vec<(HostPattern, Vec<Allowed>)>,
    /// What the rules by address open.
    table: Table,
}

/// What a name opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameMatch {
    /// Protocols and ports, sorted and without overlap.
    pub allowed: Vec<Allowed>,
    /// The name stands in the policy itself. Asking for any other tells whoever answers something.
    pub exact: bool,
}

/// Why a name or an address that it leads to is refused.
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error)]
pub enum NameDenial {
    /// No rule names it.
    #[error("no `host` rule of the policy covers it")]
    NotListed,
    /// It is an address, or not a name that a host can have.
    #[error("it is no host name")]
    NoName,
    /// A wildcard covers it, and stands for too much of it.
    #[error(
        "the wildcards that cover it would stand for more than {MAX_FREEDOM} bytes; list the name"
    )]
    TooLong,
    /// The name leads to a special address.
    #[error(
        "it leads to {address} ({class}), which no name can open; a `cidr` rule with these ports can"
    )]
    Special {
        /// The address.
        address: IpAddr,
        /// What it is, such as `private`.
        class: &'static str,
    },
}

impl Names {
    /// Compiles the `host` rules of `network.allow`; those with `cidr` are in `table`.
    pub fn compile(rules: &[NetworkRule], table: Table) -> Result<Self, Problem> {
        let mut names = Self { table, ..Self::default() };
        let mut all = Vec::new();
        for (index, rule) in rules.iter().enumerate() {
            let Some(text) = &rule.host else { continue };
            let key = format!("network.allow[{index}]");
            let pattern = HostPattern::compile(text)
                .map_err(|why| Problem::new(format!("{key}.host"), why))?;
            if let Some(zero) = rule.ports.iter().position(|port| *port == 0) {
                let key = format!("{key}.ports[{zero}]");
                return Err(Problem::new(key, "a port is a number from 1 to 65535"));
            }
            let allowed = ports(&rule.ports, rule.protocol);
            all.extend(allowed.iter().copied());
            match pattern.exact() {
                Some(name) => {
                    let entry = names.exact.entry(name.to_owned()).or_default();
                    *entry = merge(entry.iter().copied().chain(allowed));
                }
                None => names.globs.push((pattern, allowed)),
            }
        }
        // One address may serve every name, so all of them must fit into one entry.
        let count = merge(all.into_iter()).len();
        if count > MAX_PORTS {
            let message = format!(
                "the `host` rules name {count} different ports, {MAX_PORTS} fit (a port without \
                 `protocol` counts twice): merge or remove some"
            );
            return Err(Problem::new("network.allow", message));
        }
        Ok(names)
    }

    /// Whether no name can be resolved.
    pub fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.globs.is_empty()
    }

    /// What a name opens. `name` is in the form of [`super::url::host_name`].
    pub fn find(&self, name: &str) -> Result<NameMatch, NameDenial> {
        let exact = self.exact.get(name);
        let covering = self.globs.iter().filter(|(pattern, _)| pattern.covers(name));
        let (fitting, too_free): (Vec<_>, Vec<_>) =
            covering.partition(|(pattern, _)| pattern.freedom(name) <= MAX_FREEDOM);
        if exact.is_none() && fitting.is_empty() {
            let uncovered = too_free.is_empty();
            return Err(if uncovered { NameDenial::NotListed } else { NameDenial::TooLong });
        }
        let open = fitting.iter().flat_map(|(_, allowed)| allowed);
        let allowed = merge(exact.into_iter().flatten().chain(open).copied());
        Ok(NameMatch { allowed, exact: exact.is_some() })
    }

    /// What is opened when a name that opens `allowed` leads to `address`: `allowed` itself for a
    /// public one; of a special one what rules by address open, too.
    pub fn judge_address<'a>(
        &self,
        address: IpAddr,
        allowed: &'a [Allowed],
    ) -> Result<Cow<'a, [Allowed]>, NameDenial> {
        let Some(class) = special(address) else { return Ok(Cow::Borrowed(allowed)) };
        let common = |a: &Allowed, b: &Allowed| {
            let low = a.ports.low.max(b.ports.low);
            let high = a.ports.high.min(b.ports.high);
            (a.protocol == b.protocol && low <= high)
                .then_some(Allowed { ports: PortRange { low, high }, ..*a })
        };
        let listed = self.table.allowed(address);
        let both = merge(listed.iter().flat_map(|a| allowed.iter().filter_map(|b| common(a, b))));
        if both.is_empty() {
            return Err(NameDenial::Special { address, class });
        }
        Ok(Cow::Owned(both))
    }
}

#[cfg(test)]
#[path = "names_tests.rs"]
mod tests;
