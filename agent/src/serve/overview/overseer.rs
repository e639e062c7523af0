//! Puts together what is told.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use super::bounds;
use super::tally::{InForce, Tally};
use super::told::{
    ConfigurationView, KernelView, LogView, Overview, ReceiverView, ServerState, ServerView,
};
use crate::audit::ship::Progress;
use crate::audit::{self, Log};
use crate::kernel::Kernel;
use crate::serve::Receivers;
use crate::session::{Manner, Server, SessionStatus, Sessions};

/// What runs, as it is configured at the moment.
#[derive(Debug, Clone, Default)]
pub struct Configuration {
    /// The daemon's file; none for `warrantd run`.
    pub file: Option<PathBuf>,
    /// The servers.
    pub servers: Vec<PlacedServer>,
}

/// A server, and where its policy is.
#[derive(Debug, Clone)]
pub struct PlacedServer {
    /// The server.
    pub server: Arc<Server>,
    /// Its policy's file.
    pub policy: PathBuf,
}

/// Where everything is that is told of a warrantd.
pub struct Overseer {
    begun: Instant,
    since: String,
    sessions: Arc<Sessions>,
    kernel: Option<KernelView>,
    log: Arc<Log>,
    receivers: Receivers,
    tally: Arc<Tally>,
    configuration: Box<dyn Fn() -> Configuration + Send + Sync>,
}

impl std::fmt::Debug for Overseer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Overseer").field("since", &self.since).finish_non_exhaustive()
    }
}

impl Overseer {
    /// Looks after a warrantd that starts now. `configuration` is asked each time. Nothing here keeps the kernel
    /// layer alive.
    pub fn new(
        sessions: Arc<Sessions>,
        kernel: Option<&Kernel>,
        log: Arc<Log>,
        tally: Arc<Tally>,
        configuration: impl Fn() -> Configuration + Send + Sync + 'static,
    ) -> Self {
        Self {
            begun: Instant::now(),
            since: audit::now(),
            sessions,
            kernel: kernel.map(view),
            log,
            receivers: Receivers::new(),
            tally,
            configuration: Box::new(configuration),
        }
    }

    /// The same with the receivers of its log.
    #[must_use]
    pub fn with_receivers(self, receivers: Receivers) -> Self {
        Self { receivers, ..self }
    }

    /// Everything, as it is now. Each session answers for itself; this takes two seconds when one does not.
    pub async fn look(&self) -> Overview {
        let sessions = self.sessions.status().await;
        let Configuration { file, servers } = (self.configuration)();
        let ids: Vec<&str> = servers.iter().map(|served| served.server.id.as_str()).collect();
        self.tally.retain(&ids);
        let servers = servers.iter().map(|served| self.server(served, &sessions)).collect();
        let (sessions, sessions_left_out) = bounds::sessions(sessions);
        let last = self.log.written();
        Overview {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            since: self.since.clone(),
            uptime_ms: u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX),
            configuration: file.map(|file| self.in_force(&file)),
            kernel: self.kernel.clone(),
            servers,
            sessions,
            sessions_left_out,
            log: LogView {
                file: shown(self.log.path()),
                last,
                trouble: self.log.trouble().as_deref().map(bounds::text),
            },
            receivers: self.receivers.iter().map(|(name, it)| receiver(name, it, last)).collect(),
        }
    }

    fn in_force(&self, file: &Path) -> ConfigurationView {
        let InForce { generation, since, files } = self.tally.in_force();
        ConfigurationView { file: shown(file), generation, since, files }
    }

    fn server(&self, placed: &PlacedServer, sessions: &[SessionStatus]) -> ServerView {
        let server = &placed.server;
        let own: Vec<_> = sessions.iter().filter(|session| session.server == server.id).collect();
        let manner = server.manner();
        ServerView {
            id: server.id.clone(),
            policy: shown(&placed.policy),
            mode: server.policy.mode,
            manner,
            state: state(manner, own.len()),
            sessions: own.len(),
            in_flight: own.iter().map(|session| session.in_flight.len()).sum(),
            counts: self.tally.of(&server.id),
            peers: self.sessions.reached_by(&server.id),
        }
    }
}

/// Whether a server runs. One that warrantd keeps has a session as soon as it can be reached.
fn state(manner: Manner, sessions: usize) -> ServerState {
    match (manner, sessions) {
        (Manner::PerSession, _) => ServerState::Ready,
        (Manner::Shared | Manner::Unobserved, 0) => ServerState::Idle,
        (Manner::Managed | Manner::Attached, 0) => ServerState::Down,
        (_, 1..) => ServerState::Up,
    }
}

fn view(kernel: &Kernel) -> KernelView {
    let backend = kernel.backend();
    KernelView { observer: backend.name().to_owned(), enforces_files: backend.enforces_files() }
}

fn receiver(name: &str, progress: &Progress, last: u64) -> ReceiverView {
    ReceiverView {
        name: name.to_owned(),
        up: progress.is_up(),
        behind: progress.behind(last),
        last_sent: progress.last_sent().map(|at| at.to_string()),
        events: progress.events(),
        failures: progress.failures(),
        rejected: progress.rejected(),
        missed: progress.missed(),
        last_error: progress.last_error().as_deref().map(bounds::text),
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
