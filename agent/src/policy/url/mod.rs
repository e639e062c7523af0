//! Which URLs a call may name, and whom each of them reaches.
//!
//! A URL is read twice, by a WHATWG parser and by a narrow reader after RFC 3986; both must find the
//! same scheme, host and port. Special addresses (loopback, private, metadata, …), names that lead to
//! them, and names without a dot are denied even under `https://**`; only a pattern that names
//! exactly that host opens it. The connection itself is judged again, by address, in the kernel.
#![forbid(unsafe_code)]

mod host;
mod names;
mod path;
mod pattern;
mod special;
mod strict;
#[cfg(test)]
mod tests;

use std::fmt;
use std::net::IpAddr;

pub use host::{HostPattern, host_name};
use pattern::{List, Pattern};
pub use special::special;
use strict::Parts;

/// The URLs that a tool's calls may name.
#[derive(Debug, Clone)]
pub struct UrlRules {
    /// `None` is every host over http and https, on any port.
    allowed: Option<Vec<Pattern>>,
    denied: Vec<Pattern>,
}

/// Whom a URL reaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlPeer {
    /// Lower case, such as `https`.
    pub scheme: String,
    /// The host.
    pub host: Host,
    /// The port, the scheme's default when the URL names none.
    pub port: u16,
    /// The URL as a WHATWG parser writes it.
    pub url: String,
}

/// A host in the one form that is compared.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// ASCII, lower case, without a dot at the end.
    Name(String),
    /// An address.
    Ip(IpAddr),
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Ip(address) => address.fmt(f),
        }
    }
}

/// Why a URL is denied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct UrlDenial {
    /// What denies it: `allowed_urls`, `denied_urls` with the pattern in the reason, or `url` for
    /// a URL that no pattern can allow as it stands.
    pub limit: &'static str,
    /// Why, in one line that tells a person what to do.
    pub reason: String,
}

impl UrlDenial {
    fn new(limit: &'static str, reason: impl Into<String>) -> Self {
        Self { limit, reason: reason.into() }
    }

    fn url(reason: impl Into<String>) -> Self {
        Self::new("url", reason)
    }
}

impl UrlRules {
    /// Compiles the patterns of `allowed_urls` and `denied_urls`. The error is the position of the bad
    /// pattern, the list that it stands in, and why.
    pub fn compile(
        allowed: Option<&[String]>,
        denied: &[String],
    ) -> Result<Self, (usize, &'static str, String)> {
        let compile = |texts: &[String], list, field| {
            let each = |(index, text): (usize, &String)| {
                Pattern::compile(text, list).map_err(|why| (index, field, why))
            };
            texts.iter().enumerate().map(each).collect::<Result<Vec<_>, _>>()
        };
        Ok(Self {
            allowed: allowed
                .map(|texts| compile(texts, List::Allowed, "allowed_urls"))
                .transpose()?,
            denied: compile(denied, List::Denied, "denied_urls")?,
        })
    }

    fn allowed(&self) -> &[Pattern] {
        self.allowed.as_deref().unwrap_or_default()
    }
}

/// Judges a URL that a call names.
pub fn judge(rules: &UrlRules, argument: &str) -> Result<UrlPeer, UrlDenial> {
    check_scheme(rules, argument)?;
    let parts = strict::read(argument).map_err(|why| UrlDenial::url(why.to_string()))?;
    let peer = agree(&parts, argument)?;
    let views = path::Views::new(&peer.path)
        .ok_or_else(|| UrlDenial::url("the URL's path is percent-encoded over and over"))?;
    let peer = peer.peer;
    let covering = |patterns: &[Pattern], list| {
        patterns.iter().position(|p| p.covers(&parts, peer.port, &views, list))
    };
    if let Some(pattern) =
        covering(&rules.denied, List::Denied).and_then(|index| rules.denied.get(index))
    {
        return Err(UrlDenial::new("denied_urls", format!("the URL matches `{}`", pattern.text)));
    }
    let opened = rules
        .allowed()
        .iter()
        .filter(|p| p.covers(&parts, peer.port, &views, List::Allowed))
        .collect::<Vec<_>>();
    check_host(&parts.host, &opened)?;
    if rules.allowed.is_some() && opened.is_empty() {
        let host = &parts.host;
        let reason = format!("no allowed pattern covers {}://{host}:{}", peer.scheme, peer.port);
        return Err(UrlDenial::new("allowed_urls", format!("{reason} with this path")));
    }
    Ok(peer)
}

