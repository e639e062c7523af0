//! API keys as they are written in configuration:
//!
//! ```yaml
//! api_keys:
//!   - sha256:6d0e…                       # the hash alone
//!   - {sha256: 6d0e…, expires: 2026-01-01T00:00:00Z}
//!   - {key_file: /etc/warrantd/keys/assistant, not_before: 2025-12-01T00:00:00Z}
//! ```

use std::fmt;
use std::path::PathBuf;

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

use super::key_hash::{KeyHash, KeyHashError};

/// One API key of an actor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKeyConfig {
    /// What the key is known by.
    pub source: KeySource,
    /// When it is valid.
    pub validity: Validity,
}

/// What a key is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// Its hash.
    Hash(KeyHash),
    /// A file with its hash, or with the key itself and a line feed after it or none.
    File(PathBuf),
}

/// The time in which a key is valid.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Validity {
    /// From this moment on; from ever when absent.
    pub not_before: Option<Timestamp>,
    /// Until this moment, which is not included; for ever when absent.
    pub expires: Option<Timestamp>,
}

/// Bytes of the shortest key that a file may hold: 128 bits in base64.
const SHORTEST_KEY: usize = 22;

/// Why the content of a key file cannot be used. It does not repeat the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyFileError {
    /// There is something else beside the key.
    #[error("a key file has one line, with one key or its hash; give each key its own file")]
    Lines,
    /// The key could be guessed.
    #[error(
        "the key has fewer than {SHORTEST_KEY} characters and could be guessed; \
         `warrantd key new` makes a better one"
    )]
    Short,
    /// A hash that is none.
    #[error(transparent)]
    Hash(#[from] KeyHashError),
}

/// The hash that the content of a key file stands for: a hash, or a key that is hashed. A line end
/// after it does not count.
pub fn key_file_hash(content: &SecretString) -> Result<KeyHash, KeyFileError> {
    let text = content.expose_secret();
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(KeyFileError::Lines);
    }
    if text.starts_with("sha256:") {
        return Ok(text.parse()?);
    }
    if text.len() < SHORTEST_KEY {
        return Err(KeyFileError::Short);
    }
    Ok(KeyHash::of(&SecretString::from(text)))
}

const FIELDS: &[&str] = &["sha256", "key_file", "not_before", "expires"];

/// By hand, because an untagged enum would lose the place and the reason of an error.
impl<'de> Deserialize<'de> for ApiKeyConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KeyVisitor)
    }
}

struct KeyVisitor;

impl<'de> Visitor<'de> for KeyVisitor {
    type Value = ApiKeyConfig;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`sha256:` and 64 hexadecimal digits, or a map with `sha256` or `key_file`")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<ApiKeyConfig, E> {
        let hash = text.parse().map_err(E::custom)?;
        Ok(ApiKeyConfig { source: KeySource::Hash(hash), validity: Validity::default() })
    }

    // What follows could repeat a key that was written without quotes; the messages must not.
    fn visit_u64<E: Error>(self, _: u64) -> Result<ApiKeyConfig, E> {
        Err(E::custom(KeyHashError))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<ApiKeyConfig, E> {
        Err(E::custom(KeyHashError))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<ApiKeyConfig, E> {
        Err(E::custom(KeyHashError))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ApiKeyConfig, A::Error> {
        let (mut hash, mut file, mut validity) = (None, None, Validity::default());
        while let Some(field) = map.next_key::<String>()? {
            match field.as_str() {
                "sha256" => once(&mut hash, map.next_value::<Hash>()?.0, "sha256")?,
                "key_file" => once(&mut file, map.next_value::<PathBuf>()?, "key_file")?,
                "not_before" => {
                    once(&mut validity.not_before, map.next_value::<Time>()?.0, "not_before")?;
                }
                "expires" => once(&mut validity.expires, map.next_value::<Time>()?.0, "expires")?,
                other => return Err(Error::unknown_field(other, FIELDS)),
            }
        }
        let source = match (hash, file) {
            (Some(hash), None) => KeySource::Hash(hash),
            (None, Some(file)) => KeySource::File(file),
            (Some(_), Some(_)) => {
                return Err(Error::custom("give either `sha256` or `key_file`, not both"));
            }
            (None, None) => {
                return Err(Error::custom("an API key needs `sha256` or `key_file`; add one"));
            }
        };
        if let (Some(from), Some(until)) = (validity.not_before, validity.expires)
            && from >= until
        {
            return Err(Error::custom(format!(
                "the key would never be valid: it expires at {until}, `not_before` is {from}"
            )));
        }
        Ok(ApiKeyConfig { source, validity })
    }
}

fn once<T, E: Error>(place: &mut Option<T>, value: T, field: &'static str) -> Result<(), E> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(E::duplicate_field(field)),
    }
}

/// A hash with or without `sha256:` before it.
struct Hash(KeyHash);

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct HashVisitor;
        impl Visitor<'_> for HashVisitor {
            type Value = Hash;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("64 hexadecimal digits")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Hash, E> {
                let digits = text.strip_prefix("sha256:").unwrap_or(text);
                format!("sha256:{digits}").parse().map(Hash).map_err(E::custom)
            }

            // Digits alone are a number to YAML, too long for this to be read right.
            fn visit_u64<E: Error>(self, _: u64) -> Result<Hash, E> {
                Err(E::custom(KeyHashError))
            }

            fn visit_f64<E: Error>(self, _: f64) -> Result<Hash, E> {
                Err(E::custom("put the 64 hexadecimal digits of the hash between quotes"))
            }
        }
        deserializer.deserialize_any(HashVisitor)
    }
}

