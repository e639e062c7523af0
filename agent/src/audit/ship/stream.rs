//! Syslog over TCP and TLS.
//!
//! Neither acknowledges. What the receiver's kernel has acknowledged is known from the socket; what its process
//! has read is not. So bytes count as received when they were acknowledged and the connection still stands
//! some time later, and a broken connection has everything since then sent again.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use url::{Host, Url};

use super::batch::Batch;
use super::error::Failure;
use super::sink::Delivered;
use super::tls::Tls;
use super::{ShipError, syslog, tls};
use crate::audit::format::Origin;
use crate::config::ShipConfig;
use crate::kernel::unacknowledged;

/// How long connecting may take, the TLS handshake included.
pub(super) const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// How long a receiver may take nothing.
const TAKEN_WITHIN: Duration = Duration::from_secs(60);

/// A receiver of a stream.
#[derive(Debug)]
pub(super) struct Stream {
    place: Place,
    origin: Origin,
    connection: Option<Connection>,
}

/// Where a receiver is, and how it is reached.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) host: Host,
    pub(super) port: u16,
    pub(super) tls: Option<Tls>,
}

/// What bytes go through.
pub(super) trait Pipe: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<P: AsyncRead + AsyncWrite + Send + Sync + Unpin> Pipe for P {}

struct Connection {
    pipe: Box<dyn Pipe>,
    socket: OwnedFd,
    written: Arc<AtomicU64>,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("written", &self.written).finish_non_exhaustive()
    }
}

/// The host of a URL. Of schemes that the URL standard does not know, addresses are not told from names.
pub(super) fn host(url: &Url) -> Option<Host> {
    let text = url.host_str().filter(|text| !text.is_empty())?;
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    Some(match bare.parse::<IpAddr>() {
        Ok(IpAddr::V4(v4)) => Host::Ipv4(v4),
        Ok(IpAddr::V6(v6)) => Host::Ipv6(v6),
        Err(_) => Host::Domain(text.to_owned()),
    })
}

/// The addresses of a host.
pub(super) async fn addresses(host: &Host, port: u16) -> io::Result<Vec<SocketAddr>> {
    Ok(match host {
        Host::Ipv4(v4) => vec![(*v4, port).into()],
        Host::Ipv6(v6) => vec![(*v6, port).into()],
        Host::Domain(name) => tokio::net::lookup_host((&**name, port)).await?.collect(),
    })
}

/// A TCP connection to a host.
pub(super) async fn connect(host: &Host, port: u16) -> io::Result<TcpStream> {
    let mut last = io::Error::other("the host's name has no address");
    for address in addresses(host, port).await? {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

impl Stream {
    pub(super) fn open(
        config: &ShipConfig,
        url: &Url,
        base: &Path,
        origin: &Origin,
    ) -> Result<Self, ShipError> {
        let ca = config.ca.as_ref().map(|ca| base.join(ca));
        let tls = url.scheme() == "tls";
        let tls = tls.then(|| tls::client(url, ca.as_deref(), &[])).transpose()?;
        let host = host(url).ok_or_else(|| ShipError::Tls("the URL has no host".to_owned()))?;
        let place = Place { host, port: url.port().unwrap_or(6514), tls };
        Ok(Self { place, origin: origin.clone(), connection: None })
    }

    pub(super) fn reset(&mut self) {
        self.connection = None;
    }

    pub(super) fn sent(&self) -> u64 {
        self.connection.as_ref().map_or(0, |one| one.written.load(Ordering::Relaxed))
    }

    /// Writes all events of a batch.
    pub(super) async fn deliver(&mut self, batch: &Batch) -> Result<Delivered, Failure> {
        if self.connection.is_none() {
            self.connection = Some(open(&self.place).await?);
        }
        let mut text = Vec::new();
        batch.events.iter().for_each(|event| syslog::framed(event, &self.origin, &mut text));
        if let Some(connection) = &mut self.connection {
            connection.write(&text).await?;
        }
        Ok(Delivered::taken())
    }

    /// How many bytes the receiver's kernel has got; an error when the connection has ended.
    pub(super) async fn acknowledged(&mut self) -> Result<u64, Failure> {
        let Some(connection) = &mut self.connection else { return Ok(0) };
        let mut buffer = [0; 256];
        let mut buffer = ReadBuf::new(&mut buffer);
        let pipe = &mut connection.pipe;
        // Receivers say nothing; what comes is an end, or a matter of TLS.
        let read = std::future::poll_fn(|context| {
            Poll::Ready(match Pin::new(&mut *pipe).poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if buffer.filled().is_empty() => {
                    Err(Failure::Broken("the receiver closed it".to_owned()))
                }
                Poll::Ready(Err(error)) => Err(Failure::broken(&error)),
                Poll::Ready(Ok(())) | Poll::Pending => Ok(()),
            })
        });
        read.await?;
        let waiting =
            unacknowledged(&connection.socket).map_err(|error| Failure::broken(&error))?;
        Ok(connection.written.load(Ordering::Relaxed).saturating_sub(waiting))
    }
}

impl Connection {
    async fn write(&mut self, text: &[u8]) -> Result<(), Failure> {
        let writing = async {
            for piece in text.chunks(64 << 10) {
                match timeout(TAKEN_WITHIN, self.pipe.write_all(piece)).await {
                    Ok(written) => written.map_err(|error| Failure::broken(&error))?,
                    Err(_) => return Err(Failure::Slow("take what was sent")),
                }
            }
            self.pipe.flush().await.map_err(|error| Failure::broken(&error))
        };
        writing.await
    }
}

async fn open(place: &Place) -> Result<Connection, Failure> {
    let opening = async {
        let stream = connect(&place.host, place.port).await?;
        let socket = stream.as_fd().try_clone_to_owned()?;
        let written = Arc::new(AtomicU64::new(0));
        let counted = Counted { stream, written: Arc::clone(&written) };
        let pipe: Box<dyn Pipe> = match &place.tls {
            Some(tls) => Box::new(tls.connector.connect(tls.name.clone(), counted).await?),
            None => Box::new(counted),
        };
        Ok(Connection { pipe, socket, written })
    };
    match timeout(CONNECT_WITHIN, opening).await {
        Ok(opened) => opened.map_err(|error: io::Error| Failure::unreachable(&error)),
        Err(_) => Err(Failure::Slow("let connect")),
    }
}

/// A connection that counts what is written to its socket.
struct Counted {
    stream: TcpStream,
    written: Arc<AtomicU64>,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        if let Poll::Ready(Ok(count)) = &written {
            self.written.fetch_add(*count as u64, Ordering::Relaxed);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