/// Whom a URL reaches, whether or not policy allows it; an error when readers may disagree.
pub fn peer(argument: &str) -> Result<UrlPeer, UrlDenial> {
    let parts = strict::read(argument).map_err(|why| UrlDenial::url(why.to_string()))?;
    Ok(agree(&parts, argument)?.peer)
}

/// The scheme first: what it denies needs no host to be denied.
fn check_scheme(rules: &UrlRules, argument: &str) -> Result<(), UrlDenial> {
    let end = argument.find([':', '/', '?', '#']);
    let scheme = end.and_then(|end| argument.split_at_checked(end)).map_or("", |(start, _)| start);
    if !strict::is_scheme(scheme) {
        return Ok(());
    }
    let scheme = scheme.to_ascii_lowercase();
    let plain = scheme == "http" || scheme == "https";
    let named = rules.allowed().iter().any(|pattern| pattern.is_scheme(&scheme));
    if pattern::is_never(&scheme) || !(plain || named) {
        let scheme: String = scheme.chars().take(32).collect();
        return Err(UrlDenial::url(format!("scheme `{scheme}` is not allowed; use https")));
    }
    Ok(())
}

struct Agreed {
    peer: UrlPeer,
    path: String,
}

/// What the WHATWG parser reads, when it is what the strict reader has read.
fn agree(parts: &Parts, argument: &str) -> Result<Agreed, UrlDenial> {
    let url = ::url::Url::parse(argument)
        .map_err(|why| UrlDenial::url(format!("not a URL: {why}; correct it")))?;
    let host = match url.host() {
        Some(::url::Host::Ipv4(address)) => Some(Host::Ip(IpAddr::V4(address))),
        Some(::url::Host::Ipv6(address)) => Some(Host::Ip(IpAddr::V6(address))),
        // The host of a scheme that the WHATWG standard does not know is an opaque text.
        Some(::url::Host::Domain(name)) => strict::read_host(name).ok(),
        None => None,
    };
    let default = pattern::default_port(&parts.scheme);
    let port = url.port_or_known_default().or(default);
    let same = url.scheme() == parts.scheme
        && host.as_ref() == Some(&parts.host)
        && port == parts.port.or(default)
        && url.username().is_empty()
        && url.password().is_none();
    let (true, Some(port)) = (same, port) else {
        let reason = if same {
            "the URL's scheme has no usual port; name one"
        } else {
            "parsers disagree about whom the URL reaches; write scheme://host:port/path plainly"
        };
        return Err(UrlDenial::url(reason));
    };
    let path = url.path().to_owned();
    let (scheme, host) = (parts.scheme.clone(), parts.host.clone());
    Ok(Agreed { peer: UrlPeer { scheme, host, port, url: url.into() }, path })
}

/// Denies special hosts that no covering pattern names.
fn check_host(host: &Host, opened: &[&Pattern]) -> Result<(), UrlDenial> {
    match host {
        Host::Ip(address) => {
            let Some(class) = special(*address) else { return Ok(()) };
            if opened.iter().any(|pattern| pattern.names(host)) {
                return Ok(());
            }
            let reason = format!("{address} is a special address ({class})");
            Err(UrlDenial::url(format!("{reason}; only a pattern with this address opens it")))
        }
        Host::Name(name) => {
            let Some(special) = names::special_name(name) else { return Ok(()) };
            if opened.iter().any(|pattern| pattern::opens(pattern, host, special)) {
                return Ok(());
            }
            let (names::Special::Exact(why) | names::Special::Below { why, .. }) = special;
            Err(UrlDenial::url(format!(
                "`{name}` is {why}; only a pattern with this name opens it"
            )))
        }
    }
}
