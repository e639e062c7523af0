//! Where the audit log is shipped to.
//!
//! ```yaml
//! audit:
//!   ship:
//!     - {name: siem, to: syslog, url: "tls://siem.example:6514", format: ocsf, ca: siem-ca.pem}
//!     - {name: hec, to: splunk, url: "https://splunk.example:8088", token_file: hec-token}
//! ```

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use super::Problem;

/// One receiver.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShipConfig {
    /// Its name: letters, digits, `-` and `_`. How far it has got is in `<state_dir>/ship/<name>.json`.
    pub name: String,
    /// What it speaks.
    pub to: ShipTo,
    /// Where it is: `udp://`, `tcp://`, `tls://HOST:PORT` or `unix:///dev/log` for syslog, `nats://` or
    /// `tls://HOST:PORT` for NATS, `http://` or `https://` for the others; journald needs none.
    #[serde(default)]
    pub url: Option<String>,
    /// In which form events are sent.
    #[serde(default)]
    pub format: ShipFormat,
    /// Certificates that it is trusted by instead of the host's own, in PEM.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// File of the token that it is shown: a HEC token, an API key of Elastic, the token of NATS, or for
    /// `http` and `otlp` the whole value of the `Authorization` header.
    #[serde(default)]
    pub token_file: Option<PathBuf>,
    /// Index of Splunk or Elastic.
    #[serde(default)]
    pub index: Option<String>,
    /// Subject of NATS; a stream must take it.
    #[serde(default)]
    pub subject: Option<String>,
    /// How events of a request are put together, for `http`.
    #[serde(default)]
    pub body: ShipBody,
    /// Only a part of the log: `alerts`.
    #[serde(default)]
    pub only: Option<ShipOnly>,
}

/// A part of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ShipOnly {
    /// Alerts that name the receiver, or none.
    Alerts,
}

/// What a receiver speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ShipTo {
    /// RFC 5424 over UDP (RFC 5426), TCP (RFC 6587, octet counting), TLS (RFC 5425) or a Unix socket.
    Syslog,
    /// The journal of systemd, by its native protocol.
    Journald,
    /// Splunk's HTTP Event Collector, with acknowledgement where the receiver gives an `ackId`.
    Splunk,
    /// Elasticsearch's `_bulk`.
    Elastic,
    /// JSON by POST; any status 2xx acknowledges.
    Http,
    /// OpenTelemetry logs, OTLP/HTTP with JSON.
    Otlp,
    /// NATS `JetStream`.
    Nats,
}

/// How events of a request are put together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ShipBody {
    /// A JSON array.
    #[default]
    Json,
    /// One event a line.
    Ndjson,
}

/// In which form events leave.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema, clap::ValueEnum, Serialize,
)]
#[serde(rename_all = "snake_case")]
pub enum ShipFormat {
    /// The line of the log.
    Native,
    /// Open Cybersecurity Schema Framework 1.8.
    #[default]
    Ocsf,
    /// Elastic Common Schema 9.4.
    Ecs,
    /// Common Event Format 0.
    Cef,
}

/// The journal's socket (systemd-journald.service(8)).
const JOURNAL: &str = "unix:///run/systemd/journal/socket";

impl ShipConfig {
    /// Checks what can be checked without the network, and reads the URL. `key` is the path of this section.
    pub fn check(&self, key: &str) -> Result<Url, Problem> {
        let problem = |field: &str, why: &str| Problem::new(format!("{key}.{field}"), why);
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if self.name.is_empty() || self.name.len() > 32 || !self.name.chars().all(plain) {
            return Err(problem(
                "name",
                "1 to 32 letters, digits, `-` or `_`: it is a file's name",
            ));
        }
        let journal = (self.to == ShipTo::Journald).then_some(JOURNAL);
        let text = self.url.as_deref().or(journal);
        let text = text.ok_or_else(|| problem("url", "say where the receiver is"))?;
        let schemes = self.schemes();
        let hint = || format!("write it as {}", schemes.join(" or "));
        let url =
            Url::parse(text).map_err(|_| problem("url", &format!("not a URL; {}", hint())))?;
        let fits = |example: &str| example.split("://").next() == Some(url.scheme());
        if !schemes.iter().any(|example| fits(example)) {
            return Err(problem("url", &hint()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Problem::new(format!("{key}.url"), USERINFO));
        }
        if url.scheme() == "unix" {
            if !url.path().starts_with('/') || url.path() == "/" || url.has_host() {
                return Err(problem("url", "the socket's absolute path: unix:///dev/log"));
            }
        } else if !url.has_host() {
            return Err(problem("url", "the URL has no host"));
        } else if url.port_or_known_default().is_none() && self.default_port().is_none() {
            return Err(problem("url", "the URL has no port"));
        }
        if self.ca.is_some() && !matches!(url.scheme(), "tls" | "https") {
            return Err(problem("ca", "without TLS there is no certificate to check"));
        }
        self.check_fields(key)?;
        Ok(url)
    }

    fn check_fields(&self, key: &str) -> Result<(), Problem> {
        let problem = |field: &str, why: &str| Problem::new(format!("{key}.{field}"), why);
        let no_token = matches!(self.to, ShipTo::Syslog | ShipTo::Journald);
        if self.token_file.is_some() && no_token {
            return Err(problem("token_file", "this receiver is shown no token; remove it"));
        }
        if self.to == ShipTo::Splunk && self.token_file.is_none() {
            return Err(problem("token_file", "HEC wants a token; name its file in `token_file`"));
        }
        match (self.to, &self.index) {
            (ShipTo::Elastic, None) => {
                return Err(problem("index", "name the index or data stream to write to"));
            }
            (ShipTo::Elastic | ShipTo::Splunk, _) | (_, None) => {}
            _ => return Err(problem("index", "this receiver has no index; remove it")),
        }
        match (self.to, &self.subject) {
            (ShipTo::Nats, None) => {
                return Err(problem("subject", "name the subject to publish to"));
            }
            (ShipTo::Nats, Some(subject)) => {
                let bad = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '*' | '>');
                if subject.is_empty() || subject.contains(bad) {
                    return Err(problem("subject", "a subject has no spaces and no wildcards"));
                }
            }
            (_, Some(_)) => {
                return Err(problem("subject", "this receiver has no subject; remove it"));
            }
            (_, None) => {}
        }
        if self.format == ShipFormat::Cef && matches!(self.to, ShipTo::Elastic) {
            return Err(problem("format", "Elastic takes JSON: ecs, ocsf or native"));
        }
        Ok(())
    }

