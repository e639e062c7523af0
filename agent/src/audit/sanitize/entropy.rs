//! Secrets of unknown shape: texts that look random.
//!
//! What is random enough: at least 20 letters and digits without a break in which the class of the
//! character (upper case, lower case, digit) changes as often as in random text, which no identifier,
//! word or path does; or 32 of one case with digits in between.
//!
//! What stays, although it looks random, because it is no secret or cannot be told from one that is
//! none: UUIDs, hexadecimal text (commit ids, digests), paths and the paths of URLs, subresource
//! integrity and SSH fingerprints, SSH public keys, encoded content (`base64,…`, lines of wrapped
//! base64, anything longer than 200 bytes). A secret of such a form is taken out where its name,
//! its scheme or its shape gives it away.

use super::span::{Span, byte_before, run};
use crate::config::Kind;

/// Letters and digits of the shortest text that is judged.
pub(super) const SHORTEST: usize = 20;

/// The longest text that is judged; beyond is content.
const LONGEST: usize = 200;

/// Finds texts that look random.
pub(super) fn find(text: &str, spans: &mut Vec<Span>) {
    let bytes = text.as_bytes();
    let (mut at, mut in_block) = (0, false);
    while at < bytes.len() {
        let length = run(bytes, at, is_member);
        let end = at + length;
        if length >= SHORTEST {
            let begins_line = matches!(byte_before(bytes, at), 0 | b'\n');
            let is_line = begins_line
                && (in_block || matches!(length, 64 | 76))
                && matches!(bytes.get(end), None | Some(b'\r' | b'\n'));
            let is_candidate = length <= LONGEST && !is_line && !is_public(bytes, at, end);
            if is_candidate && let Some((from, to)) = random_part(bytes, at, end) {
                spans.push(Span { start: from, end: to, kind: Kind::HighEntropy });
            }
            in_block = is_line;
        }
        at = end.max(at) + 1;
    }
}

/// Whether a byte can be part of base64 text, of either alphabet.
fn is_member(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'_' | b'-' | b'=')
}

/// Whether a text is of a form that is public by nature.
fn is_public(bytes: &[u8], start: usize, end: usize) -> bool {
    let text = bytes.get(start..end).unwrap_or_default();
    let before = bytes.get(..start).unwrap_or_default();
    let prefixes: [&[u8]; 7] =
        [b"sha1-", b"sha256-", b"sha384-", b"sha512-", b"AAAAB3Nza", b"AAAAC3Nza", b"AAAAE2Vj"];
    prefixes.iter().any(|prefix| text.starts_with(prefix))
        || before.ends_with(b"base64,")
        || before.ends_with(b"SHA256:")
}

/// The part of a run that looks random: all of it when it is no path, else nothing.
fn random_part(bytes: &[u8], start: usize, end: usize) -> Option<(usize, usize)> {
    let text = bytes.get(start..end)?;
    let before = byte_before(bytes, start);
    let is_path = text.contains(&b'/')
        && (text.starts_with(b"/")
            || matches!(before, b'.' | b':' | b'\\' | b'~' | b'@' | b'%')
            || text.split(|b| *b == b'/').any(is_plain_word));
    // What follows the name in `name=value`.
    let value = text
        .iter()
        .rposition(|b| *b == b'=')
        .filter(|at| text.get(at + 1..).is_some_and(|rest| rest.len() >= SHORTEST));
    let skip = value.map_or(0, |at| at + 1);
    let value = text.get(skip..)?;
    let is_apart = value.split(|b| matches!(b, b'/' | b'+' | b'=')).any(|part| {
        is_random(part, 2, 42)
            || (part.len() >= 36 && before != b'%' && !is_uuid(part) && is_random_lower(part))
    });
    let joined = || {
        // Random base64 is broken up by its own signs; without them it is one piece again. The
        // secret keys of AWS have 40 characters, and now and then a single digit.
        let (digits, changes) = if value.len() == 40 { (1, 34) } else { (2, 42) };
        let whole: Vec<u8> = value.iter().copied().filter(u8::is_ascii_alphanumeric).collect();
        value.iter().any(|b| matches!(b, b'/' | b'+')) && is_random(&whole, digits, changes)
    };
    (!is_path && (is_apart || joined())).then_some((start + skip, end))
}

/// Whether a part of a path is a word or a version of one.
fn is_plain_word(part: &[u8]) -> bool {
    part.len() >= 3
        && (part.iter().all(u8::is_ascii_lowercase)
            || (part.first().is_some_and(u8::is_ascii_uppercase)
                && part.iter().skip(1).all(u8::is_ascii_lowercase)))
}

