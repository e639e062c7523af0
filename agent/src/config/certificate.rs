//! By what a client certificate is known:
//!
//! ```yaml
//! certificates:
//!   - cn:assistant.example.com        # subject common name
//!   - dns:assistant.example.com       # subject alternative names
//!   - uri:spiffe://example.com/assistant
//!   - email:assistant@example.com
//!   - sha256:6d0e…                    # hash of the whole certificate
//! ```
//!
//! The kind is always written: an authority may let anybody choose a name of one kind and not of
//! another.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};

/// A property of a client certificate.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, JsonSchema)]
#[schemars(with = "String")]
pub enum CertificateName {
    /// The common name of its subject (RFC 5280, section 4.1.2.6).
    CommonName(String),
    /// An alternative name of its subject (RFC 5280, section 4.2.1.6): a host name, in lower case.
    Dns(String),
    /// An alternative name: a URI.
    Uri(String),
    /// An alternative name: a mail address.
    Email(String),
    /// The SHA-256 of its DER form.
    Sha256([u8; 32]),
}

impl std::str::FromStr for CertificateName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORMS: &str = "write its kind: `cn:NAME`, `dns:NAME`, `uri:URI`, `email:ADDRESS` or \
                             `sha256:` and 64 hexadecimal digits (`openssl x509 -noout -fingerprint \
                             -sha256`)";
        let (kind, name) = text.split_once(':').ok_or(FORMS)?;
        if name.is_empty() || name.contains(char::is_control) {
            return Err(FORMS);
        }
        Ok(match kind {
            "cn" => Self::CommonName(name.to_owned()),
            "dns" if !name.contains('*') => Self::Dns(name.to_ascii_lowercase()),
            "dns" => return Err("wildcards are not taken; list each name"),
            "uri" => Self::Uri(name.to_owned()),
            "email" => Self::Email(name.to_owned()),
            // As openssl prints it, with colons, too.
            "sha256" => Self::Sha256(digest(&name.replace(':', "")).ok_or(FORMS)?),
            _ => return Err(FORMS),
        })
    }
}

fn digest(digits: &str) -> Option<[u8; 32]> {
    data_encoding::HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).ok()?.try_into().ok()
}

impl fmt::Display for CertificateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CommonName(name) => write!(f, "cn:{name}"),
            Self::Dns(name) => write!(f, "dns:{name}"),
            Self::Uri(name) => write!(f, "uri:{name}"),
            Self::Email(name) => write!(f, "email:{name}"),
            Self::Sha256(hash) => write!(f, "sha256:{}", data_encoding::HEXLOWER.encode(hash)),
        }
    }
}

impl<'de> Deserialize<'de> for CertificateName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // A visitor's error has the place of the value.
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = CertificateName;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name of a certificate, such as dns:assistant.example.com")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<CertificateName, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_a_kind() {
        let hash = "ab".repeat(32);
        for text in
            ["cn:A b", "dns:a.b", "uri:spiffe://a/b", "email:a@b", &format!("sha256:{hash}")]
        {
            let name: CertificateName = text.parse().expect(text);
            assert_eq!(name.to_string(), text);
        }
        let colons =
            hash.as_bytes().chunks(2).map(|pair| String::from_utf8_lossy(pair).to_uppercase());
        let colons = format!("sha256:{}", colons.collect::<Vec<_>>().join(":"));
        assert_eq!(
            colons.parse::<CertificateName>().map(|name| name.to_string()),
            Ok(format!("sha256:{hash}"))
        );
        assert_eq!("dns:A.b".parse(), Ok(CertificateName::Dns("a.b".into())));
        for text in ["", "a.b", "cn:", "dns:*.a", "sha256:12", "spki:x", "cn:a\nb"] {
            assert!(text.parse::<CertificateName>().is_err(), "{text}");
        }
    }
}