    fn schemes(&self) -> &'static [&'static str] {
        match self.to {
            ShipTo::Syslog => {
                &["tls://host:6514", "tcp://host:601", "udp://host:514", "unix:///dev/log"]
            }
            ShipTo::Journald => &["unix:///run/systemd/journal/socket"],
            ShipTo::Splunk | ShipTo::Elastic | ShipTo::Http | ShipTo::Otlp => {
                &["https://host/path", "http://host/path"]
            }
            ShipTo::Nats => &["nats://host:4222", "tls://host:4222"],
        }
    }

    /// The port of a URL that names none.
    pub fn default_port(&self) -> Option<u16> {
        match self.to {
            ShipTo::Nats => Some(4222),
            _ => None,
        }
    }
}

/// Stands in the message about a URL with a password; the line is then not shown.
pub(super) const USERINFO: &str = "no user or password in the URL; give `token_file`";

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<Url, Problem> {
        let config: ShipConfig = serde_yaml::from_str(text).expect(text);
        config.check("s")
    }

    #[test]
    fn all_receivers_are_accepted() {
        for text in [
            "{name: a, to: syslog, url: 'tls://siem.example:6514', ca: ca.pem}",
            "{name: a, to: syslog, url: 'udp://[::1]:514', format: cef}",
            "{name: a, to: syslog, url: 'unix:///dev/log'}",
            "{name: a, to: journald}",
            "{name: a, to: splunk, url: 'https://s:8088', token_file: t, index: main}",
            "{name: a, to: elastic, url: 'https://e:9200', index: audit, format: ecs}",
            "{name: a, to: http, url: 'https://h/in', body: ndjson}",
            "{name: a, to: otlp, url: 'http://h:4318/v1/logs'}",
            "{name: a, to: nats, url: 'nats://n', subject: audit.host}",
        ] {
            check(text).expect(text);
        }
    }

    #[test]
    fn what_does_not_go_together_is_named_with_the_way_out() {
        for (text, key, says) in [
            ("{name: a/b, to: journald}", "s.name", "letters"),
            ("{name: a, to: syslog}", "s.url", "where"),
            ("{name: a, to: syslog, url: 'https://h'}", "s.url", "tls://"),
            ("{name: a, to: syslog, url: 'tcp://h'}", "s.url", "port"),
            ("{name: a, to: syslog, url: 'unix://dev/log'}", "s.url", "absolute"),
            ("{name: a, to: syslog, url: 'tcp://h:1', ca: c}", "s.ca", "TLS"),
            ("{name: a, to: journald, token_file: t}", "s.token_file", "remove"),
            ("{name: a, to: splunk, url: 'https://h'}", "s.token_file", "HEC"),
            ("{name: a, to: elastic, url: 'https://h'}", "s.index", "index"),
            ("{name: a, to: http, url: 'https://h', index: i}", "s.index", "remove"),
            ("{name: a, to: http, url: 'https://u:hunter2@h'}", "s.url", "token_file"),
            ("{name: a, to: nats, url: 'nats://h', subject: 'a.>'}", "s.subject", "wildcards"),
            ("{name: a, to: elastic, url: 'https://h', index: i, format: cef}", "s.format", "JSON"),
        ] {
            let problem = check(text).expect_err(text);
            assert_eq!(problem.key, key, "{text}");
            assert!(problem.message.contains(says), "{text}: {}", problem.message);
            assert!(!problem.message.contains("hunter2"));
        }
    }
}
