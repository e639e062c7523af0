//! Listeners: connections are taken in, secured, and served a request after the other.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::ClientCertificate;
use super::desk::Peer;
use super::front::Front;
use super::guard::Names;
use super::lobby::Guest;
use super::tls::{Certificates, TlsError};
use crate::config::ListenerConfig;
use crate::transport::activation;

/// How long a connection may be silent between two requests.
const IDLE: Duration = Duration::from_secs(75);
/// How long responses may take to end when the daemon stops.
const FAREWELL: Duration = Duration::from_secs(5);
/// Headers of a request.
const HEADERS: usize = 64;

/// Why a listener cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The socket cannot be made.
    #[error("cannot listen on {place}: {source}")]
    Socket {
        /// The address or path.
        place: String,
        /// Why.
        source: std::io::Error,
    },
    /// Another process listens there.
    #[error("another process listens on {0} already; stop it first or choose another path")]
    InUse(PathBuf),
    /// Its certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// A socket that listens.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    url: String,
    manner: Mutex<Arc<Manner>>,
}

/// How connections are taken in.
#[derive(Debug)]
pub struct Manner {
    names: Arc<Names>,
    tls: Option<Certificates>,
    speaks_for: Option<Arc<str>>,
    /// Becomes true when others are taken in otherwise.
    over: watch::Sender<bool>,
}

impl Manner {
    /// Reads what the configuration names.
    pub fn new(config: &ListenerConfig) -> Result<Self, ListenError> {
        Ok(Self {
            names: Arc::new(Names::new(config)),
            tls: config.tls.as_ref().map(Certificates::new).transpose()?,
            speaks_for: config.actor.as_deref().map(Arc::from),
            over: watch::Sender::new(false),
        })
    }
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener, PathBuf),
}

/// A connection while it lasts.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) peer: Peer,
    /// The address that the client reached.
    pub(super) local: Option<SocketAddr>,
    pub(super) names: Arc<Names>,
    pub(super) guest: Guest,
}

impl Listener {
    /// Makes the socket.
    pub async fn bind(config: &ListenerConfig) -> Result<Self, ListenError> {
        let manner = Manner::new(config)?;
        let scheme = if manner.tls.is_some() { "https" } else { "http" };
        let (socket, url) = match (&config.address, &config.unix) {
            (Some(address), _) => {
                let failed = |source| ListenError::Socket { place: address.to_string(), source };
                let listener = match activation::tcp(*address).map_err(failed)? {
                    Some(passed) => passed,
                    None => TcpListener::bind(address).await.map_err(failed)?,
                };
                let url = format!("{scheme}://{}", listener.local_addr().map_err(failed)?);
                (Socket::Tcp(listener), url)
            }
            (None, path) => {
                let path = path.clone().unwrap_or_default();
                let url = format!("unix:{}", path.display());
                (Socket::Unix(bind(&path).await?, path), url)
            }
        };
        Ok(Self { socket, url, manner: Mutex::new(Arc::new(manner)) })
    }

    /// Takes in connections in another manner from now on. Those that there are end with the response that is
    /// under way.
    pub fn renew(&self, manner: Manner) {
        let before = std::mem::replace(&mut *self.lock(), Arc::new(manner));
        before.over.send_replace(true);
    }

    fn lock(&self) -> MutexGuard<'_, Arc<Manner>> {
        self.manner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where it listens: `http://ADDRESS:PORT`, `https://ADDRESS:PORT` or `unix:PATH`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Takes in connections until `stop` becomes true, and returns when all have ended.
    pub async fn run(self: Arc<Self>, front: Arc<Front>, mut stop: watch::Receiver<bool>) {
        let this = self;
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = this.accept() => match accepted {
                    Ok(arrived) => {
                        connections.spawn(connection(arrived, front.clone(), stop.clone()));
                    }
                    Err(error) => {
                        tracing::warn!(listener = this.url, "cannot accept: {error}");
                        sleep(Duration::from_millis(100)).await;
                    }
                },
                () = crate::transport::stopped(&mut stop) => break,
                Some(_) = connections.join_next() => {}
            }
        }
        if let Socket::Unix(_, path) = &this.socket {
            activation::remove(path);
        }
        while connections.join_next().await.is_some() {}
    }

    async fn accept(&self) -> std::io::Result<Arrived> {
        match &self.socket {
            Socket::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                let local = stream.local_addr()?;
                let _ = stream.set_nodelay(true); // Slower without, and no worse.
                let address = Some(address.ip().to_canonical());
                let manner = self.lock().clone();
                let peer =
                    Peer { address, speaks_for: manner.speaks_for.clone(), ..Peer::default() };
                Ok(Arrived { stream: Box::new(stream), peer, local: Some(local), manner })
            }
            Socket::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                let uid = Some(stream.peer_cred()?.uid());
                let manner = self.lock().clone();
                let peer = Peer { uid, speaks_for: manner.speaks_for.clone(), ..Peer::default() };
                Ok(Arrived { stream: Box::new(stream), peer, local: None, manner })
            }
        }
    }
}

