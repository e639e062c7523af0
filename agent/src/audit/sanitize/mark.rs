//! What stands in the log in place of a value.

use hmac::{Hmac, Mac};
use secrecy::{ExposeSecret, SecretSlice};
use sha2::Sha256;

use crate::config::{Kind, Treatment};

/// Hexadecimal digits of a keyed hash in a marker: 64 bits, so that values of one log collide with
/// negligible chance.
const DIGITS: usize = 16;

/// Makes markers. The key makes hashes of guessable values, such as addresses, useless to those who
/// read the log.
pub(super) struct Marker {
    key: SecretSlice<u8>,
}

impl Marker {
    pub(super) fn new(key: SecretSlice<u8>) -> Self {
        Self { key }
    }

    /// Appends what stands for `value`.
    pub(super) fn push(&self, out: &mut String, kind: Kind, treatment: Treatment, value: &str) {
        match treatment {
            Treatment::Keep => out.push_str(value),
            Treatment::Redact => {
                out.push('[');
                out.push_str(kind.label());
                out.push(']');
            }
            Treatment::Hash => {
                out.push('[');
                out.push_str(kind.label());
                out.push_str(":hmac:");
                out.push_str(&self.digest(kind, value));
                out.push(']');
            }
        }
    }

    /// What stands for `value`.
    pub(super) fn of(&self, kind: Kind, treatment: Treatment, value: &str) -> String {
        let mut out = String::new();
        self.push(&mut out, kind, treatment, value);
        out
    }

    /// HMAC-SHA256 (RFC 2104) over the kind, a zero byte, and the value as [`plain`] has it.
    fn digest(&self, kind: Kind, value: &str) -> String {
        // An HMAC key may have any length, so there is no error; were there one, nothing leaks.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.key.expose_secret()) else {
            return "0".repeat(DIGITS);
        };
        mac.update(kind.label().as_bytes());
        mac.update(&[0]);
        mac.update(plain(kind, value).as_bytes());
        let mut digits = data_encoding::HEXLOWER.encode(&mac.finalize().into_bytes());
        digits.truncate(DIGITS);
        digits
    }
}

/// A value without what may be written in several ways, so that equal values have equal hashes.
fn plain(kind: Kind, value: &str) -> String {
    match kind {
        Kind::Email => value.replace("%40", "@").to_lowercase(),
        Kind::Card | Kind::Ssn => value.chars().filter(char::is_ascii_digit).collect(),
        Kind::Phone => value.chars().filter(|c| c.is_ascii_digit() || *c == '+').collect(),
        Kind::Iban => {
            let letters = value.chars().filter(char::is_ascii_alphanumeric);
            letters.map(|c| c.to_ascii_uppercase()).collect()
        }
        _ => value.to_owned(),
    }
}

/// Whether a text is such a marker, and nothing else.
pub(super) fn is_marker(text: &str) -> bool {
    let Some(inner) = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')) else {
        return false;
    };
    let (label, hash) = inner.split_once(":hmac:").map_or((inner, None), |(l, h)| (l, Some(h)));
    Kind::ALL.iter().any(|kind| kind.label() == label)
        && hash.is_none_or(|h| h.len() == DIGITS && h.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Whether anything in a text of the log stands for what was taken out.
pub fn is_redacted(text: &str) -> bool {
    text.contains(super::walk::TOO_DEEP)
        || Kind::ALL.iter().any(|kind| {
            let mut rest = text;
            while let Some((_, after)) = rest.split_once(&format!("[{}", kind.label())) {
                if after.starts_with(']') || after.starts_with(":hmac:") {
                    return true;
                }
                rest = after;
            }
            false
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marker(key: &[u8]) -> Marker {
        Marker::new(SecretSlice::from(key.to_vec()))
    }

    #[test]
    fn equal_values_have_equal_hashes_and_the_key_matters() {
        let (a, b) = (marker(&[1; 32]), marker(&[2; 32]));
        let of = |m: &Marker, kind, value| m.of(kind, Treatment::Hash, value);
        assert_eq!(of(&a, Kind::Email, "A@b.org"), of(&a, Kind::Email, "a@b.org"));
        assert_eq!(of(&a, Kind::Card, "4111-1111"), of(&a, Kind::Card, "4111 1111"));
        assert_ne!(of(&a, Kind::Email, "a@b.org"), of(&b, Kind::Email, "a@b.org"));
        assert_ne!(of(&a, Kind::Card, "41111111"), of(&a, Kind::Phone, "41111111"));
    }

    #[test]
    fn the_hash_is_hmac_sha256() {
        // printf 'EMAIL\0a@b.org' | openssl dgst -sha256 -hmac key
        let shown = marker(b"key").of(Kind::Email, Treatment::Hash, "a@b.org");
        assert_eq!(shown, "[EMAIL:hmac:57eca072a827022a]");
    }

    #[test]
    fn what_was_taken_out_of_a_text_is_noticed() {
        let m = marker(&[7; 32]);
        for kind in Kind::ALL {
            for treatment in [Treatment::Redact, Treatment::Hash] {
                let text = format!("/home/{}/notes", m.of(kind, treatment, "x"));
                assert!(is_redacted(&text), "{text}");
            }
        }
        for other in ["", "/srv/[IPA]/x", "[EMAIL", "[email]", "/srv/EMAIL"] {
            assert!(!is_redacted(other), "{other}");
        }
    }

    #[test]
    fn markers_are_known_again() {
        let m = marker(&[7; 32]);
        for kind in Kind::ALL {
            assert!(is_marker(&m.of(kind, Treatment::Redact, "x")));
            assert!(is_marker(&m.of(kind, Treatment::Hash, "x")));
        }
        for other in ["", "[]", "[EMAIL", "[OTHER]", "[EMAIL:hmac:12]", "a [EMAIL]", "[email]"] {
            assert!(!is_marker(other), "{other}");
        }
    }
}
