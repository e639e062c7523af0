//! The servers of a running daemon, and how each is configured now.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tokio::sync::{mpsc, watch};

use super::load::LoadedServer;
use crate::audit::Log;
use crate::kernel::Kernel;
use crate::session::{Context, Pool, Server, Sessions};

/// What all servers share.
#[derive(Clone)]
pub(super) struct Common {
    pub(super) kernel: Option<Arc<Kernel>>,
    pub(super) log: Arc<Log>,
    pub(super) sessions: Arc<Sessions>,
}

/// A server, and who may come in. Clones are of the same one.
#[derive(Clone)]
pub(super) struct Served {
    inner: Arc<Inner>,
}

struct Inner {
    common: Common,
    /// The conversations that clients share.
    pool: Pool,
    /// For those who come.
    loaded: watch::Sender<Arc<LoadedServer>>,
    /// For the sessions that there are.
    latest: watch::Sender<Arc<Server>>,
    /// Becomes true when it is served no more.
    stop: watch::Sender<bool>,
}

impl Served {
    /// A server whose conversations hold `alive` while they last.
    pub(super) fn new(loaded: LoadedServer, common: Common, alive: mpsc::Sender<()>) -> Self {
        let inner = Inner {
            common,
            pool: Pool::new(alive),
            latest: watch::Sender::new(loaded.server.clone()),
            loaded: watch::Sender::new(Arc::new(loaded)),
            stop: watch::Sender::new(false),
        };
        Self { inner: Arc::new(inner) }
    }

    /// As it is configured now.
    pub(super) fn loaded(&self) -> Arc<LoadedServer> {
        self.inner.loaded.borrow().clone()
    }

    /// What a session of it needs.
    pub(super) fn context(&self, loaded: &LoadedServer) -> Context {
        let Common { kernel, log, sessions } = self.inner.common.clone();
        let mut latest = self.inner.latest.subscribe();
        // It may be another than `loaded` by now.
        latest.mark_changed();
        Context { server: loaded.server.clone(), latest, kernel, log, sessions }
    }

    pub(super) fn pool(&self) -> &Pool {
        &self.inner.pool
    }

    /// Becomes true when it is served no more.
    pub(super) fn stop(&self) -> watch::Receiver<bool> {
        self.inner.stop.subscribe()
    }

    /// Configures it otherwise, for those who come and for the sessions that there are.
    pub(super) fn replace(&self, loaded: LoadedServer) {
        let server = loaded.server.clone();
        self.inner.loaded.send_replace(Arc::new(loaded));
        self.inner.latest.send_replace(server);
    }

    /// Serves it no more, and ends its sessions.
    pub(super) fn end(&self) {
        self.inner.stop.send_replace(true);
    }
}

/// The servers by id.
#[derive(Clone, Default)]
pub(super) struct Roster {
    servers: Arc<RwLock<BTreeMap<String, Served>>>,
}

impl Roster {
    pub(super) fn get(&self, id: &str) -> Option<Served> {
        self.read().get(id).cloned()
    }

    pub(super) fn ids(&self) -> Vec<String> {
        self.read().keys().cloned().collect()
    }

    /// The only one, when there is no other.
    pub(super) fn only(&self) -> Option<String> {
        let servers = self.read();
        let mut ids = servers.keys();
        ids.next().filter(|_| ids.next().is_none()).cloned()
    }

    pub(super) fn insert(&self, id: String, served: Served) {
        self.write().insert(id, served);
    }

    pub(super) fn remove(&self, id: &str) -> Option<Served> {
        self.write().remove(id)
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<String, Served>> {
        // Every change is one step, so what a panic left is consistent.
        self.servers.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<String, Served>> {
        self.servers.write().unwrap_or_else(PoisonError::into_inner)
    }
}
