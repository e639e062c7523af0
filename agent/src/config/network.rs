//! The `network` of a policy: whom the server may reach, by address or by name, and where it may
//! listen.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};

/// What the kernel lets the server reach.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NetworkSection {
    /// The peers; everything else is denied.
    pub allow: Vec<NetworkRule>,
    /// Name servers that are asked for the names of `host` rules: `ADDRESS`, `ADDRESS:PORT` or
    /// `[ADDRESS]:PORT`. By default those of this host's /etc/resolv.conf.
    pub resolvers: Vec<String>,
    /// Ports that the server may bind and be reached on.
    pub listen: Vec<ListenRule>,
    /// Unix sockets that the server may connect to: absolute paths, without wildcards.
    pub unix: Vec<String>,
}

/// Peers that the server may reach: by `cidr` or by `host`, one of the two.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("oneOf" = [{"required": ["cidr"]}, {"required": ["host"]}]))]
pub struct NetworkRule {
    /// Addresses, such as `10.1.0.0/16` or `2001:db8::7/128`.
    #[serde(deserialize_with = "range")]
    #[schemars(with = "Option<String>")]
    pub cidr: Option<IpNet>,
    /// A host name, such as `api.github.com`, or names: `*.example.com` is every name below
    /// `example.com` and not that itself, `*` is every name. Names lead to public addresses alone;
    /// others need a `cidr` rule, too.
    pub host: Option<String>,
    /// Ports; all when empty.
    pub ports: Vec<u16>,
    /// `tcp` or `udp`; both when absent.
    pub protocol: Option<NetworkProtocol>,
}

fn range<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<IpNet>, D::Error> {
    Ok(Option::<Range>::deserialize(deserializer)?.map(|range| range.0))
}

/// A range of addresses that says, when it is none, what else was meant.
struct Range(IpNet);

impl<'de> Deserialize<'de> for Range {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // A visitor's error has the place of the value.
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Range;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a range of addresses, such as 10.1.0.0/16")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Range, E> {
                text.parse().map(Range).map_err(|_| E::custom(instead_of(text)))
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

fn instead_of(text: &str) -> String {
    let instead = match text.parse::<IpAddr>() {
        Ok(address) => IpNet::from(address).to_string(),
        Err(_) if text.contains('/') => "ADDRESS/LENGTH, such as 10.1.0.0/16".to_owned(),
        Err(_) => "ADDRESS/LENGTH, such as 10.1.0.0/16, or `host` for a name".to_owned(),
    };
    format!("`{}` is no range of addresses; write {instead}", text.escape_debug())
}

/// A port that the server may bind and be reached on.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListenRule {
    /// The port, from 1.
    #[schemars(range(min = 1))]
    pub port: u16,
    /// `tcp` or `udp`; both when absent.
    #[serde(default)]
    pub protocol: Option<NetworkProtocol>,
}

/// A transport protocol that a rule can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NetworkProtocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}
