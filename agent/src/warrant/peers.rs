//! The peers of `connect` in a policy's effects.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use super::grant::{PeerGrant, Whom};
use crate::policy::url::{self, Host, HostPattern, UrlPeer, host_name};

/// Reads `ADDRESS`, `ADDRESS:PORT`, `[ADDRESS]:PORT`, `NAME`, `NAME:PORT` or a URL. What policy has
/// `written` itself may also be a `CIDR` or a glob of names; an argument is one peer.
pub(super) fn peer(text: &str, written: bool) -> Result<PeerGrant, String> {
    let exactly = |ip: IpAddr| Whom::Net(ip.to_canonical().into());
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Ok(PeerGrant { whom: exactly(ip), port: None });
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(PeerGrant { whom: exactly(address.ip()), port: Some(address.port()) });
    }
    if let (true, Ok(net)) = (written, text.parse::<IpNet>()) {
        return Ok(PeerGrant { whom: Whom::Net(net), port: None });
    }
    if text.contains("://") {
        let peer = url::peer(text).map_err(|denial| format!("names no peer: {denial}"))?;
        return of_url(&peer);
    }
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) => (name, Some(port.parse().map_err(|_| EXPECTED.to_owned())?)),
        None => (text, None),
    };
    let pattern = HostPattern::compile(name).map_err(|_| EXPECTED.to_owned())?;
    if !written && host_name(name).is_none() && pattern.exact().is_none() {
        return Err("is many peers, and an argument must be one".to_owned());
    }
    Ok(PeerGrant { whom: Whom::Name(pattern), port })
}

/// Whom a URL reaches.
pub(super) fn of_url(peer: &UrlPeer) -> Result<PeerGrant, String> {
    let whom = match &peer.host {
        Host::Ip(ip) => Whom::Net(ip.to_canonical().into()),
        Host::Name(name) => Whom::Name(HostPattern::compile(name)?),
    };
    Ok(PeerGrant { whom, port: Some(peer.port) })
}

const EXPECTED: &str =
    "is not ADDRESS, ADDRESS:PORT, [ADDRESS]:PORT, CIDR, NAME, NAME:PORT or a URL";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_are_read_in_all_forms() {
        for (text, port) in [
            ("192.0.2.1", None),
            ("192.0.2.1:443", Some(443)),
            ("[2001:db8::1]:443", Some(443)),
            ("2001:db8::1", None),
            ("api.example.com", None),
            ("api.example.com:443", Some(443)),
            ("https://api.example.com/a", Some(443)),
            ("http://192.0.2.1:8080/", Some(8080)),
        ] {
            assert_eq!(peer(text, false).unwrap().port, port, "{text}");
        }
        for text in ["192.0.2.0/24", "*.example.com", "*.example.com:443", "*"] {
            assert!(peer(text, true).is_ok(), "{text}");
            assert!(peer(text, false).is_err(), "{text}");
        }
        for text in ["", "a b", "api.example.com:", "api.example.com:http", "https://u@a.com/"] {
            assert!(peer(text, true).is_err(), "{text}");
        }
    }
}
