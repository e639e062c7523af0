//! What is taken out of the log, as it is written in configuration.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a piece of text was recognised as.
///
/// The order is the order of precedence: where two overlap, both go under the name of the first.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, JsonSchema, Serialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The value of a key that names a secret, such as `password` or `X-Api-Key`.
    Key,
    /// A private key: PEM (RFC 7468), OpenSSH, PGP, `PuTTY` or age.
    PrivateKey,
    /// A JSON web token (RFC 7519).
    Jwt,
    /// Credentials in running text: `Bearer …` and `Basic …` (RFC 6750, RFC 7617), the userinfo of
    /// a URL (RFC 3986, section 3.2.1), `password=…`, `--token …`.
    Credential,
    /// A token in the known shape of a cloud or software service.
    Token,
    /// An e-mail address (RFC 5321, RFC 6531).
    Email,
    /// An international bank account number (ISO 13616) with a right checksum.
    Iban,
    /// A payment card number (ISO/IEC 7812) with a right check digit.
    Card,
    /// A social security or taxpayer number of the United States.
    Ssn,
    /// A telephone number.
    Phone,
    /// An IPv4 or IPv6 address. Kept unless asked for: logs are of little use without.
    Ip,
    /// A text that looks random enough to be a secret of unknown shape.
    HighEntropy,
}

impl Kind {
    /// All kinds, in the order of precedence.
    pub const ALL: [Self; 12] = [
        Self::Key,
        Self::PrivateKey,
        Self::Jwt,
        Self::Credential,
        Self::Token,
        Self::Email,
        Self::Iban,
        Self::Card,
        Self::Ssn,
        Self::Phone,
        Self::Ip,
        Self::HighEntropy,
    ];

    /// What stands between the brackets in the log.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Key => "REDACTED",
            Self::PrivateKey => "PRIVATE_KEY",
            Self::Jwt => "JWT",
            Self::Credential => "CREDENTIAL",
            Self::Token => "TOKEN",
            Self::Email => "EMAIL",
            Self::Iban => "IBAN",
            Self::Card => "CARD",
            Self::Ssn => "SSN",
            Self::Phone => "PHONE",
            Self::Ip => "IP",
            Self::HighEntropy => "SECRET",
        }
    }
}

/// What happens to a recognised piece.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Treatment {
    /// A marker such as `[EMAIL]` takes its place.
    #[default]
    Redact,
    /// A marker with a keyed hash takes its place, such as `[EMAIL:hmac:0123456789abcdef]`: equal
    /// values stay recognisable as equal and cannot be guessed without the key.
    Hash,
    /// It stays.
    Keep,
}

/// What is taken out of arguments before they are logged. By default everything that is known but
/// IP addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct SanitizeConfig {
    /// What happens to each kind, where it is not the default.
    #[schemars(extend("propertyNames" = {"enum": Kind::ALL}))]
    pub kinds: BTreeMap<Kind, Treatment>,
    /// More words that make a key's value a secret, such as `badge number`. Case and separators do
    /// not matter; the word matches `badgeNumber` and `old_badge_number`.
    pub keys: Vec<String>,
    /// What differs for single tools, by the tool's name.
    pub tools: BTreeMap<String, ToolSanitize>,
}

/// What differs for one tool.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ToolSanitize {
    /// What happens to each kind, where it is not as for all tools.
    #[schemars(extend("propertyNames" = {"enum": Kind::ALL}))]
    pub kinds: BTreeMap<Kind, Treatment>,
    /// More words that make a key's value a secret, beside those for all tools.
    pub keys: Vec<String>,
}
