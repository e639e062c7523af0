//! The running daemon: one socket for each server, one session for each connection.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;

use super::accept::bind;
use super::control::{self, Control};
use super::fixed::Fixed;
use super::gaps::record_gaps;
use super::http_desk::HttpDesk;
use super::load::{Loaded, LoadedServer};
use super::metrics::{Endpoint, Metrics, Watched};
use super::overview::{Tally, of_daemon};
use super::reload::{Order, Orders};
use super::roster::{Common, Roster};
use super::running::Running;
use super::shipping::Receivers;
use crate::audit::{AuditError, ConfigurationRecord, Event, FileHashes, Log, Record};
use crate::config::{LimitsConfig, ListenerConfig};
use crate::kernel::Kernel;
use crate::session::{Sessions, stopped};
use crate::transport::http::{Front, ListenError, Listener};

/// How long servers that something else runs may take to be attached to.
const ATTACHED_WITHIN: std::time::Duration = std::time::Duration::from_secs(30);
/// Sessions and connections being authenticated that may be open at once.
const MAX_CONNECTIONS: usize = 1024;
/// Orders to reload that may wait.
const ORDERS: usize = 4;

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
    /// The configuration's file.
    file: PathBuf,
    /// What takes a restart to change.
    fixed: Fixed,
    generation: u32,
    files: FileHashes,
    servers: Vec<(UnixListener, LoadedServer)>,
    http: Vec<(ListenerConfig, Listener)>,
    limits: LimitsConfig,
    common: Common,
    roster: Roster,
    metrics: Option<Endpoint>,
    control: Control,
    orders: (Orders, mpsc::Receiver<Order>),
}

impl Daemon {
    /// Records what dead instances left, and makes the sockets. `file` is what is read anew when that is
    /// ordered.
    pub async fn listen(
        file: &Path,
        loaded: Loaded,
        kernel: Option<Arc<Kernel>>,
        log: Arc<Log>,
        receivers: Receivers,
    ) -> Result<Self, DaemonError> {
        if let Some(kernel) = &kernel {
            record_gaps(kernel, &log)?;
        }
        let dir = loaded.fixed.runtime_dir.clone();
        let made = DirBuilder::new().recursive(true).mode(0o755).create(&dir);
        made.map_err(|source| DaemonError::Listen { path: dir.clone(), source })?;
        let control_path = dir.join(control::DAEMON);
        if UnixStream::connect(&control_path).await.is_ok() {
            return Err(DaemonError::InUse(control_path));
        }
        let (sessions, roster) = (Arc::new(Sessions::default()), Roster::default());
        let tally = Arc::new(tally(&roster));
        let orders = mpsc::channel(ORDERS);
        let common = Common { kernel, log: log.clone(), sessions: sessions.clone() };
        let overseer = of_daemon(file, &roster, &common, &tally, receivers.clone());
        let control = Control::of_daemon(&dir, sessions.clone(), orders.0.clone())
            .map_err(|source| DaemonError::Listen { path: control_path, source })?
            .with_overseer(overseer);
        let metrics = if let Some(config) = &loaded.fixed.metrics {
            let watched = Watched { sessions, log: log.clone(), receivers, tally };
            let known = roster.clone();
            let is_server = move |id: &str| known.get(id).is_some();
            let metrics = Arc::new(Metrics::new(is_server, watched));
            log.observe(metrics.clone());
            Some(Endpoint::bind(config, metrics).await?)
        } else {
            log.observe(tally);
            None
        };
        let mut servers = Vec::new();
        for server in loaded.servers {
            server.server.warn_if_observed();
            servers.push((bind(&loaded.fixed.socket(&server.server.id)).await?, server));
        }
        let mut http = Vec::new();
        for listener in loaded.listen {
            http.push((listener.clone(), Listener::bind(&listener).await?));
        }
        let configuration =
            ConfigurationRecord { files: loaded.files.clone(), ..ConfigurationRecord::default() };
        log.append(&Record {
            policy_generation: Some(loaded.generation),
            configuration: Some(configuration),
            ..Record::new(Event::Start)
        })?;
        Ok(Self {
            file: file.to_owned(),
            fixed: loaded.fixed,
            generation: loaded.generation,
            files: loaded.files,
            servers,
            http,
            limits: loaded.limits,
            common,
            roster,
            metrics,
            control,
            orders,
        })
    }

    /// The sockets.
    pub fn sockets(&self) -> impl Iterator<Item = PathBuf> {
        self.servers.iter().map(|(_, server)| self.fixed.socket(&server.server.id))
    }

    /// Where clients connect over HTTP.
    pub fn urls(&self) -> impl Iterator<Item = &str> {
        self.http.iter().map(|(_, listener)| listener.url())
    }

    /// The control socket.
    pub fn control(&self) -> &Path {
        self.control.path()
    }

    /// Where metrics are read.
    pub fn metrics_url(&self) -> Option<String> {
        self.metrics.as_ref().map(Endpoint::url)
    }

    /// Where reloads are ordered.
    pub fn orders(&self) -> Orders {
        self.orders.0.clone()
    }

    /// Serves until `stop` becomes true, then ends every session.
    pub async fn run(self, mut stop: watch::Receiver<bool>) -> Result<(), DaemonError> {
        let (alive, mut sessions) = mpsc::channel(1);
        let Self { control, metrics, orders: (_kept, mut orders), common, .. } = self;
        let mut tasks = JoinSet::new();
        tasks.spawn(control.serve(stop.clone()));
        if let Some(kernel) = common.kernel.clone() {
            tasks.spawn(release(kernel, stop.clone()));
        }
        if let Some(metrics) = metrics {
            tasks.spawn(metrics.run(stop.clone()));
        }
        let log = common.log.clone();
        let mut running = Running {
            file: self.file,
            fixed: self.fixed,
            generation: self.generation,
            files: self.files,
            front: front(&self.roster, &log, alive.clone(), self.limits),
            room: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
            roster: self.roster,
            common,
            listeners: Vec::new(),
            tasks,
            alive,
        };
        self.servers.into_iter().for_each(|(socket, server)| running.serve(socket, server));
        self.http.into_iter().for_each(|(config, listener)| running.listen(config, listener));
        loop {
            tokio::select! {
                () = stopped(&mut stop) => break,
                Some(order) = orders.recv() => running.obey(order).await,
                Some(_) = running.tasks.join_next() => {}
            }
        }
        running.end().await;
        let _ = sessions.recv().await; // Nothing is sent; it ends with the last session.
        log.append(&Record::new(Event::Stop))?;
        Ok(())
    }
}

/// Counts how the calls of the servers end.
fn tally(roster: &Roster) -> Tally {
    let roster = roster.clone();
    Tally::new(move |id| roster.get(id).is_some())
}

/// What HTTP listeners share.
fn front(
    roster: &Roster,
    log: &Arc<Log>,
    alive: mpsc::Sender<()>,
    limits: LimitsConfig,
) -> Arc<Front> {
    Front::new(Arc::new(HttpDesk::new(roster.clone(), log.clone(), alive)), limits)
}

/// Lets go of what a dead instance enforced, once every server has had time to be attached to.
async fn release(kernel: Arc<Kernel>, mut stop: watch::Receiver<bool>) {
    tokio::select! {
        () = tokio::time::sleep(ATTACHED_WITHIN) => kernel.release_leftovers(),
        () = stopped(&mut stop) => {}
    }
}