async fn connection(arrived: Arrived, front: Arc<Front>, stop: watch::Receiver<bool>) {
    let Arrived { stream, mut peer, local, manner } = arrived;
    let limits = front.limits();
    let (guest, mut way) = front.lobby.enter(limits.max_connections);
    let deadline = Instant::now() + Duration::from_secs(limits.header_timeout_seconds);
    let names = manner.names.clone();
    let ends = Ends { deadline, stop, over: manner.over.subscribe() };
    let Some(tls) = &manner.tls else {
        let connection = Connection { peer, local, names, guest };
        return serve(stream, connection, front, way, ends).await;
    };
    let secured = tokio::select! {
        secured = timeout_at(deadline, tls.acceptor().accept(stream)) => secured,
        Ok(()) = &mut way => return,
    };
    let Ok(secured) = secured else { return };
    let stream = match secured {
        Ok(stream) => stream,
        Err(error) => return front.note(&peer, &format!("TLS: {error}")),
    };
    let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    peer.certificate = certificate.map(|der| Arc::new(ClientCertificate::read(der)));
    let connection = Connection { peer, local, names, guest };
    serve(Box::new(stream), connection, front, way, ends).await;
}

struct Arrived {
    stream: Box<dyn Stream>,
    peer: Peer,
    local: Option<SocketAddr>,
    manner: Arc<Manner>,
}

/// When a connection ends that its client does not end.
struct Ends {
    /// If it has not authenticated by then.
    deadline: Instant,
    /// The daemon stops.
    stop: watch::Receiver<bool>,
    /// Connections are taken in otherwise.
    over: watch::Receiver<bool>,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Serves the requests of a connection. One that has not authenticated by `deadline`, or that must give
/// way to another, is closed.
async fn serve(
    stream: Box<dyn Stream>,
    connection: Connection,
    front: Arc<Front>,
    mut way: oneshot::Receiver<()>,
    ends: Ends,
) {
    let Ends { deadline, mut stop, mut over } = ends;
    let header_bytes = front.limits().header_bytes;
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .max_headers(HEADERS)
        .max_buf_size(header_bytes.max(8 << 10))
        .max_header_size(header_bytes)
        .header_read_timeout(IDLE);
    let connection = Arc::new(connection);
    let service = service_fn(|request| {
        let (front, connection) = (front.clone(), connection.clone());
        async move { Ok::<_, Infallible>(front.serve(&connection, request).await) }
    });
    let mut served = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    let mut stopping = None;
    let mut is_over = false;
    loop {
        tokio::select! {
            done = served.as_mut() => {
                if let Err(error) = done && error.is_parse() {
                    front.note(&connection.peer, &format!("no HTTP/1.1 request: {error}"));
                }
                return;
            }
            Ok(()) = &mut way, if !connection.guest.is_inside() => return,
            () = sleep_until(deadline), if !connection.guest.is_inside() => {
                if !connection.guest.is_inside() {
                    return;
                }
            }
            () = crate::transport::stopped(&mut stop), if stopping.is_none() => {
                served.as_mut().graceful_shutdown();
                stopping = Some(Instant::now() + FAREWELL);
            }
            () = crate::transport::stopped(&mut over), if !is_over => {
                served.as_mut().graceful_shutdown();
                is_over = true;
            }
            () = sleep_until(stopping.unwrap_or(deadline)), if stopping.is_some() => return,
        }
    }
}

/// A socket at `path`, replacing one that nobody listens on any more. Who may do what is decided by
/// authentication, not by who can open it.
async fn bind(path: &PathBuf) -> Result<UnixListener, ListenError> {
    let failed = |source| ListenError::Socket { place: path.display().to_string(), source };
    if let Some(passed) = activation::unix(path).map_err(failed)? {
        return Ok(passed);
    }
    if path.exists() {
        if UnixStream::connect(path).await.is_ok() {
            return Err(ListenError::InUse(path.clone()));
        }
        std::fs::remove_file(path).map_err(failed)?;
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666)).map_err(failed)?;
    Ok(listener)
}
