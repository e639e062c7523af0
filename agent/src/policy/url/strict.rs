//! A second reader of URLs, as narrow as RFC 3986 and narrower.
//!
//! A server may use any URL library. Where libraries are known to part ways (userinfo, backslashes,
//! missing slashes, numbers for addresses, characters that normalise to others) the text is refused
//! here, and what is read here must be what a WHATWG parser reads as well.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Host, special};

/// URLs may be this long, in bytes.
const MAX_BYTES: usize = 8192;

/// The longest host name and label, in bytes (RFC 1035, section 2.3.4).
const MAX_NAME: usize = 253;
const MAX_LABEL: usize = 63;

/// What the parts of a URL are that decide whom it reaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parts {
    /// Lower case.
    pub(super) scheme: String,
    /// Names in lower case ASCII, without the dot at the end.
    pub(super) host: Host,
    /// As written.
    pub(super) port: Option<u16>,
}

/// Why a text is no URL that every reader reads alike.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum StrictError {
    #[error("the URL is longer than {MAX_BYTES} bytes")]
    TooLong,
    #[error("the URL has a space, control or invisible character; write it percent-encoded")]
    Invisible,
    #[error("the URL has a backslash, which parsers read differently; write `/` or `%5C`")]
    Backslash,
    #[error("the URL does not begin with `scheme://host`; write it out")]
    Start,
    #[error("the URL names a user before `@`, which hides the host; remove it")]
    UserInfo,
    #[error("the URL has an `@` after a host without a path, which parsers read differently")]
    HiddenHost,
    #[error("the URL's path has an encoded control character")]
    EncodedControl,
    #[error("the URL's port is not a plain number from 1 to 65535; correct or remove it")]
    Port,
    #[error("the URL's host is not a plain name or address")]
    Host,
    #[error("the URL's host is a number that is no address in its usual form; write a.b.c.d")]
    Number,
    #[error("the URL's host is an IPv6 address that stands for an IPv4 address; write that")]
    Carrier,
    #[error("the URL's host has characters that become others; write its ASCII form (`xn--…`)")]
    Mapped,
}

/// Reads `text`, or says what makes it ambiguous.
pub(super) fn read(text: &str) -> Result<Parts, StrictError> {
    if text.len() > MAX_BYTES {
        return Err(StrictError::TooLong);
    }
    if text.chars().any(is_invisible) {
        return Err(StrictError::Invisible);
    }
    if text.contains('\\') {
        return Err(StrictError::Backslash);
    }
    let (scheme, rest) = text.split_once("://").ok_or(StrictError::Start)?;
    if !is_scheme(scheme) {
        return Err(StrictError::Start);
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, after) = rest.split_at_checked(end).ok_or(StrictError::Start)?;
    if authority.contains('@') {
        return Err(StrictError::UserInfo);
    }
    check_after(after)?;
    let (host, port) = split_port(authority)?;
    Ok(Parts { scheme: scheme.to_ascii_lowercase(), host: read_host(host)?, port })
}

/// RFC 3986, section 3.1.
pub(super) fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
}

/// White space, controls, and what a person cannot see: joiners, direction marks, fillers, tags,
/// variation selectors and the byte order mark.
fn is_invisible(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(
            c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffd}' | '\u{e0000}'..='\u{e0fff}'
        )
}

/// What follows the authority.
fn check_after(after: &str) -> Result<(), StrictError> {
    // `http://one#@two` and `http://one?@two`: old readers look for the last `@` before the first
    // slash and find another host.
    if after.starts_with(['?', '#']) && after.contains('@') {
        return Err(StrictError::HiddenHost);
    }
    let path = after.split(['?', '#']).next().unwrap_or(after);
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            continue;
        }
        let mut digit = || bytes.next().and_then(|d| char::from(d).to_digit(16));
        if let (Some(high), Some(low)) = (digit(), digit())
            && (high < 2 || (high, low) == (7, 15))
        {
            return Err(StrictError::EncodedControl);
        }
    }
    Ok(())
}

fn split_port(authority: &str) -> Result<(&str, Option<u16>), StrictError> {
    let colon = match authority.rfind(']') {
        Some(bracket) => {
            authority.get(bracket..).and_then(|rest| rest.find(':')).map(|c| c + bracket)
        }
        None => authority.find(':'),
    };
    let Some((host, port)) = colon.and_then(|at| authority.split_at_checked(at)) else {
        return Ok((authority, None));
    };
    let port = port.strip_prefix(':').ok_or(StrictError::Port)?;
    let plain = port.bytes().all(|b| b.is_ascii_digit()) && !port.starts_with('0');
    match port.parse() {
        Ok(port) if plain => Ok((host, Some(port))),
        _ => Err(StrictError::Port),
    }
}

