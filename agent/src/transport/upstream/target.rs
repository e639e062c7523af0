//! One server that is reached over HTTP.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::uri::PathAndQuery;
use http::{HeaderValue, Uri};
use rustls::pki_types::ServerName;
use tokio::sync::mpsc;
use url::{Host, Url};

use crate::config::{Problem, UpstreamConfig};
use crate::kernel::Doors;

use super::connect::{Connector, Place};
use super::headers::Headers;
use super::link::UpstreamLink;
use super::message::FromServer;
use super::pool::Pool;
use super::{Failure, tls};

/// Why a server cannot be spoken to as configured. No message holds a header's value.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// The configuration does not hold together.
    #[error("{}", .0.message)]
    Config(Problem),
    /// A header cannot be sent.
    #[error("the header `{name}` cannot be sent: {why}")]
    Header {
        /// The header.
        name: String,
        /// Why.
        why: String,
    },
    /// The certificates to trust cannot be used.
    #[error("the certificates in {} cannot be used: {why}", file.display())]
    Ca {
        /// The file.
        file: PathBuf,
        /// Why.
        why: String,
    },
    /// The host has none.
    #[error("this host trusts no certificates; install ca-certificates or give `ca`")]
    NoRoots,
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
    /// There is no randomness to choose a mark by.
    #[error("the system has no random numbers: {0}")]
    Random(String),
}

impl UpstreamError {
    /// The key below `upstream` that it is about; empty for the whole.
    pub fn field(&self) -> &'static str {
        match self {
            Self::Header { .. } => "headers",
            Self::Ca { .. } => "ca",
            Self::Config(_) | Self::NoRoots | Self::Tls(_) | Self::Random(_) => "",
        }
    }
}

/// A server that is reached over HTTP, and the connections to it.
#[derive(Debug)]
pub struct Upstream {
    /// Its name in the log.
    pub(super) server: String,
    pub(super) endpoint: Endpoint,
    pub(super) pool: Arc<Pool>,
    /// What it was made of.
    config: UpstreamConfig,
    ca: Option<Vec<u8>>,
}

/// What every request to it begins with.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) path: Uri,
    pub(super) host: HeaderValue,
    pub(super) headers: Headers,
}

impl Upstream {
    /// Reads everything that the configuration names; connects to nothing. Relative files lie beside `base`.
    /// `managed` says that warrantd runs the server itself.
    pub fn open(
        server: &str,
        config: &UpstreamConfig,
        base: &Path,
        managed: bool,
    ) -> Result<Arc<Self>, UpstreamError> {
        let url = config.check("upstream").map_err(UpstreamError::Config)?;
        if config.is_in_the_clear(&url) {
            tracing::warn!(
                server,
                "requests to the server cross the network in the clear; give an https:// URL"
            );
        }
        let bad = |why: &str| UpstreamError::Config(Problem::new("upstream.url", why));
        let host = url.host().ok_or_else(|| bad("the URL has no host"))?;
        let mut authorities = None;
        let tls = if url.scheme() == "https" {
            let name = match &host {
                Host::Domain(name) => ServerName::try_from((*name).to_owned())
                    .map_err(|_| bad("no certificate can name this host"))?,
                Host::Ipv4(v4) => ServerName::IpAddress((*v4).into()),
                Host::Ipv6(v6) => ServerName::IpAddress((*v6).into()),
            };
            let ca = config.ca.as_ref().map(|ca| base.join(ca));
            authorities = ca.as_ref().and_then(|ca| std::fs::read(ca).ok());
            Some((tls::config(ca.as_deref())?, name))
        } else {
            None
        };
        let port = url.port_or_known_default().unwrap_or(80);
        let place = match (&config.unix, &host) {
            (Some(path), _) => Place::Unix(path.clone()),
            (None, Host::Domain(name)) => Place::Name((*name).to_owned(), port),
            (None, Host::Ipv4(v4)) => Place::Address((*v4, port).into()),
            (None, Host::Ipv6(v6)) => Place::Address((*v6, port).into()),
        };
        let mark = config.closes_side_door(managed).then(random_mark).transpose()?;
        let path = &url[url::Position::BeforePath..url::Position::AfterQuery];
        let path = PathAndQuery::try_from(path).map_err(|_| bad("its path cannot be asked for"))?;
        let headers = Headers::new(&config.headers, base)?;
        Ok(Arc::new(Self {
            server: server.to_owned(),
            endpoint: Endpoint { path: path.into(), host: host_header(&url)?, headers },
            pool: Pool::new(Connector { place, tls, mark }),
            config: config.clone(),
            ca: authorities,
        }))
    }

    /// Whether another was made of the same. Files of headers are read while they are used, so they are.
    pub fn is(&self, other: &Self) -> bool {
        self.config == other.config && self.ca == other.ca
    }

    /// A new conversation with the server, and where its messages come out. They end when the link is
    /// dropped and what it had begun has ended.
    pub fn link(self: &Arc<Self>) -> (UpstreamLink, mpsc::Receiver<FromServer>) {
        UpstreamLink::new(Arc::clone(self))
    }

    /// Waits until the server can be connected to, for one that was just started.
    pub async fn wait_until_reachable(&self, within: Duration) -> Result<(), Failure> {
        self.pool.connector.wait(within).await
    }

    /// The doors of the server's session in the kernel, with the side door closed to all but this upstream's
    /// connections, if configuration closes it.
    #[must_use]
    pub fn doors(&self, doors: Doors) -> Doors {
        Doors { mark: self.pool.connector.mark, ..doors }
    }
}

/// A mark that nobody else's rules mean. Only who has `CAP_NET_ADMIN` or `CAP_NET_RAW` can set one at all; 14 low
/// bits keep clear of those that kube-proxy (bits 14 and 15) and virtual networks (from 16 on) act on.
fn random_mark() -> Result<u32, UpstreamError> {
    let mut bytes = [0; 2];
    getrandom::fill(&mut bytes).map_err(|error| UpstreamError::Random(error.to_string()))?;
    Ok(u32::from(u16::from_ne_bytes(bytes) & 0x3fff).max(1))
}

fn host_header(url: &Url) -> Result<HeaderValue, UpstreamError> {
    let host = &url[url::Position::BeforeHost..url::Position::AfterPort];
    HeaderValue::from_str(host).map_err(|_| {
        UpstreamError::Config(Problem::new("upstream.url", "its host cannot be asked for"))
    })
}
