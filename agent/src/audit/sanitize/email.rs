//! E-mail addresses (RFC 5321, internationalised by RFC 6531), as people and URLs write them.
//!
//! Not taken for one: an address without a dot in its domain, the `git@host:path` of a repository,
//! and names of scaled images (`icon@2x.png`). An `@` may be written `%40`.

use memchr::memchr2_iter;

use super::span::{Span, byte, byte_before};
use crate::config::Kind;

/// Bytes of a quoted local part that are looked at: RFC 5321 allows 64.
const LONGEST_QUOTED: usize = 66;

/// Last labels that are file name endings and no top-level domains.
const FILES: [&str; 9] = ["png", "jpg", "jpeg", "gif", "webp", "svg", "avif", "json", "html"];

/// Finds addresses.
pub(super) fn find(text: &str, spans: &mut Vec<Span>) {
    let bytes = text.as_bytes();
    let mut floor = 0;
    for at in memchr2_iter(b'@', b'%', bytes) {
        let width = match byte(bytes, at) {
            b'@' => 1,
            b'%' if byte(bytes, at + 1) == b'4' && byte(bytes, at + 2) == b'0' => 3,
            _ => continue,
        };
        let start = local_start(text, floor, at);
        floor = at + width;
        let Some(end) = domain_end(text, floor) else { continue };
        let local = text.get(start..at).unwrap_or_default();
        let is_repository = local == "git" && matches!(byte(bytes, end), b':' | b'/');
        if !local.is_empty() && !is_repository {
            spans.push(Span { start, end, kind: Kind::Email });
        }
    }
}

/// Where the local part that ends at `at` begins, not before `floor`.
fn local_start(text: &str, floor: usize, at: usize) -> usize {
    let before = text.get(floor..at).unwrap_or_default();
    if before.ends_with('"') {
        let inner = before.len() - 1;
        let from = inner.saturating_sub(LONGEST_QUOTED);
        let quote = before.as_bytes().get(from..inner).unwrap_or_default();
        if let Some(open) = quote.iter().rposition(|b| *b == b'"') {
            return floor + from + open;
        }
    }
    let mut start = at;
    for (index, c) in before.char_indices().rev() {
        let apostrophe = c == '\''
            && byte(text.as_bytes(), start).is_ascii_alphabetic()
            && byte_before(text.as_bytes(), floor + index).is_ascii_alphabetic();
        if !is_local(c) && !apostrophe {
            break;
        }
        start = floor + index;
    }
    // A sentence's dots and a list's dashes are no part of an address.
    let local = text.get(start..at).unwrap_or_default();
    start + (local.len() - local.trim_start_matches(['.', '-', '*']).len())
}

fn is_local(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '.' | '_' | '%' | '+' | '-' | '~' | '!' | '#' | '$' | '*')
}

/// Where the domain that begins at `start` ends, if it is one.
fn domain_end(text: &str, start: usize) -> Option<usize> {
    let rest = text.get(start..)?;
    if let Some(literal) = rest.strip_prefix('[') {
        // An address literal, RFC 5321 section 4.1.3.
        let length = literal.bytes().take_while(|b| b.is_ascii_alphanumeric() || b":.".contains(b));
        let length = length.count();
        return (length >= 3 && byte(literal.as_bytes(), length) == b']')
            .then_some(start + length + 2);
    }
    let length = rest
        .char_indices()
        .find(|(_, c)| !(c.is_alphanumeric() || matches!(c, '.' | '-')))
        .map_or(rest.len(), |(index, _)| index);
    let mut domain = rest.get(..length)?;
    // What follows the last label that can be a top-level domain is not part of the address.
    while let Some((name, last)) = domain.rsplit_once('.') {
        if name.is_empty() || name.starts_with(['.', '-']) {
            return None;
        }
        let last_end = last.trim_end_matches('-');
        if is_top_level(last_end) && !name.ends_with(['.', '-']) {
            let scaled = name.len() <= 4 && FILES.contains(&last_end);
            return (!scaled).then_some(start + name.len() + 1 + last_end.len());
        }
        domain = name;
    }
    None
}

/// Whether a label can be a top-level domain: letters alone, or Punycode.
fn is_top_level(label: &str) -> bool {
    label.strip_prefix("xn--").is_some_and(|rest| !rest.is_empty())
        || (label.chars().nth(1).is_some() && label.chars().all(char::is_alphabetic))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<&str> {
        let mut spans = Vec::new();
        find(text, &mut spans);
        spans.iter().map(|s| &text[s.start..s.end]).collect()
    }

    #[test]
    fn addresses_are_found_in_any_surroundings() {
        for (text, address) in [
            ("a@b.co", "a@b.co"),
            ("write to bob.smith+tag@mail.example.com.", "bob.smith+tag@mail.example.com"),
            ("<mailto:bob@example.com>", "bob@example.com"),
            ("'bob@example.com'", "bob@example.com"),
            ("o'brien@example.com", "o'brien@example.com"),
            ("?email=bob@example.com&x=1", "bob@example.com"),
            ("?email=bob%40example.com&x=1", "bob%40example.com"),
            ("\"bob smith\"@example.com", "\"bob smith\"@example.com"),
            ("jörg@müller.de", "jörg@müller.de"),
            ("用户@例子.公司", "用户@例子.公司"),
            ("bob@[192.168.2.1]", "bob@[192.168.2.1]"),
            ("bob@xn--bcher-kva.xn--p1ai", "bob@xn--bcher-kva.xn--p1ai"),
            ("bob@example.com.1", "bob@example.com"),
            ("bob@example.com-", "bob@example.com"),
            ("...bob@example.com", "bob@example.com"),
            ("bob@example.com:", "bob@example.com"),
        ] {
            assert_eq!(found(text), [address], "{text}");
        }
        assert_eq!(found("a@b.de,c@d.fr;e@f.it"), ["a@b.de", "c@d.fr", "e@f.it"]);
    }

    #[test]
    fn other_uses_of_the_sign_are_left() {
        for text in [
            "@",
            "a@",
            "@b.com",
            "meet @ noon",
            "npm i react@18.2.0",
            "actions/checkout@v4",
            "git@github.com:org/repo.git",
            "ssh://git@github.com/org/repo",
            "icon@2x.png",
            "root@localhost",
            "admin@10.0.0.1",
            "image@sha256:abc",
            "user@host",
            "a@.com",
            "a@b..com",
            "@app.route('/x')",
            "x@-b.com",
            "lodash@latest",
            "50%400",
        ] {
            assert_eq!(found(text), [""; 0], "{text}");
        }
    }
}
