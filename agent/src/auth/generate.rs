//! New API keys.

use secrecy::SecretString;
use zeroize::Zeroize;

/// What every key begins with, so that secret scanners find keys where they should not be.
const PREFIX: &str = "wd_";

/// Random bytes of a key: 256 bits.
const BYTES: usize = 32;

/// No random bytes could be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gives no random bytes ({0}); try again when it has started up")]
pub struct GenerateError(getrandom::Error);

/// A new key: `wd_` and 256 random bits of the operating system in base64url (RFC 4648, section 5).
/// Its hash is [`KeyHash::of`](super::KeyHash::of) it.
pub fn generate() -> Result<SecretString, GenerateError> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).map_err(GenerateError)?;
    let mut text = String::with_capacity(PREFIX.len() + BYTES.div_ceil(3) * 4);
    text.push_str(PREFIX);
    data_encoding::BASE64URL_NOPAD.encode_append(&bytes, &mut text);
    bytes.zeroize();
    Ok(SecretString::from(text))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;
    use crate::config::KeyHash;

    #[test]
    fn keys_are_new_and_long() {
        let (a, b) = (generate().expect("key"), generate().expect("key"));
        assert_ne!(a.expose_secret(), b.expose_secret());
        assert_eq!(a.expose_secret().len(), 3 + 43);
        assert!(a.expose_secret().starts_with("wd_"));
        assert!(KeyHash::of(&a).to_string().parse::<KeyHash>().is_ok());
    }
}
