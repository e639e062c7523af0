//! Private keys as text: PEM (RFC 7468) and PGP armour (RFC 9580).

use super::span::Span;
use crate::config::Kind;

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";

/// Bytes of a label that are looked at; the longest in use has 27.
const LONGEST_LABEL: usize = 48;

/// Finds private keys, each up to its end line; one without goes to the end of the text.
pub(super) fn find(text: &str, spans: &mut Vec<Span>) {
    let mut from = 0;
    while let Some(found) = text.get(from..).and_then(|rest| rest.find(BEGIN)) {
        let start = from + found;
        from = start + BEGIN.len();
        let Some(label) = label(text, from) else { continue };
        if !label.contains("PRIVATE KEY") {
            continue;
        }
        let body = from + label.len();
        let end = text.get(body..).and_then(|rest| rest.find(END)).map_or(text.len(), |offset| {
            let label_at = body + offset + END.len();
            self::label(text, label_at).map_or(text.len(), |label| label_at + label.len() + 5)
        });
        spans.push(Span { start, end, kind: Kind::PrivateKey });
        from = end;
    }
}

/// The label at `at`, up to its five hyphens.
fn label(text: &str, at: usize) -> Option<&str> {
    let rest = text.get(at..)?;
    let length = rest
        .bytes()
        .take(LONGEST_LABEL)
        .take_while(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b' ')
        .count();
    let (label, rest) = rest.split_at_checked(length)?;
    rest.starts_with("-----").then_some(label)
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
    fn private_keys_are_found_and_public_ones_are_not() {
        for label in ["", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED "] {
            let key = format!(
                "-----BEGIN {label}PRIVATE KEY-----\nMIIE\n-----END {label}PRIVATE KEY-----"
            );
            assert_eq!(found(&format!("a\n{key}\nb")), [key]);
        }
        let pgp = "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nx\n-----END PGP PRIVATE KEY BLOCK-----";
        assert_eq!(found(pgp), [pgp]);
        let cut = "-----BEGIN PRIVATE KEY-----\\nMIIE";
        assert_eq!(found(cut), [cut], "a cut key goes to the end");
        for text in [
            "-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----",
            "-----BEGIN PUBLIC KEY-----\nMIIE\n-----END PUBLIC KEY-----",
            "-----BEGIN ",
            "a -----BEGIN private key-----",
            "----- PRIVATE KEY -----",
        ] {
            assert_eq!(found(text), [""; 0], "{text}");
        }
    }
}