/// A moment, RFC 3339.
struct Time(Timestamp);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Time).map_err(|_| {
            D::Error::custom(format!(
                "`{text}` is not a time; write it with its zone, such as 2026-01-01T00:00:00Z"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGITS: &str = "6d0e5471cfcac3c22e9b6136d384684fc86adb6a4bbcf54f719e2f280aa4246e";

    fn read(text: &str) -> Result<Vec<ApiKeyConfig>, String> {
        serde_yaml::from_str(text).map_err(|e| e.to_string())
    }

    #[test]
    fn all_forms_read() {
        let text = format!(
            "- sha256:{DIGITS}\n- {{sha256: \"{DIGITS}\"}}\n- sha256: sha256:{DIGITS}\n  \
             expires: 2026-01-01T00:00:00Z\n- key_file: /k\n  not_before: 2025-12-01T01:00:00+01:00\n"
        );
        let keys = read(&text).expect("reads");
        let hash: KeyHash = format!("sha256:{DIGITS}").parse().expect("hash");
        for key in keys.iter().take(3) {
            assert_eq!(key.source, KeySource::Hash(hash.clone()));
        }
        assert_eq!(keys[2].validity.expires, "2026-01-01T00:00:00Z".parse().ok());
        assert_eq!(keys[3].source, KeySource::File("/k".into()));
        assert_eq!(keys[3].validity.not_before, "2025-12-01T00:00:00Z".parse().ok());
    }

    #[test]
    fn a_file_holds_one_key_or_hash() {
        let hash = |text: &str| key_file_hash(&SecretString::from(text));
        let key = "wd_0123456789abcdefghij";
        assert_eq!(hash(&format!("{key}\n")), Ok(KeyHash::of(&SecretString::from(key))));
        assert_eq!(hash(&format!("{key}\r\n")), hash(key));
        let written = format!("sha256:{DIGITS}");
        assert_eq!(hash(&written).map(|h| h.to_string()), Ok(written));
        assert_eq!(hash("sha256:12"), Err(KeyFileError::Hash(KeyHashError)));
        assert_eq!(hash(""), Err(KeyFileError::Short));
        assert_eq!(hash("secret"), Err(KeyFileError::Short));
        assert_eq!(hash(&format!("{key}\n{key}\n")), Err(KeyFileError::Lines));
        assert_eq!(hash(&format!("{key}\n\n")), Err(KeyFileError::Lines));
    }

    #[test]
    fn errors_have_a_place_and_a_way_out() {
        for (text, says) in [
            ("- hunter2", "never as the key itself"),
            ("- 12345678", "never as the key itself"),
            ("- -12345678", "never as the key itself"),
            ("- sha256: abc", "64 hexadecimal digits"),
            ("- {}", "add one"),
            ("- {expires: 2026-01-01T00:00:00Z}", "add one"),
            ("- {key_file: /k, sha256: x}", "64 hexadecimal"),
            ("- {key_file: /k, expires: tomorrow}", "2026-01-01T00:00:00Z"),
            ("- {key_file: /k, expires: 2026-01-01}", "with its zone"),
            ("- {key_file: /k, expired: x}", "unknown field `expired`"),
            ("- [a]", "a map with `sha256` or `key_file`"),
        ] {
            let error = read(&format!("\n{text}")).expect_err(text);
            assert!(error.contains(says) && error.contains("line 2"), "{text}: {error}");
            assert!(!error.contains("hunter2") && !error.contains("12345678"), "{error}");
        }
        let both = format!("- {{key_file: /k, sha256: \"{DIGITS}\"}}");
        assert!(read(&both).is_err_and(|e| e.contains("not both")));
        let never =
            "- {key_file: /k, not_before: 2026-01-01T00:00:00Z, expires: 2026-01-01T00:00:00Z}";
        assert!(read(never).is_err_and(|e| e.contains("never be valid")));
    }
}
