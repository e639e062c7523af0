//! The running daemon: one socket for each server, one session for each connection.

use std::fs::{DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;

use super::authenticate::{Outcome, authenticate};
use super::control::{self, Control};
use super::gaps::record_gaps;
use super::http_desk::{HttpDesk, Served};
use super::load::{Loaded, LoadedServer};
use super::metrics::{Endpoint, Metrics, Watched};
use super::shipping::Receivers;
use crate::audit::{AuditError, Event, Log, Record, Status};
use crate::config::LimitsConfig;
use crate::kernel::Kernel;
use crate::mcp::{RpcError, code};
use crate::session::{Context, MAX_REQUEST, Part, Pool, Sessions, converse, stopped};
use crate::transport::http::{Front, ListenError, Listener};
use crate::transport::{Inbox, LineReader, LineWriter, Outbox, activation};

/// How long servers that something else runs may take to be attached to.
const ATTACHED_WITHIN: std::time::Duration = std::time::Duration::from_secs(30);
/// Sessions and connections being authenticated that may be open at once.
const MAX_CONNECTIONS: usize = 1024;

/// Why the daemon cannot run.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The audit log cannot be written.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// A socket cannot be made.
    #[error("cannot listen on {path}: {source}")]
    Listen {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another daemon listens there.
    #[error("another process listens on {0} already; stop it first or choose another runtime_dir")]
    InUse(PathBuf),
    /// An HTTP listener cannot listen.
    #[error(transparent)]
    Http(#[from] ListenError),
}

/// A daemon whose sockets listen.
pub struct Daemon {
    listeners: Vec<(UnixListener, Arc<LoadedServer>)>,
    sockets: Vec<PathBuf>,
    http: Vec<Listener>,
    metrics: Option<Endpoint>,
    limits: LimitsConfig,
    control: Control,
    sessions: Arc<Sessions>,
    kernel: Option<Arc<Kernel>>,
    log: Arc<Log>,
}

impl Daemon {
    /// Records what dead instances left, and makes the sockets.
    pub async fn listen(
        loaded: Loaded,
        kernel: Option<Arc<Kernel>>,
        log: Arc<Log>,
        receivers: Receivers,
    ) -> Result<Self, DaemonError> {
        if let Some(kernel) = &kernel {
            record_gaps(kernel, &log)?;
        }
        let dir = loaded.runtime_dir;
        let made = DirBuilder::new().recursive(true).mode(0o755).create(&dir);
        made.map_err(|source| DaemonError::Listen { path: dir.clone(), source })?;
        let control_path = dir.join(control::DAEMON);
        if UnixStream::connect(&control_path).await.is_ok() {
            return Err(DaemonError::InUse(control_path));
        }
        let sessions = Arc::new(Sessions::default());
        let control = Control::of_daemon(&dir, sessions.clone())
            .map_err(|source| DaemonError::Listen { path: control_path, source })?;
        let (listeners, sockets) = (Vec::new(), Vec::new());
        let (http, limits) = (Vec::new(), loaded.limits);
        let metrics = match &loaded.metrics {
            Some(config) => {
                let servers = loaded.servers.iter().map(|loaded| loaded.server.id.clone());
                let watched = Watched { sessions: sessions.clone(), log: log.clone(), receivers };
                let metrics = Arc::new(Metrics::new(servers, watched));
                log.observe(metrics.clone());
                Some(Endpoint::bind(config, metrics).await?)
            }
            None => None,
        };
        let mut daemon =
            Self { listeners, sockets, http, metrics, limits, control, sessions, kernel, log };
        for server in loaded.servers {
            server.server.warn_if_observed();
            let path = dir.join(format!("{}.sock", server.server.id));
            daemon.listeners.push((bind(&path).await?, Arc::new(server)));
            daemon.sockets.push(path);
        }
        for listener in &loaded.listen {
            daemon.http.push(Listener::bind(listener).await?);
        }
        let mut record = Record::new(Event::Start);
        record.policy_generation = daemon.kernel.as_ref().map(|kernel| kernel.generation());
        daemon.log.append(&record)?;
        Ok(daemon)
    }

    /// The sockets.
    pub fn sockets(&self) -> &[PathBuf] {
        &self.sockets
    }

    /// Where clients connect over HTTP.
    pub fn urls(&self) -> impl Iterator<Item = &str> {
        self.http.iter().map(Listener::url)
    }

    /// The control socket.
    pub fn control(&self) -> &Path {
        self.control.path()
    }

    /// Where metrics are read.
    pub fn metrics_url(&self) -> Option<String> {
        self.metrics.as_ref().map(Endpoint::url)
    }

    /// Serves until `stop` becomes true, then ends every session.
    pub async fn run(self, stop: watch::Receiver<bool>) -> Result<(), DaemonError> {
        let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let mut accepting = JoinSet::new();
        accepting.spawn(self.control.serve(stop.clone()));
        let (alive, mut sessions) = mpsc::channel(1);
        let mut desk = Vec::new();
        for (listener, server) in self.listeners {
            let context = Context {
                server: server.server.clone(),
                kernel: self.kernel.clone(),
                log: self.log.clone(),
                sessions: self.sessions.clone(),
            };
            let pool = Pool::new(alive.clone());
            if context.server.is_kept() {
                let (pool, context, stop) = (pool.clone(), context.clone(), stop.clone());
                accepting.spawn(async move { pool.keep(context, stop).await });
            }
            let served = Served { server, context, pool };
            desk.push(served.clone());
            accepting.spawn(accept(listener, served, room.clone(), stop.clone()));
        }
        if let Some(kernel) = self.kernel.clone() {
            accepting.spawn(release(kernel, stop.clone()));
        }
        let desk = HttpDesk::new(desk, self.log.clone(), stop.clone(), alive);
        let front = Front::new(Arc::new(desk), self.limits);
        for listener in self.http {
            accepting.spawn(listener.run(front.clone(), stop.clone()));
        }
        drop(front);
        if let Some(metrics) = self.metrics {
            accepting.spawn(metrics.run(stop.clone()));
        }
        while accepting.join_next().await.is_some() {}
        let _ = sessions.recv().await; // Nothing is sent; it ends with the last session.
        for socket in &self.sockets {
            activation::remove(socket);
        }
        self.log.append(&Record::new(Event::Stop))?;
        Ok(())
    }
}

/// Lets go of what a dead instance enforced, once every server has had time to be attached to.
async fn release(kernel: Arc<Kernel>, mut stop: watch::Receiver<bool>) {
    tokio::select! {
        () = tokio::time::sleep(ATTACHED_WITHIN) => kernel.release_leftovers(),
        () = stopped(&mut stop) => {}
    }
}

/// The socket at `path` that the service manager passed, or a new one, replacing one that nobody listens on any
/// more.
pub(super) async fn bind(path: &Path) -> Result<UnixListener, DaemonError> {
    let failed = |source| DaemonError::Listen { path: path.to_owned(), source };
    if let Some(passed) = activation::unix(path).map_err(failed)? {
        return Ok(passed);
    }
    if path.exists() {
        if UnixStream::connect(path).await.is_ok() {
            return Err(DaemonError::InUse(path.to_owned()));
        }
        std::fs::remove_file(path).map_err(failed)?;
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    // Who may do what is decided by authentication, not by who can open the socket.
    std::fs::set_permissions(path, Permissions::from_mode(0o666)).map_err(failed)?;
    Ok(listener)
}

async fn accept(
    listener: UnixListener,
    served: Served,
    room: Arc<Semaphore>,
    mut stop: watch::Receiver<bool>,
) {
    let mut sessions = JoinSet::new();
    loop {
        let permit = tokio::select! {
            permit = room.clone().acquire_owned() => permit,
            () = stopped(&mut stop) => break,
            Some(_) = sessions.join_next() => continue,
        };
        let Ok(permit) = permit else { break };
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(server = served.context.server.id, "cannot accept: {error}");
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                    continue;
                }
            },
            () = stopped(&mut stop) => break,
            Some(_) = sessions.join_next() => continue,
        };
        let (served, stop) = (served.clone(), stop.clone());
        sessions.spawn(async move {
            session(stream, served, stop).await;
            drop(permit);
        });
    }
    while sessions.join_next().await.is_some() {}
}

