//! The hash by which an API key is known.

use std::fmt;
use std::str::FromStr;

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

/// The SHA-256 hash of an API key, written `sha256:` and 64 hexadecimal digits.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyHash([u8; 32]);

/// Why a text is not a key hash. It does not repeat the text, which may be a key by mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "an API key is given as `sha256:` and the 64 hexadecimal digits of its SHA-256 hash, \
     never as the key itself; `warrantd key hash` makes it"
)]
pub struct KeyHashError;

impl KeyHash {
    /// The hash itself, to be compared in constant time.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The hash of a key.
    pub fn of(key: &SecretString) -> Self {
        Self(Sha256::digest(key.expose_secret().as_bytes()).into())
    }
}

/// As it is written in configuration.
impl fmt::Display for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Shows the first digits, which tell keys apart in a log without being of use to a search.
impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, ..] = self.0;
        write!(f, "KeyHash({a:02x}{b:02x}…)")
    }
}

impl FromStr for KeyHash {
    type Err = KeyHashError;

    fn from_str(text: &str) -> Result<Self, KeyHashError> {
        let digits = text.strip_prefix("sha256:").ok_or(KeyHashError)?;
        if digits.len() != 64 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(KeyHashError);
        }
        let mut hash = [0; 32];
        for (byte, pair) in hash.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| KeyHashError)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| KeyHashError)?;
        }
        Ok(Self(hash))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_hashes_are_accepted() {
        let ok = format!("sha256:{}", "aB".repeat(32));
        assert!(ok.parse::<KeyHash>().is_ok());
        for bad in ["", "secret", "sha256:", &ok[..70], &format!("{ok}0"), &ok.replace('a', "+")] {
            assert!(bad.parse::<KeyHash>().is_err(), "accepted {bad}");
        }
    }

    #[test]
    fn debug_tells_no_hash() {
        let hash = KeyHash::of(&SecretString::from("k"));
        assert!(!format!("{hash:?}").contains(&hash.to_string()[12..]));
    }
}
