//! Takes secrets and personal data out of arguments before they are logged.
//!
//! Pure: no input or output, and the server gets the original. Work is in proportion to the length
//! of the text, whatever the text.
//!
//! A sanitizer sees
//! - names: the value of `password`, `X-Api-Key` or `db_secret` goes, whatever it is;
//! - values: what [`Kind`] lists, in every text, in the names themselves, in numbers, and in JSON that
//!   a text holds, to any depth that is in use.
//!
//! What goes is replaced by a marker such as `[EMAIL]`, or by a marker with a keyed hash. A text in
//! which nothing is found stays as it is, byte for byte.

mod card;
mod context;
mod credential;
mod email;
mod entropy;
mod groups;
mod iban;
mod ip;
mod keys;
mod literals;
mod mark;
mod name;
mod numbers;
mod pem;
mod phone;
mod scan;
mod span;
mod token;
mod treatments;
mod url;
mod walk;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretSlice};
use serde_json::{Map, Value};

use crate::config::SanitizeConfig;
use keys::{Meaning, Names};
use mark::Marker;
pub use mark::is_redacted;
use scan::Scanner;
use treatments::Treatments;
use walk::Walk;

/// Bytes of the shortest key for hashes: 128 bits.
const MIN_HMAC_KEY: usize = 16;

/// Why a sanitizer cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum SanitizeError {
    /// A kind is to be hashed with a key that can be guessed.
    #[error(
        "the key for hashes in the audit log has {0} bytes; give at least {MIN_HMAC_KEY} random ones, \
         or set every kind to `redact` or `keep`"
    )]
    ShortKey(usize),
    /// The words for secret keys cannot be searched for.
    #[error("the words in `keys` cannot be used ({0}); give fewer or shorter ones")]
    Keys(#[from] aho_corasick::BuildError),
}

/// Takes secrets and personal data out of what is logged.
pub struct Sanitizer {
    scanner: Scanner,
    marker: Marker,
    all: Profile,
    tools: BTreeMap<String, Profile>,
}

/// What holds for a tool.
struct Profile {
    treatments: Treatments,
    names: Names,
}

/// Says nothing of the key.
impl std::fmt::Debug for Sanitizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sanitizer").field("tools", &self.tools.len()).finish_non_exhaustive()
    }
}

impl Sanitizer {
    /// A sanitizer. `hmac_key` is the key for hashes, at least [`MIN_HMAC_KEY`] bytes; it may be
    /// empty where nothing is hashed.
    pub fn new(config: &SanitizeConfig, hmac_key: SecretSlice<u8>) -> Result<Self, SanitizeError> {
        let all = Treatments::default().with(&config.kinds);
        let mut hashes = all.hash();
        let mut tools = BTreeMap::new();
        for (tool, change) in &config.tools {
            let treatments = all.clone().with(&change.kinds);
            hashes |= treatments.hash();
            let keys: Vec<String> = config.keys.iter().chain(&change.keys).cloned().collect();
            tools.insert(tool.clone(), Profile { treatments, names: Names::new(&keys)? });
        }
        let length = hmac_key.expose_secret().len();
        if hashes && length < MIN_HMAC_KEY {
            return Err(SanitizeError::ShortKey(length));
        }
        Ok(Self {
            scanner: Scanner::new()?,
            marker: Marker::new(hmac_key),
            all: Profile { treatments: all, names: Names::new(&config.keys)? },
            tools,
        })
    }

    /// A value as it may be logged. `tool` is the tool that it is an argument of.
    pub fn value(&self, tool: Option<&str>, value: &Value) -> Value {
        self.walk(tool).value(value, Meaning::Plain, 0)
    }

    /// Arguments of a tool as they may be logged.
    pub fn arguments(&self, tool: &str, arguments: &Map<String, Value>) -> Value {
        self.walk(Some(tool)).object(arguments, Meaning::Plain, 0)
    }

    /// A text as it may be logged; the text itself when there is nothing to take out.
    pub fn text<'a>(&self, tool: Option<&str>, text: &'a str) -> Cow<'a, str> {
        self.walk(tool).text(text, Meaning::Plain, 0)
    }

    fn walk(&self, tool: Option<&str>) -> Walk<'_> {
        let profile = tool.and_then(|tool| self.tools.get(tool)).unwrap_or(&self.all);
        Walk {
            scanner: &self.scanner,
            marker: &self.marker,
            treatments: &profile.treatments,
            names: &profile.names,
        }
    }
}
