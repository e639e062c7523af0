//! Paths that say one thing as written and another to a server that decodes them.
//!
//! To Linux, `%2e%2e%2fetc` and `..\etc` are names of files. A server that decodes its arguments
//! again, or that treats `\` as a separator, reads them as ways up. Nobody means such a name, so it
//! is refused whatever the server does.

/// How many layers of encoding are taken off.
const LAYERS: usize = 4;

/// Whether any decoding of `path` has a NUL, or a parent directory that `path` itself has not.
pub(super) fn is_disguised(path: &str) -> bool {
    let suspicious = |byte| matches!(byte, b'%' | b'\\') || !byte.is_ascii();
    if !path.bytes().any(suspicious) {
        return false;
    }
    let plain = parents(path.split('/'));
    let mut bytes = path.as_bytes().to_vec();
    for _ in 0..=LAYERS {
        let text = flatten(&bytes);
        if text.contains('\0') || parents(text.split(['/', '\\'])) != plain {
            return true;
        }
        let decoded = decode(&bytes);
        if decoded == bytes {
            return false;
        }
        bytes = decoded;
    }
    // Nobody encodes a name so many times.
    true
}

fn parents<'a>(parts: impl Iterator<Item = &'a str>) -> usize {
    parts.filter(|part| *part == "..").count()
}

/// Takes off one layer of percent encoding: `%2e`, and `%u002e` as some Windows servers read it.
/// What is no escape stays.
pub(super) fn decode(bytes: &[u8]) -> Vec<u8> {
    let digit = |at: usize| bytes.get(at).and_then(|b| char::from(*b).to_digit(16));
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        if *byte == b'%' {
            if let (Some(high), Some(low)) = (digit(at + 1), digit(at + 2)) {
                decoded.extend(u8::try_from(high * 16 + low));
                at += 3;
                continue;
            }
            let wide = (2..6).try_fold(0, |n, i| Some(n * 16 + digit(at + i)?));
            if matches!(bytes.get(at + 1), Some(b'u' | b'U'))
                && let Some(c) = wide.and_then(char::from_u32)
            {
                decoded.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                at += 6;
                continue;
            }
        }
        decoded.push(*byte);
        at += 1;
    }
    decoded
}

/// The text as the most careless reader sees it: overlong UTF-8 and look-alike characters as the
/// ASCII they stand for.
fn flatten(bytes: &[u8]) -> String {
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let tail = |n: usize| bytes.get(at + n).map(|b| u32::from(*b) & 0x3f);
        // Sequences that encode an ASCII character in more bytes than it needs (RFC 3629,
        // section 10).
        let overlong = match (byte, tail(1), tail(2), tail(3)) {
            (0xc0 | 0xc1, Some(low), ..) => Some((2, u32::from(byte & 1) << 6 | low)),
            (0xe0, Some(a), Some(b), _) if a < 0x20 => Some((3, a << 6 | b)),
            (0xf0, Some(0), Some(b), Some(c)) => Some((4, b << 6 | c)),
            _ => None,
        };
        match overlong.and_then(|(length, c)| Some((length, u8::try_from(c).ok()?))) {
            Some((length, ascii)) if ascii.is_ascii() => {
                plain.push(ascii);
                at += length;
            }
            _ => {
                plain.push(*byte);
                at += 1;
            }
        }
    }
    let mut text = String::with_capacity(plain.len());
    for c in String::from_utf8_lossy(&plain).chars() {
        match c {
            '\u{ff0e}' | '\u{2024}' | '\u{fe52}' => text.push('.'),
            '\u{2025}' => text.push_str(".."),
            '\u{ff0f}' | '\u{2215}' | '\u{2044}' | '\u{29f8}' | '\u{f025}' => text.push('/'),
            '\u{ff3c}' | '\u{2216}' | '\u{fe68}' => text.push('\\'),
            c => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disguised_ways_up_are_found() {
        for path in [
            "/srv/%2e%2e/x",
            "/srv/..%2fx",
            "/srv/%252e%252e%252fx",
            "/srv/..\\x",
            "/srv/%c0%ae%c0%ae/x",
            "/srv/%e0%80%ae%e0%80%ae/x",
            "/srv/..%u2215x",
            "/srv/\u{ff0e}\u{ff0e}/x",
            "/srv/a%00.txt",
            "/srv/%25%32%35%25%32%35%25%32%35%2525252500",
        ] {
            assert!(is_disguised(path), "{path}");
        }
    }

    #[test]
    fn odd_names_are_just_names() {
        for path in [
            "/srv/100%.txt",
            "/srv/50%25 off.md",
            "/srv/a%20b",
            "/srv/a..b",
            "/srv/...",
            "/srv/résumé (1).pdf",
            "/srv/back\\slash",
            "/srv/日本語.txt",
            "/srv/a/../b%20c",
            "/srv/%zz%u12",
        ] {
            assert!(!is_disguised(path), "{path}");
        }
    }

    proptest::proptest! {
        #[test]
        fn plain_ascii_names_are_never_disguised(path in "[a-zA-Z0-9 ._()+,=@#/-]{0,40}") {
            proptest::prop_assert!(!is_disguised(&path));
        }
    }
}
