//! MCP servers that are spoken to over Streamable HTTP: where they are and who watches them.
//!
//! ```yaml
//! servers:
//!   - {id: tickets, command: [tickets-mcp, --port, "9000"], root: /srv/tickets, policy: tickets.yaml,
//!      upstream: {url: "http://127.0.0.1:9000/mcp"}}                      # managed
//!   - {id: search, policy: search.yaml,
//!      upstream: {url: "http://127.0.0.1:9001/mcp", cgroup: /system.slice/search.service}}   # attached
//!   - {id: crm, policy: crm.yaml,
//!      upstream: {url: "https://mcp.example.com/mcp", unobserved: true,
//!                 headers: {Authorization: {file: /etc/warrantd/crm-authorization}}}}        # remote
//! ```

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Component, Path, PathBuf};

use http::{HeaderName, HeaderValue};
use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use url::{Host, Url};

use super::Problem;

/// Where a server is that speaks Streamable HTTP.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpstreamConfig {
    /// Its endpoint: `http://127.0.0.1:9000/mcp`, `https://…`.
    pub url: String,
    /// The Unix socket that it listens on; `url` then gives the path and the Host header alone.
    #[serde(default)]
    pub unix: Option<PathBuf>,
    /// Headers that every request to it carries: a text, or a map with `file`, whose content is the value.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub headers: BTreeMap<String, HeaderSource>,
    /// Certificates that it is trusted by instead of the host's own, in PEM.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// The cgroup, from the cgroup mount on, of a server that something else runs, such as
    /// `/system.slice/search.service`: the kernel enforces and observes it there.
    #[serde(default)]
    pub cgroup: Option<PathBuf>,
    /// The kernel cannot see this server, and every record may say so.
    #[serde(default)]
    pub unobserved: bool,
    /// Whether others may connect to the server beside warrantd: by default not when warrantd runs it. Ports
    /// are closed by the kernel, to connections from the same network namespace; a Unix socket is closed by
    /// the permissions of its directory.
    #[serde(default)]
    pub side_door: Option<SideDoor>,
}

/// Whether a server can be reached without going through warrantd.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SideDoor {
    /// Only warrantd's own connections come in.
    Closed,
    /// Whoever can reach its port may connect, and no policy applies to them.
    Open,
}

/// How many processes a server is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Instances {
    /// Each session has its own.
    #[default]
    PerSession,
    /// One process serves all sessions.
    Shared,
}

/// Which protocol era is spoken to a server.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize, JsonSchema, serde::Serialize,
)]
#[serde(rename_all = "snake_case")]
pub enum ProtocolChoice {
    /// What the server turns out to speak.
    #[default]
    Auto,
    /// Revisions up to 2025-11-25.
    Handshake,
    /// Revisions from 2026-07-28 on.
    Modern,
}

/// Where the value of a header comes from.
#[derive(Debug, Clone)]
pub enum HeaderSource {
    /// The configuration.
    Value(SecretString),
    /// A file, relative to the configuration file. A line end after the value does not count.
    File(PathBuf),
}

impl PartialEq for HeaderSource {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Value(one), Self::Value(other)) => one.expose_secret() == other.expose_secret(),
            (Self::File(one), Self::File(other)) => one == other,
            _ => false,
        }
    }
}

impl Eq for HeaderSource {}