/// One connection from its first byte to its last.
async fn session(stream: UnixStream, served: Served, mut stop: watch::Receiver<bool>) {
    let Served { server, context, pool } = served;
    let id = context.server.id.clone();
    let Ok(peer) = stream.peer_cred() else { return };
    let (reader, writer) = stream.into_split();
    let mut reader = LineReader::new(Box::new(reader) as _, MAX_REQUEST);
    let writer = LineWriter::new(writer, 16);
    let outcome = tokio::select! {
        outcome = authenticate(&server, peer.uid(), &mut reader) => outcome,
        () = stopped(&mut stop) => return,
    };
    match outcome {
        Outcome::Known(identity) => {
            let actor = identity.actor.clone();
            let (inbox, out) = (Inbox::Lines(reader), Outbox::Lines(writer));
            if context.server.is_shared() {
                let part = Part::Session;
                match pool.join(&context, identity, false, part, (inbox, out), &stop) {
                    Ok(listening) => drop(listening.await), // It ends when the client has left.
                    Err(error) => tracing::warn!(server = id, actor, "{error}"),
                }
                return;
            }
            match converse(context, identity, inbox, out, stop).await {
                Ok(ending) => tracing::info!(server = id, actor, ?ending, "session ended"),
                Err(error) => tracing::error!(server = id, actor, "session failed: {error}"),
            }
        }
        Outcome::Unknown(request) => {
            tracing::warn!(server = id, uid = peer.uid(), "authentication failed");
            refuse(&context, peer.uid(), request, writer).await;
        }
    }
}

/// Records a caller that could not be authenticated and answers its first request.
async fn refuse(context: &Context, uid: u32, request: Option<crate::mcp::Id>, writer: LineWriter) {
    let correlation = uuid::Uuid::now_v7().to_string();
    let written = context.log.append(&Record {
        correlation_id: Some(correlation.clone()),
        server_id: Some(context.server.id.clone()),
        status: Some(Status::Failure),
        error: Some(format!("authentication failed (peer uid {uid})")),
        ..Record::new(Event::Authentication)
    });
    if let Err(error) = written {
        tracing::error!("{error}");
    }
    if let Some(id) = request {
        let reason = "authentication_failed";
        let error = RpcError::new(code::AUTHENTICATION, "authentication failed", reason)
            .with_correlation(correlation);
        writer.send(error.to_line(Some(&id))).await;
    }
    writer.finish().await;
}
