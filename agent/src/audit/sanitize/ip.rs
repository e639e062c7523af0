//! IPv6 addresses (RFC 4291, section 2.2). IPv4 addresses are found among [`super::numbers`].

use std::net::Ipv6Addr;

use super::span::{Span, byte, byte_before, is_word, run};
use crate::config::Kind;

/// Bytes of the longest address: `ffff:…:ffff:255.255.255.255`.
const LONGEST: usize = 45;

/// Finds addresses. One without a digit, such as `::`, `a::b` or `std::fs`, is none.
pub(super) fn find_v6(text: &str, spans: &mut Vec<Span>) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let length = run(bytes, at, is_member);
        if length == 0 {
            at += 1;
            continue;
        }
        let mut end = at + length;
        if (3..=LONGEST + 2).contains(&length) && !is_word(byte_before(bytes, at)) {
            // A colon or full stop of the sentence is no part of the address.
            let sentence = matches!(byte(bytes, end - 1), b'.' | b':')
                && !(byte(bytes, end - 1) == b':' && byte_before(bytes, end - 1) == b':');
            let last = end - usize::from(sentence);
            let is_address = text.get(at..last).is_some_and(is_address);
            if is_address && !is_word(byte(bytes, end)) {
                spans.push(Span { start: at, end: last, kind: Kind::Ip });
            }
        }
        end += run(bytes, end, is_word);
        at = end;
    }
}

fn is_member(b: u8) -> bool {
    b.is_ascii_hexdigit() || matches!(b, b':' | b'.')
}

fn is_address(text: &str) -> bool {
    text.bytes().any(|b| b.is_ascii_digit()) && text.parse::<Ipv6Addr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<&str> {
        let mut spans = Vec::new();
        find_v6(text, &mut spans);
        spans.iter().map(|s| &text[s.start..s.end]).collect()
    }

    #[test]
    fn addresses_are_told_from_paths_and_times() {
        for (text, address) in [
            ("::1", "::1"),
            ("from 2001:db8::8a2e:370:7334.", "2001:db8::8a2e:370:7334"),
            ("http://[fe80::1%25eth0]:80/", "fe80::1"),
            ("::ffff:10.0.0.1 x", "::ffff:10.0.0.1"),
            (
                "at 6321:8ed5:1f4e:a1f9:d6f5:9c0a:15e2:1a3b: no",
                "6321:8ed5:1f4e:a1f9:d6f5:9c0a:15e2:1a3b",
            ),
            ("route 2001:db8::/32", "2001:db8::"),
        ] {
            assert_eq!(found(text), [address], "{text}");
        }
        for text in
            ["std::fs", "a::b", "::", "12:30:45", "aa:bb:cc:dd:ee:01", "x::1y", "1:2", "a:1"]
        {
            assert_eq!(found(text), [""; 0], "{text}");
        }
    }
}