/// Headers that the transport itself sets.
const OWN: [&str; 16] = [
    "accept",
    "accept-encoding",
    "connection",
    "content-length",
    "content-type",
    "host",
    "keep-alive",
    "last-event-id",
    "mcp-method",
    "mcp-name",
    "mcp-protocol-version",
    "mcp-session-id",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

impl UpstreamConfig {
    /// Checks what can be checked without the network. `key` is the path of this section.
    pub fn check(&self, key: &str) -> Result<Url, Problem> {
        let problem = |field: &str, why: String| Problem::new(format!("{key}.{field}"), why);
        let url = read_url(&self.url).map_err(|why| problem("url", why.to_owned()))?;
        if let Some(unix) = &self.unix {
            if !unix.is_absolute() {
                return Err(problem("unix", "give the socket's absolute path".to_owned()));
            }
            if url.scheme() == "https" {
                let why = "a Unix socket is spoken to without TLS; write http:// in `url`";
                return Err(problem("unix", why.to_owned()));
            }
        }
        if self.ca.is_some() && url.scheme() != "https" {
            return Err(problem("ca", "without https there is no certificate to check".to_owned()));
        }
        if let Some(cgroup) = &self.cgroup {
            check_cgroup(cgroup).map_err(|why| problem("cgroup", why.to_owned()))?;
            if self.unobserved {
                let why = "the kernel observes the server in its cgroup; remove one of `cgroup` and \
                           `unobserved`";
                return Err(problem("unobserved", why.to_owned()));
            }
        }
        for (name, source) in &self.headers {
            check_header(name, source).map_err(|why| problem(&format!("headers.{name}"), why))?;
        }
        Ok(url)
    }

    /// Whether others are kept from connecting to the server.
    pub fn closes_side_door(&self, managed: bool) -> bool {
        let default = if managed { SideDoor::Closed } else { SideDoor::Open };
        self.side_door.unwrap_or(default) == SideDoor::Closed
    }

    /// Whether requests cross a network in the clear.
    pub fn is_in_the_clear(&self, url: &Url) -> bool {
        let local = match url.host() {
            Some(Host::Ipv4(v4)) => v4.is_loopback(),
            Some(Host::Ipv6(v6)) => v6.is_loopback(),
            Some(Host::Domain(name)) => name == "localhost",
            None => false,
        };
        url.scheme() == "http" && self.unix.is_none() && !local
    }
}

fn read_url(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "not a URL; write it as http://127.0.0.1:9000/mcp")?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("the URL begins with http:// or https://");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(USERINFO);
    }
    if url.fragment().is_some() {
        return Err("a URL that is asked for has no fragment; remove `#…`");
    }
    Ok(url)
}

fn check_cgroup(path: &Path) -> Result<(), &'static str> {
    let mut parts = path.components();
    if parts.next() != Some(Component::RootDir) {
        return Err("give the path from the cgroup mount on, such as /system.slice/search.service");
    }
    let mut names = 0;
    for part in parts {
        let Component::Normal(_) = part else { return Err("no `..` in the path of a cgroup") };
        names += 1;
    }
    if names == 0 {
        Err("the root cgroup is the whole host; name the server's own")
    } else {
        Ok(())
    }
}

/// The messages name no value: it may be a secret.
fn check_header(name: &str, source: &HeaderSource) -> Result<(), String> {
    let parsed = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| "not a header's name (RFC 9110, section 5.1)".to_owned())?;
    if OWN.contains(&parsed.as_str()) || parsed.as_str().starts_with("mcp-param-") {
        return Err(format!("`{parsed}` is set by warrantd itself; remove it"));
    }
    match source {
        HeaderSource::Value(value) => HeaderValue::from_str(value.expose_secret())
            .map(drop)
            .map_err(|_| format!("{VALUE} may have printable characters alone")),
        HeaderSource::File(_) => Ok(()),
    }
}

/// Stands in every message about a line that may hold a secret; the line is then not shown.
pub(super) const VALUE: &str = "the header's value";

/// The same for URLs.
pub(super) const USERINFO: &str =
    "no user or password in the URL; give `headers: {Authorization: {file: …}}`";

/// By hand, because an untagged enum would lose the place and the reason of an error.
impl<'de> serde::Deserialize<'de> for HeaderSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(HeaderVisitor)
    }
}

struct HeaderVisitor;

