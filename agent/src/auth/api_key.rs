//! API keys, kept as SHA-256 hashes.
//!
//! A key is 128 or more random bits, so a plain hash is enough: there is nothing to guess that a
//! slow hash would protect.

use std::str::FromStr;

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

/// The SHA-256 hash of an API key, written `sha256:` and 64 hexadecimal digits.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyHash([u8; 32]);

/// Why a text is not a key hash. It does not repeat the text, which may be a key by mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "an API key is given as `sha256:` and the 64 hexadecimal digits of its SHA-256 hash, \
     never as the key itself"
)]
pub struct KeyHashError;

impl KeyHash {
    /// The hash of a key.
    pub fn of(key: &SecretString) -> Self {
        Self(Sha256::digest(key.expose_secret().as_bytes()).into())
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

/// The known keys.
#[derive(Default)]
pub struct ApiKeys {
    entries: Vec<(KeyHash, String)>,
}

/// Says how many keys there are and nothing of them.
impl std::fmt::Debug for ApiKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiKeys").field("count", &self.entries.len()).finish_non_exhaustive()
    }
}

impl ApiKeys {
    /// Adds a key of an actor.
    pub fn add(&mut self, hash: KeyHash, actor: impl Into<String>) {
        self.entries.push((hash, actor.into()));
    }

    /// Whose key this is. Looks at every known key whatever it finds, so that the time tells
    /// neither how much of a key was right nor whose it is.
    pub fn actor_of(&self, key: &SecretString) -> Option<&str> {
        let presented = KeyHash::of(key);
        let mut found = Choice::from(0);
        let mut at = 0_u64;
        for (index, (known, _)) in (0_u64..).zip(&self.entries) {
            let same = known.0.ct_eq(&presented.0);
            at.conditional_assign(&index, same);
            found |= same;
        }
        if !bool::from(found) {
            return None;
        }
        let (_, actor) = self.entries.get(usize::try_from(at).ok()?)?;
        Some(actor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> SecretString {
        SecretString::from(text)
    }

    #[test]
    fn a_key_is_recognised_by_its_hash() -> Result<(), KeyHashError> {
        // echo -n secret_key_here | sha256sum
        let hash = "sha256:6d0e5471cfcac3c22e9b6136d384684fc86adb6a4bbcf54f719e2f280aa4246e";
        let mut keys = ApiKeys::default();
        keys.add(KeyHash::of(&key("other")), "other");
        keys.add(hash.parse()?, "assistant-service");
        keys.add(KeyHash::of(&key("third")), "third");
        assert_eq!(keys.actor_of(&key("secret_key_here")), Some("assistant-service"));
        assert_eq!(keys.actor_of(&key("secret_key_herf")), None);
        assert_eq!(keys.actor_of(&key("")), None);
        Ok(())
    }

    #[test]
    fn only_whole_hashes_are_accepted() {
        let ok = format!("sha256:{}", "aB".repeat(32));
        assert!(ok.parse::<KeyHash>().is_ok());
        for bad in ["", "secret", "sha256:", &ok[..70], &format!("{ok}0"), &ok.replace('a', "+")] {
            assert!(bad.parse::<KeyHash>().is_err(), "accepted {bad}");
        }
    }
}
