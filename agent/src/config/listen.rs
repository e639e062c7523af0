//! HTTP listeners: where clients that speak Streamable HTTP come in.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};

use super::Problem;

/// A place where clients connect over HTTP: `address` or `unix`, one of the two. Server `files` is at
/// the path `/files/mcp`, and at `/mcp` when it is the only one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("oneOf" = [{"required": ["address"]}, {"required": ["unix"]}]))]
pub struct ListenerConfig {
    /// IP address and port, such as `127.0.0.1:8443` or `[::1]:8443`.
    #[serde(deserialize_with = "address")]
    #[schemars(with = "Option<String>")]
    pub address: Option<SocketAddr>,
    /// Path of a Unix socket.
    pub unix: Option<PathBuf>,
    /// Certificate and key. Needed for an address that is not loopback.
    pub tls: Option<TlsConfig>,
    /// Names that clients may use for this host in `Host`, beside the address itself and the names of
    /// loopback: `mcp.example.com`, with `:PORT` for that port alone.
    pub allowed_hosts: Vec<String>,
    /// Web pages that may call, by their origin, such as `https://app.example.com`. Those that came
    /// from the listener's own address always may.
    pub allowed_origins: Vec<String>,
    /// The actor that everybody who connects here is, without having to prove it. Only for loopback
    /// addresses and Unix sockets.
    pub actor: Option<String>,
    /// Without TLS on an address that is not loopback. Keys and results can be read on the way.
    pub insecure_plaintext: bool,
}

/// Certificate and key of a listener. The files are read anew when they change.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// PEM file of the certificate and those between it and its root.
    pub certificate: PathBuf,
    /// PEM file of its private key.
    pub key: PathBuf,
    /// PEM file of the authorities whose client certificates count. Clients are asked for one, and
    /// may do without.
    #[serde(default)]
    pub client_ca: Option<PathBuf>,
}

impl ListenerConfig {
    /// Finds what does not go together. `key` is the listener's path in the file.
    pub fn check(&self, key: &str) -> Result<(), Problem> {
        let problem = |field: &str, text: &str| Err(Problem::new(format!("{key}.{field}"), text));
        let local = self.unix.is_some()
            || self.address.is_some_and(|a| a.ip().to_canonical().is_loopback());
        match (&self.address, &self.unix) {
            (Some(_), Some(_)) => {
                return problem("unix", "a listener has `address` or `unix`, not both");
            }
            (None, None) => {
                let text = "a listener needs `address` (such as 127.0.0.1:8443) or `unix` (a path)";
                return Err(Problem::new(key, text));
            }
            _ => {}
        }
        if self.unix.is_some() && self.tls.is_some() {
            return problem("tls", "nobody else can read along on a Unix socket; remove `tls`");
        }
        if let Some(unix) = self.unix.as_ref().filter(|path| !path.is_absolute()) {
            return problem("unix", &format!("`{}` is not an absolute path", unix.display()));
        }
        if self.actor.is_some() && !local {
            let text = "everybody who reaches this address would be that actor; that is accepted on \
                        loopback addresses and Unix sockets alone. Give the actor `api_keys` or \
                        `certificates`";
            return problem("actor", text);
        }
        if !local && self.tls.is_none() && !self.insecure_plaintext {
            let text = "keys and results would be readable on the way to this address; add `tls`, \
                        listen on 127.0.0.1 behind a proxy that does TLS, or say \
                        `insecure_plaintext: true`";
            return problem("address", text);
        }
        for (index, host) in self.allowed_hosts.iter().enumerate() {
            if host.is_empty()
                || host.contains(['/', '*', '@'])
                || host.contains(char::is_whitespace)
            {
                let text = "a host as clients name it, such as `mcp.example.com` or \
                            `mcp.example.com:8443`; without scheme, path and wildcards";
                return problem(&format!("allowed_hosts[{index}]"), text);
            }
        }
        for (index, origin) in self.allowed_origins.iter().enumerate() {
            let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
            let plain = |host: &str| !host.is_empty() && !host.contains(['/', '*', '@', ' ']);
            if !host.is_some_and(plain) {
                let text = "an origin is a scheme and a host, such as `https://app.example.com`; \
                            without path and wildcards";
                return problem(&format!("allowed_origins[{index}]"), text);
            }
        }
        Ok(())
    }

    /// Whether its clients are asked for a certificate.
    pub fn asks_for_certificates(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some())
    }
}

pub(super) fn address<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<SocketAddr>, D::Error> {
    // A visitor's error has the place of the value.
    struct Visitor;
    impl de::Visitor<'_> for Visitor {
        type Value = SocketAddr;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an IP address with its port, such as 127.0.0.1:8443 or [::1]:8443")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<SocketAddr, E> {
            text.parse().map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
        }
    }
    deserializer.deserialize_str(Visitor).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<ListenerConfig, String> {
        let config: ListenerConfig = serde_yaml::from_str(text).map_err(|e| e.to_string())?;
        config
            .check("listen[0]")
            .map_err(|problem| format!("{}: {}", problem.key, problem.message))?;
        Ok(config)
    }

    #[test]
    fn listeners_that_are_safe_are_accepted() {
        for text in [
            "{address: '127.0.0.1:0'}",
            "{address: '[::1]:80', actor: a}",
            "{unix: /run/x.sock, actor: a}",
            "{address: '0.0.0.0:443', tls: {certificate: /c, key: /k}, allowed_hosts: [a.b, 'a.b:8']}",
            "{address: '10.0.0.1:80', insecure_plaintext: true}",
            "{address: '127.0.0.1:80', allowed_origins: ['https://a.b', 'http://localhost:6274']}",
        ] {
            assert_eq!(read(text).map(|_| ()), Ok(()), "{text}");
        }
    }

    #[test]
    fn listeners_that_are_not_are_refused_with_a_way_out() {
        for (text, says) in [
            ("{}", "needs `address`"),
            ("{address: '127.0.0.1:1', unix: /x}", "not both"),
            ("{address: 'localhost:80'}", "such as 127.0.0.1:8443"),
            ("{address: '127.0.0.1'}", "with its port"),
            ("{address: '0.0.0.0:80'}", "insecure_plaintext: true"),
            ("{address: '0.0.0.0:80', actor: a, insecure_plaintext: true}", "`api_keys`"),
            ("{unix: /x, tls: {certificate: /c, key: /k}}", "remove `tls`"),
            ("{unix: x}", "absolute"),
            ("{address: '127.0.0.1:1', allowed_hosts: ['https://a']}", "allowed_hosts[0]"),
            ("{address: '127.0.0.1:1', allowed_hosts: ['*.a']}", "allowed_hosts[0]"),
            ("{address: '127.0.0.1:1', allowed_origins: ['a.b']}", "allowed_origins[0]"),
            ("{address: '127.0.0.1:1', allowed_origins: ['https://a/b']}", "allowed_origins[0]"),
        ] {
            let error = read(text).expect_err(text);
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
