//! One MCP server: how it is run or where it is, and who may use it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::upstream::{Instances, ProtocolChoice, UpstreamConfig};
use super::{Mode, NetworkProtocol, PolicyFile, Problem};

/// One MCP server: a command that warrantd runs and speaks to over its standard streams, a place where one
/// speaks Streamable HTTP (`upstream`), or both: a command that serves HTTP.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServerConfig {
    /// Its name: letters, digits, `-` and `_`.
    pub id: String,
    /// Program and arguments.
    #[serde(default)]
    pub command: Vec<String>,
    /// Where it speaks Streamable HTTP.
    #[serde(default)]
    pub upstream: Option<UpstreamConfig>,
    /// Its working directory, from which relative paths in its policy count.
    #[serde(default)]
    pub root: Option<PathBuf>,
    /// The user it runs as: `nobody` by default.
    #[serde(default)]
    pub user: Option<String>,
    /// Its policy file, relative to the configuration file.
    pub policy: PathBuf,
    /// Ways to authenticate that it accepts.
    #[serde(default = "default_auth")]
    pub auth: Vec<AuthMethod>,
    /// Environment variables it gets beside PATH, HOME, LANG and TZ.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// How many processes a server with standard streams is. One that serves HTTP is one.
    #[serde(default)]
    pub instances: Option<Instances>,
    /// Which protocol era is spoken to it.
    #[serde(default)]
    pub protocol: ProtocolChoice,
}

fn default_auth() -> Vec<AuthMethod> {
    vec![AuthMethod::ApiKey]
}

/// A way to authenticate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthMethod {
    /// An API key: on a Unix socket sent before the first message, over HTTP in `Authorization: Bearer`
    /// or `X-API-Key`.
    ApiKey,
    /// The user id of the peer of a Unix socket (`SO_PEERCRED`, unix(7)).
    PeerUid,
    /// A client certificate (mutual TLS).
    ClientCertificate,
}

impl ServerConfig {
    /// Checks that the parts go together. `key` is the path of this server, such as `servers[0]`.
    pub fn check(&self, key: &str) -> Result<(), Problem> {
        let problem = |field: &str, why: &str| Problem::new(format!("{key}.{field}"), why);
        let Some(upstream) = &self.upstream else {
            if self.command.is_empty() {
                let why = "say how the server is run (`command`) or where it is (`upstream`)";
                return Err(Problem::new(key, why));
            }
            return self.check_root(key);
        };
        upstream.check(&format!("{key}.upstream"))?;
        if self.instances.is_some() {
            let why =
                "a server that is spoken to over HTTP is one for all sessions; remove `instances`";
            return Err(problem("instances", why));
        }
        if self.command.is_empty() {
            self.check_not_run(key, upstream)
        } else {
            for (given, field) in
                [(upstream.cgroup.is_some(), "cgroup"), (upstream.unobserved, "unobserved")]
            {
                if given {
                    let why = "a server with `command` runs in a cgroup that warrantd makes; remove this, \
                               or `command`";
                    return Err(problem(&format!("upstream.{field}"), why));
                }
            }
            self.check_root(key)
        }
    }

    /// A server that something else runs.
    fn check_not_run(&self, key: &str, upstream: &UpstreamConfig) -> Result<(), Problem> {
        let problem = |field: &str, why: &str| Problem::new(format!("{key}.{field}"), why);
        for (given, field) in [(self.user.is_some(), "user"), (!self.env.is_empty(), "env")] {
            if given {
                let why = "warrantd does not run this server; remove it, or give `command`";
                return Err(problem(field, why));
            }
        }
        if upstream.cgroup.is_none() {
            if !upstream.unobserved {
                let why = "the kernel cannot see what this server does: name the cgroup it runs in \
                           (`cgroup`), have warrantd run it (`command`), or accept records without a \
                           kernel's view (`unobserved: true`)";
                return Err(problem("upstream", why));
            }
            if upstream.side_door.is_some() {
                let why = "only the doors of a server on this host can be closed: remove it, or give \
                           `command` or `cgroup`";
                return Err(problem("upstream.side_door", why));
            }
        }
        Ok(())
    }

    /// Checks that the policy lets a server on this host be reached where it listens. The problem is the policy's.
    pub fn check_policy(&self, policy: &PolicyFile) -> Result<(), Problem> {
        let Some(upstream) = &self.upstream else { return Ok(()) };
        let here = !self.command.is_empty() || upstream.cgroup.is_some();
        if !here || upstream.unix.is_some() || policy.mode == Mode::Observe {
            return Ok(());
        }
        let url = upstream.check("upstream")?;
        let port = url.port_or_known_default().unwrap_or(80);
        let listed = policy.network.listen.iter().any(|rule| {
            rule.port == port
                && rule.protocol.is_none_or(|protocol| protocol == NetworkProtocol::Tcp)
        });
        if listed {
            return Ok(());
        }
        let why = format!(
            "server `{}` is to be reached on port {port}, which the kernel would keep closed; add \
             `{{port: {port}, protocol: tcp}}`",
            self.id
        );
        Err(Problem::new("network.listen", why))
    }

