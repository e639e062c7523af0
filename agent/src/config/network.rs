//! The `network` of a policy: whom the server may reach, by address or by name, and where it may
//! listen.

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::Deserialize;

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
