//! What the daemon does while it runs: who is served, and where.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::UnixListener;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;

use super::accept::accept;
use super::fixed::Fixed;
use super::load::LoadedServer;
use super::roster::{Common, Roster, Served};
use crate::audit::FileHashes;
use crate::config::ListenerConfig;
use crate::transport::activation;
use crate::transport::http::{Front, Listener};

/// A daemon at work.
pub(super) struct Running {
    /// The configuration's file.
    pub(super) file: PathBuf,
    pub(super) fixed: Fixed,
    /// The number of the configuration.
    pub(super) generation: u32,
    /// What it was read from.
    pub(super) files: FileHashes,
    pub(super) common: Common,
    pub(super) roster: Roster,
    pub(super) front: Arc<Front>,
    pub(super) listeners: Vec<Listening>,
    /// Everything that accepts, and what watches it.
    pub(super) tasks: JoinSet<()>,
    pub(super) room: Arc<Semaphore>,
    /// Held by every session, so that it is known when all have ended.
    pub(super) alive: mpsc::Sender<()>,
}

/// An HTTP listener at work.
pub(super) struct Listening {
    pub(super) config: ListenerConfig,
    pub(super) listener: Arc<Listener>,
    stop: watch::Sender<bool>,
}

impl Running {
    /// Serves one more server.
    pub(super) fn serve(&mut self, socket: UnixListener, loaded: LoadedServer) {
        let id = loaded.server.id.clone();
        let is_kept = loaded.server.is_kept();
        let served = Served::new(loaded, self.common.clone(), self.alive.clone());
        self.roster.insert(id, served.clone());
        if is_kept {
            self.keep(&served);
        }
        self.tasks.spawn(accept(socket, served, self.room.clone()));
    }

    /// Keeps a server running that runs without clients, too.
    pub(super) fn keep(&mut self, served: &Served) {
        let (context, stop) = (served.context(&served.loaded()), served.stop());
        let pool = served.pool().clone();
        self.tasks.spawn(async move { pool.keep(context, stop).await });
    }

    /// Ends a server that is served no more, with its sessions.
    pub(super) fn dismiss(&self, id: &str) {
        if let Some(served) = self.roster.remove(id) {
            served.end();
            activation::remove(&self.fixed.socket(id));
        }
    }

    /// Takes in clients over HTTP at one more place.
    pub(super) fn listen(&mut self, config: ListenerConfig, listener: Listener) {
        let (stop, listener) = (watch::Sender::new(false), Arc::new(listener));
        self.tasks.spawn(listener.clone().run(self.front.clone(), stop.subscribe()));
        self.listeners.push(Listening { config, listener, stop });
    }

    /// Ends everything.
    pub(super) async fn end(mut self) {
        for listening in &self.listeners {
            listening.end();
        }
        for id in self.roster.ids() {
            self.dismiss(&id);
        }
        while self.tasks.join_next().await.is_some() {}
    }
}

impl Listening {
    /// Takes in nobody any more.
    pub(super) fn end(&self) {
        self.stop.send_replace(true);
    }
}