    fn check_root(&self, key: &str) -> Result<(), Problem> {
        if self.root.is_some() {
            return Ok(());
        }
        let why = "a server that warrantd runs needs `root`, its working directory; add it";
        Err(Problem::new(key, why))
    }

    /// Its working directory; `/` for a server that something else runs, unless it is given.
    pub fn root(&self) -> &Path {
        self.root.as_deref().unwrap_or(Path::new("/"))
    }

    /// The user it runs as.
    pub fn user(&self) -> &str {
        self.user.as_deref().unwrap_or("nobody")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rest: &str) -> Result<(), Problem> {
        let text = format!("{{id: a, policy: p, {rest}}}");
        let server: ServerConfig = serde_yaml::from_str(&text).expect("reads");
        server.check("s")
    }

    #[test]
    fn each_kind_of_server_is_accepted() {
        for rest in [
            "command: [a], root: /",
            "command: [a], root: /, user: b, env: {A: b}, instances: shared, protocol: modern",
            "command: [a], root: /, upstream: {url: 'http://127.0.0.1:1/'}",
            "upstream: {url: 'http://127.0.0.1:1/', cgroup: /a}",
            "root: /srv, upstream: {url: 'https://a/', unobserved: true}",
        ] {
            assert_eq!(check(rest), Ok(()), "{rest}");
        }
    }

    #[test]
    fn the_port_must_be_open() {
        let check = |rest: &str, policy: &str| {
            let text = format!("{{id: a, policy: p, {rest}}}");
            let server: ServerConfig = serde_yaml::from_str(&text).expect("reads");
            server.check_policy(&serde_yaml::from_str(policy).expect("a policy"))
        };
        let managed = "command: [a], root: /, upstream: {url: 'http://127.0.0.1:9000/'}";
        let attached = "upstream: {url: 'http://127.0.0.1:9000/', cgroup: /a}";
        for closed in ["{}", "network: {listen: [{port: 9001}, {port: 9000, protocol: udp}]}"] {
            for server in [managed, attached] {
                let problem = check(server, closed).expect_err(server);
                assert_eq!(problem.key, "network.listen");
                assert!(problem.message.contains("{port: 9000, protocol: tcp}"));
            }
        }
        for open in ["network: {listen: [{port: 9000}]}", "mode: observe"] {
            assert_eq!(check(managed, open), Ok(()));
        }
        let unix = "command: [a], root: /, upstream: {url: 'http://a/', unix: /run/a}";
        let remote = "upstream: {url: 'http://10.0.0.1:9000/', unobserved: true}";
        for server in [unix, remote, "command: [a], root: /"] {
            assert_eq!(check(server, "{}"), Ok(()), "{server}");
        }
    }

    #[test]
    fn what_does_not_go_together_is_refused_with_a_way_out() {
        for (rest, key, says) in [
            ("root: /", "s", "`command`"),
            ("command: [a]", "s", "`root`"),
            ("upstream: {url: 'http://a/'}", "s.upstream", "unobserved: true"),
            ("upstream: {url: x, unobserved: true}", "s.upstream.url", "not a URL"),
            (
                "user: a, upstream: {url: 'http://a/', unobserved: true}",
                "s.user",
                "does not run this server",
            ),
            (
                "env: {A: b}, upstream: {url: 'http://a/', cgroup: /a}",
                "s.env",
                "does not run this server",
            ),
            (
                "command: [a], root: /, upstream: {url: 'http://a/', cgroup: /a}",
                "s.upstream.cgroup",
                "or `command`",
            ),
            (
                "command: [a], root: /, upstream: {url: 'http://a/', unobserved: true}",
                "s.upstream.unobserved",
                "or `command`",
            ),
            (
                "instances: shared, upstream: {url: 'http://a/', unobserved: true}",
                "s.instances",
                "remove `instances`",
            ),
            (
                "upstream: {url: 'http://a/', unobserved: true, side_door: closed}",
                "s.upstream.side_door",
                "`cgroup`",
            ),
        ] {
            let problem = check(rest).expect_err(rest);
            assert_eq!(problem.key, key, "{rest}");
            assert!(problem.message.contains(says), "{rest}: {}", problem.message);
        }
    }
}