/// Reads a host in one of the forms that all readers agree on.
pub(super) fn read_host(text: &str) -> Result<Host, StrictError> {
    if let Some(inner) = text.strip_prefix('[') {
        let inner = inner.strip_suffix(']').ok_or(StrictError::Host)?;
        let address: Ipv6Addr = inner.parse().map_err(|_| StrictError::Host)?;
        if special::carries_v4(address) {
            return Err(StrictError::Carrier);
        }
        return Ok(Host::Ip(IpAddr::V6(address)));
    }
    if !text.is_ascii() {
        return read_unicode_name(text);
    }
    if is_numeric(text) {
        let address: Ipv4Addr = text.parse().map_err(|_| StrictError::Number)?;
        return Ok(Host::Ip(IpAddr::V4(address)));
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    if name.len() > MAX_NAME || !name.split('.').all(is_label) {
        return Err(StrictError::Host);
    }
    Ok(Host::Name(name.to_ascii_lowercase()))
}

/// Whether readers may take a host for an IPv4 address: its last label is a number (WHATWG URL,
/// "ends in a number").
fn is_numeric(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    let last = host.rsplit('.').next().unwrap_or(host);
    let hex = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    match hex {
        Some(digits) => digits.bytes().all(|b| b.is_ascii_hexdigit()),
        None => !last.is_empty() && last.bytes().all(|b| b.is_ascii_digit()),
    }
}

fn is_label(label: &str) -> bool {
    (1..=MAX_LABEL).contains(&label.len())
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// A name beyond ASCII is read only when it is nothing but lower case letters that IDNA keeps as
/// they are, so that every edition of IDNA leads to the same name. Circled and full-width letters,
/// `。` for a dot and the four "deviations" (ß, ς and the joiners) do not.
fn read_unicode_name(text: &str) -> Result<Host, StrictError> {
    let text = text.strip_suffix('.').unwrap_or(text);
    let plain = |c: char| {
        if c.is_ascii() {
            c.is_ascii_alphanumeric() || c == '-' || c == '.'
        } else {
            c.is_alphabetic() && c != 'ß' && c != 'ς'
        }
    };
    if !text.chars().all(plain) {
        return Err(StrictError::Mapped);
    }
    let ascii = idna::domain_to_ascii_strict(text).map_err(|_| StrictError::Mapped)?;
    let (back, valid) = idna::domain_to_unicode(&ascii);
    if valid.is_err() || back != text {
        return Err(StrictError::Mapped);
    }
    if ascii.is_ascii() { read_host(&ascii) } else { Err(StrictError::Mapped) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> Option<String> {
        read(text).ok().map(|parts| parts.host.to_string())
    }

    #[test]
    fn plain_urls_are_read() {
        for (url, expected) in [
            ("https://Example.COM/a", "example.com"),
            ("https://example.com.", "example.com"),
            ("HTTPS://example.com?q=1", "example.com"),
            ("https://example.com/@user?u=http://[::1]/#@x", "example.com"),
            ("https://example.com/%2e%2e/100%", "example.com"),
            ("https://example.com/café?q=été", "example.com"),
            ("https://bücher.example/", "xn--bcher-kva.example"),
            ("https://r3---sn-a_b.example.com", "r3---sn-a_b.example.com"),
            ("https://1.1.1.1:8443/", "1.1.1.1"),
            ("https://[2606:4700::1111]:443", "2606:4700::1111"),
            ("https://0x7f.example.com/", "0x7f.example.com"),
        ] {
            assert_eq!(host(url).as_deref(), Some(expected), "{url}");
        }
    }

    #[test]
    fn ambiguous_urls_are_refused() {
        for url in [
            "",
            "http:",
            "http:x",
            "http:/x",
            "http:///x",
            "http://",
            "//x.com",
            "://x.com",
            "http://a b.com",
            " http://a.com",
            "http://a.com\n",
            "http://a\u{ad}.com",
            "http://a.com\\@b.com",
            "http://u@a.com",
            "http://u:p@a.com",
            "http://@a.com",
            "http://a.com#@b.com",
            "http://a.com?@b.com",
            "http://a.com:",
            "http://a.com:0",
            "http://a.com:080",
            "http://a.com:+80",
            "http://a.com:65536",
            "http://a.com:80:80",
            "http://127.1",
            "http://0x7f000001",
            "http://017700000001",
            "http://2130706433",
            "http://127.0.0.01",
            "http://127.0.0.1.",
            "http://1.2.3.4.5",
            "http://1.2.3.256",
            "http://0",
            "http://[::ffff:8.8.8.8]",
            "http://[::1%25eth0]",
            "http://[::1%eth0]",
            "http://[::1",
            "http://[::1]x",
            "http://::1/",
            "http://a..com",
            "http://.a.com",
            "http://a.com..",
            "http://%61.com",
            "http://a%2ecom",
            "http://ⓔxample.com",
            "http://a。com",
            "http://１.1.1.1",
            "http://faß.de",
            "http://Bücher.example",
            "http://x.com/%00",
            "http://x.com/a%0d%0aHost:",
            "http://a$b.com",
            "http://-a.com",
            "http://xn--.com\u{202e}",
            "url:http://a.com",
            "0://a.com",
            "h ttp://a.com",
            "http://a,b.com",
            "http://a;b.com",
            "http://[a.com]",
            "http://a.0x",
            "http://a.0X1",
        ] {
            assert!(read(url).is_err(), "read {url:?}: {:?}", read(url));
        }
    }
}