/// Whether the class of the character changes as often as in random text.
fn is_random(text: &[u8], fewest_digits: usize, fewest_changes: usize) -> bool {
    let (mut upper, mut lower, mut digits) = (0_usize, 0_usize, 0_usize);
    let (mut pairs, mut changes) = (0_usize, 0_usize);
    let mut seen = 0_u128;
    let mut last = None;
    for b in text {
        let class = match b {
            b'A'..=b'Z' => &mut upper,
            b'a'..=b'z' => &mut lower,
            b'0'..=b'9' => &mut digits,
            _ => {
                last = None;
                continue;
            }
        };
        *class += 1;
        seen |= 1 << (b & 127);
        let class = (b.is_ascii_digit(), b.is_ascii_uppercase());
        if let Some(last) = last {
            pairs += 1;
            changes += usize::from(last != class);
        }
        last = Some(class);
    }
    // Six lower-case letters in a row are a word more often than chance.
    let has_word = text.len() < 40
        && text.split(|b| !b.is_ascii_lowercase()).any(|letters| letters.len() >= 6);
    // Random text changes class in 62 of 100 pairs, names of several words in fewer than 35.
    !has_word
        && upper + lower + digits >= SHORTEST
        && upper >= 2
        && lower >= 2
        && digits >= fewest_digits
        && seen.count_ones() >= 12
        && changes * 100 >= pairs * fewest_changes
}

/// Whether a text of one case has digits in between as random text does, and is not hexadecimal.
fn is_random_lower(text: &[u8]) -> bool {
    let upper = text.iter().filter(|b| b.is_ascii_uppercase()).count();
    let lower = text.iter().filter(|b| b.is_ascii_lowercase()).count();
    let digits = text.iter().filter(|b| b.is_ascii_digit()).count();
    let changes = text
        .windows(2)
        .filter(|pair| matches!(pair, [a, b] if a.is_ascii_digit() != b.is_ascii_digit()));
    let beyond_hex = text.iter().filter(|b| b.is_ascii_alphabetic() && !b.is_ascii_hexdigit());
    (upper == 0 || lower == 0)
        && upper + lower + digits == text.len()
        && digits >= 4
        && beyond_hex.count() >= 6
        && changes.count() * 3 >= text.len()
}

/// Whether a text is a UUID, RFC 9562.
fn is_uuid(text: &[u8]) -> bool {
    text.len() == 36
        && text.iter().enumerate().all(|(index, b)| match index {
            8 | 13 | 18 | 23 => *b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
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
    fn random_texts_are_found() {
        for (text, secret) in [
            (
                "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
                "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            ),
            ("is 7Hq2vXz9LpT4wRk8NcY1bD6m?", "7Hq2vXz9LpT4wRk8NcY1bD6m"),
            ("k=7Hq2vXz9LpT4wRk8NcY1bD6m", "7Hq2vXz9LpT4wRk8NcY1bD6m"),
            ("q8f3kz0x7vn2mw5t9rj4hb6yc1lp8sd3gq7u", "q8f3kz0x7vn2mw5t9rj4hb6yc1lp8sd3gq7u"),
        ] {
            assert_eq!(found(text), [secret], "{text}");
        }
    }

    #[test]
    fn what_only_looks_random_is_left() {
        let wrapped = format!("{0}\n{0}\nAb1Cd2Ef3Gh4Ij5Kl6Mn7==\n", "Ab1Cd2Ef3Gh4Ij5K".repeat(4));
        for text in [
            "550e8400-e29b-41d4-a716-446655440000",
            "da39a3ee5e6b4b0d3255bfef95601890afd80709",
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "src/main/java/com/example/HttpServer2Test",
            "getUserByIdAndNameFromDatabaseVersion2",
            "AbstractSingletonProxyFactoryBean3And4",
            "WHvX64RegisterMsrMtrrPhysBaseE",
            "my-long-kebab-case-name-2024-v2-final-3",
            "A_VERY_LONG_CONSTANT_NAME_1_OF_24_PARTS",
            "/home/user/.cache/7Hq2vXz9LpT4wRk8NcY1bD6m/file",
            "data:image/png;base64,iVBORw0KGgo7Hq2vXz9LpT4wRk8NcY1bD6m",
            "sha512-7Hq2vXz9LpT4wRk8NcY1bD6m7Hq2vXz9LpT4wRk8NcY1bD6m==",
            "SHA256:7Hq2vXz9LpT4wRk8NcY1bD6m7Hq2vXz9LpT4wRk8N",
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ7Hq2vXz9LpT4wRk8NcY1bD6m",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1111A1a1A1",
            "Donaudampfschifffahrtsgesellschaftskapitän",
            "20240115T103000Z-backup-of-database-07",
            &wrapped,
        ] {
            assert_eq!(found(text), [""; 0], "{text}");
        }
    }
}
