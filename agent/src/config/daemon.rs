//! The daemon's file, `/etc/warrantd/warrantd.yaml`: servers, actors' credentials, the audit log.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::api_key::{ApiKeyConfig, KeySource};
use super::audit::AuditConfig;
use super::certificate::CertificateName;
use super::error::Problem;
use super::limits::LimitsConfig;
use super::listen::ListenerConfig;
use super::metrics::MetricsConfig;
use super::server::ServerConfig;

/// The configuration of `warrantd serve` as written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DaemonConfig {
    /// Directory of the sockets, one `<server id>.sock` each.
    #[serde(default = "default_runtime_dir")]
    pub runtime_dir: PathBuf,
    /// Directory of what outlives the daemon: accepted definitions of tools in `pins/<server id>.yaml`.
    #[serde(default = "default_state_dir")]
    pub state_dir: PathBuf,
    /// The audit log.
    #[serde(default)]
    pub audit: AuditConfig,
    /// Whether the kernel enforces and observes.
    #[serde(default)]
    pub kernel: KernelMode,
    /// Who may connect, and how they prove it.
    #[serde(default)]
    pub actors: Vec<ActorConfig>,
    /// Where clients connect over HTTP, beside the Unix sockets of `runtime_dir`.
    #[serde(default)]
    pub listen: Vec<ListenerConfig>,
    /// How much HTTP clients may take.
    #[serde(default)]
    pub limits: LimitsConfig,
    /// Where metrics are read; nowhere by default.
    #[serde(default)]
    pub metrics: Option<MetricsConfig>,
    /// The MCP servers behind warrantd.
    #[serde(default)]
    pub servers: Vec<ServerConfig>,
}

fn default_runtime_dir() -> PathBuf {
    PathBuf::from("/run/warrantd")
}

fn default_state_dir() -> PathBuf {
    PathBuf::from("/var/lib/warrantd")
}

impl DaemonConfig {
    /// Where a server's accepted definitions are, unless its policy says otherwise.
    pub fn pin_file(&self, server: &str) -> PathBuf {
        self.state_dir.join("pins").join(format!("{server}.yaml"))
    }

    /// Puts the files themselves where `credential:NAME` stands: what the service manager passed by that name
    /// (`LoadCredential=` in systemd.exec(5)). Keys, tokens and certificates can be named so. Relative files of API
    /// keys are put in `base`, the directory of the configuration, as others are.
    pub fn place_files(&mut self, base: &Path) -> Result<(), Problem> {
        super::credentials::resolve(self)?;
        for key in self.actors.iter_mut().flat_map(|actor| &mut actor.api_keys) {
            if let KeySource::File(file) = &mut key.source {
                *file = base.join(&*file);
            }
        }
        Ok(())
    }
}

/// Whether the kernel enforces and observes.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema, clap::ValueEnum, Serialize,
)]
pub enum KernelMode {
    /// It does, or nothing starts.
    #[default]
    #[serde(rename = "on", alias = "true")]
    On,
    /// It does not; every record says UNOBSERVED.
    #[serde(rename = "off", alias = "false")]
    Off,
}

/// How an actor proves who it is.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ActorConfig {
    /// The actor, as policies name it.
    pub id: String,
    /// Its API keys: `sha256:` and 64 hexadecimal digits, or a map with `sha256` or `key_file`, and
    /// optionally `not_before` and `expires`.
    #[serde(default)]
    #[schemars(with = "Vec<serde_json::Value>")]
    pub api_keys: Vec<ApiKeyConfig>,
    /// Users that are this actor when they connect to a socket.
    #[serde(default)]
    pub uids: Vec<u32>,
    /// Client certificates that are this actor's, where a listener has `client_ca`: `cn:NAME`,
    /// `dns:NAME`, `uri:URI`, `email:ADDRESS` or `sha256:` and the hash of the whole certificate.
    #[serde(default)]
    pub certificates: Vec<CertificateName>,
}