impl<'de> Visitor<'de> for HeaderVisitor {
    type Value = HeaderSource;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{VALUE} between quotes, or a map with `file`")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<HeaderSource, E> {
        Ok(HeaderSource::Value(SecretString::from(text)))
    }

    // What follows could repeat a secret that was written without quotes; the messages must not.
    fn visit_u64<E: Error>(self, _: u64) -> Result<HeaderSource, E> {
        Err(unquoted())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<HeaderSource, E> {
        Err(unquoted())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<HeaderSource, E> {
        Err(unquoted())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<HeaderSource, E> {
        Err(unquoted())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<HeaderSource, A::Error> {
        let mut file = None;
        while let Some(field) = map.next_key::<String>()? {
            if field != "file" {
                return Err(Error::unknown_field(&field, &["file"]));
            }
            file = Some(map.next_value()?);
        }
        file.map(HeaderSource::File)
            .ok_or_else(|| Error::custom("a header's map has `file`; add it"))
    }
}

fn unquoted<E: Error>() -> E {
    E::custom(format!("put {VALUE} between quotes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<UpstreamConfig, String> {
        serde_yaml::from_str(text).map_err(|e| e.to_string())
    }

    #[test]
    fn all_forms_are_accepted() {
        for text in [
            "{url: 'http://127.0.0.1:9000/mcp'}",
            "{url: 'http://localhost/mcp', unix: /run/a.sock, side_door: open}",
            "{url: 'https://mcp.example.com/mcp?tenant=1', ca: /etc/ca.pem, unobserved: true}",
            "{url: 'http://[::1]:1/', cgroup: /system.slice/a.service, side_door: closed}",
            "{url: 'https://a/', headers: {Authorization: {file: a}, X-Tenant: 'b c'}}",
        ] {
            let config = read(text).expect(text);
            config.check("u").expect(text);
        }
    }

    #[test]
    fn what_does_not_go_together_is_named_with_the_way_out() {
        for (text, key, says) in [
            ("{url: /mcp}", "u.url", "http://127.0.0.1"),
            ("{url: 'ftp://a/'}", "u.url", "https://"),
            ("{url: 'http://u:p@a/'}", "u.url", "Authorization"),
            ("{url: 'http://a/#x'}", "u.url", "fragment"),
            ("{url: 'http://a/', unix: run/a.sock}", "u.unix", "absolute"),
            ("{url: 'https://a/', unix: /run/a.sock}", "u.unix", "http://"),
            ("{url: 'http://a/', ca: /ca.pem}", "u.ca", "https"),
            ("{url: 'http://a/', cgroup: system.slice}", "u.cgroup", "from the cgroup mount"),
            ("{url: 'http://a/', cgroup: /}", "u.cgroup", "whole host"),
            ("{url: 'http://a/', cgroup: /a/../b}", "u.cgroup", ".."),
            ("{url: 'http://a/', cgroup: /a, unobserved: true}", "u.unobserved", "remove one"),
            ("{url: 'http://a/', headers: {Host: b}}", "u.headers.Host", "remove it"),
            ("{url: 'http://a/', headers: {Mcp-Param-X: b}}", "u.headers.Mcp-Param-X", "remove"),
            ("{url: 'http://a/', headers: {'a b': c}}", "u.headers.a b", "name"),
        ] {
            let problem = read(text).expect(text).check("u").expect_err(text);
            assert_eq!(problem.key, key, "{text}");
            assert!(problem.message.contains(says), "{text}: {}", problem.message);
        }
    }

    #[test]
    fn messages_do_not_repeat_a_secret() {
        for text in [
            "{url: 'http://a/', headers: {A: 12345678}}",
            "{url: 'http://a/', headers: {A: -12345678}}",
            "{url: 'http://a/', headers: {A: 12345678.5}}",
            "{url: 'http://a/', headers: {A: [12345678]}}",
        ] {
            let error = read(text).expect_err(text);
            assert!(error.contains(VALUE) && !error.contains("12345678"), "{error}");
        }
        let config = read("{url: 'http://a/', headers: {A: \"hunter2\\n\"}}").expect("reads");
        let problem = config.check("u").expect_err("a line feed");
        assert!(problem.message.contains(VALUE) && !problem.message.contains("hunter2"));
        assert!(!format!("{config:?}").contains("hunter2"));
    }

    #[test]
    fn the_side_door_is_closed_where_warrantd_runs_the_server() {
        let config = |rest: &str| read(&format!("{{url: 'http://a/'{rest}}}")).expect("reads");
        assert!(config("").closes_side_door(true) && !config("").closes_side_door(false));
        assert!(!config(", side_door: open").closes_side_door(true));
        assert!(config(", side_door: closed").closes_side_door(false));
    }

    #[test]
    fn plain_http_to_another_host_is_in_the_clear() {
        for (url, clear) in [
            ("http://127.0.0.2/", false),
            ("http://[::1]/", false),
            ("http://localhost/", false),
            ("https://a/", false),
            ("http://10.0.0.1/", true),
            ("http://a/", true),
        ] {
            let config = read(&format!("{{url: '{url}'}}")).expect("reads");
            let read = config.check("u").expect("valid");
            assert_eq!(config.is_in_the_clear(&read), clear, "{url}");
        }
    }
}
