//! Connections to a server: TCP or a Unix socket, marked as warrantd's own where others are kept out, with TLS
//! where the URL says so.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use nix::sys::socket::{setsockopt, sockopt};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::Failure;
use super::limits::{CONNECT_WITHIN, MAX_HEAD, MAX_HEADERS};
use super::request::Body;

/// When a peer that does not answer any more is given up: calls may be silent for hours, hosts may not.
const PROBE_AFTER_SECONDS: u32 = 30;
const PROBE_EVERY_SECONDS: u32 = 10;
const PROBES: u32 = 6;

/// How to get to a server.
#[derive(Debug)]
pub(super) struct Connector {
    pub(super) place: Place,
    /// TLS, and the name that the certificate must have.
    pub(super) tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    /// The mark (`SO_MARK`, socket(7)) by which the kernel programs know warrantd's connections.
    pub(super) mark: Option<u32>,
}

/// Where a server listens.
#[derive(Debug)]
pub(super) enum Place {
    Address(SocketAddr),
    Name(String, u16),
    Unix(PathBuf),
}

impl Connector {
    /// A new connection.
    pub(super) async fn connect(&self) -> Result<SendRequest<Body>, Failure> {
        match timeout(CONNECT_WITHIN, self.reach()).await {
            Ok(connected) => connected,
            Err(_) => Err(Failure::Unreachable("no connection within 10 seconds".to_owned())),
        }
    }

    async fn reach(&self) -> Result<SendRequest<Body>, Failure> {
        if let Place::Unix(path) = &self.place {
            return speak(UnixStream::connect(path).await.map_err(|error| unreachable(&error))?)
                .await;
        }
        let stream = self.tcp().await.map_err(|error| unreachable(&error))?;
        let Some((config, name)) = &self.tls else { return speak(stream).await };
        let connector = TlsConnector::from(Arc::clone(config));
        speak(connector.connect(name.clone(), stream).await.map_err(|error| unreachable(&error))?)
            .await
    }

    async fn tcp(&self) -> io::Result<TcpStream> {
        let addresses = match &self.place {
            Place::Address(address) => vec![*address],
            Place::Name(name, port) => tokio::net::lookup_host((&**name, *port)).await?.collect(),
            Place::Unix(_) => Vec::new(),
        };
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the host's name has no address");
        for address in addresses {
            match self.tcp_to(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn tcp_to(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        if let Some(mark) = self.mark {
            // Before the first packet, which is the one that the kernel programs judge.
            setsockopt(&socket, sockopt::Mark, &mark).map_err(|errno| {
                let why = format!(
                    "cannot mark the connection as warrantd's ({errno}); it needs CAP_NET_ADMIN"
                );
                io::Error::new(io::ErrorKind::PermissionDenied, why)
            })?;
        }
        socket.set_nodelay(true)?;
        socket.set_keepalive(true)?;
        setsockopt(&socket, sockopt::TcpKeepIdle, &PROBE_AFTER_SECONDS)?;
        setsockopt(&socket, sockopt::TcpKeepInterval, &PROBE_EVERY_SECONDS)?;
        setsockopt(&socket, sockopt::TcpKeepCount, &PROBES)?;
        socket.connect(address).await
    }

    /// Whether a connection can be made, asked again and again for a server that is starting.
    pub(super) async fn wait(&self, within: Duration) -> Result<(), Failure> {
        let deadline = tokio::time::Instant::now() + within;
        let mut pause = Duration::from_millis(5);
        loop {
            match timeout(within, self.connect()).await {
                Ok(Ok(_)) => return Ok(()),
                Ok(Err(failure)) if tokio::time::Instant::now() + pause > deadline => {
                    return Err(failure);
                }
                Ok(Err(_)) => tokio::time::sleep(pause).await,
                Err(_) => return Err(Failure::Unreachable("no connection in time".to_owned())),
            }
            pause = (pause * 2).min(Duration::from_millis(200));
        }
    }
}

/// HTTP/1.1 on a connection. Its task ends with the connection, and the connection when neither the sender nor
/// a body is left.
async fn speak<S>(stream: S) -> Result<SendRequest<Body>, Failure>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS)
        .handshake(TokioIo::new(stream))
        .await?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!("a connection to a server ended: {error}");
        }
    });
    Ok(sender)
}

/// The reason without what it is about: the client that waits need not know where the server is.
fn unreachable(error: &io::Error) -> Failure {
    let kind = error.kind();
    Failure::Unreachable(match error.raw_os_error() {
        Some(_) => kind.to_string(),
        None => error.to_string(),
    })
}
