//! Conversations that clients share, found by whom they are for.
//!
//! A server that is configured so has one process for all its clients. Clients of the modern era (MCP
//! 2026-07-28) have no session: each of their requests joins the conversation of its actor and leaves it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::call::Recorder;
use super::clients::{Client, ClientKey};
use super::conversation::{Context, stopped};
use super::source::{Said, Source};
use super::start;
use crate::auth::Identity;
use crate::transport::{Inbox, Notes, Outbox};

/// How long it takes until a server that has ended is begun anew, at first and at last.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LAST_PAUSE: Duration = Duration::from_secs(30);
/// Messages that wait for a shared conversation.
const QUEUE: usize = 256;

/// How a client takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// For a session of its own, with a beginning and an end in the log.
    Session,
    /// For one request that stands alone.
    Request,
}

/// Why a client cannot join.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many messages wait for the server; try again later")]
pub struct Crowded;

/// The conversations of one server that clients share.
#[derive(Debug, Clone)]
pub struct Pool {
    live: Arc<Mutex<HashMap<Option<String>, Shared>>>,
    last_client: Arc<AtomicU64>,
    /// Held by every conversation, so that it is known when all have ended.
    alive: mpsc::Sender<()>,
}

/// A live conversation.
#[derive(Debug, Clone)]
struct Shared {
    said: mpsc::Sender<Said>,
    recorder: Arc<Recorder>,
}

/// A conversation's place in the pool.
#[derive(Debug)]
pub(super) struct Membership {
    pool: Pool,
    name: Option<String>,
}

impl Membership {
    /// Takes the conversation out of the pool if `unused` says so while nobody can join.
    pub(super) fn end_if(&self, unused: impl FnOnce() -> bool) -> bool {
        let mut live = self.pool.lock();
        let ends = unused();
        if ends {
            live.remove(&self.name);
        }
        ends
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let mut live = self.pool.lock();
        // Another one may have its place by now.
        if live.get(&self.name).is_some_and(|shared| shared.said.is_closed()) {
            live.remove(&self.name);
        }
    }
}

impl Pool {
    /// An empty pool, whose conversations hold `alive` while they last.
    pub fn new(alive: mpsc::Sender<()>) -> Self {
        Self { live: Arc::default(), last_client: Arc::default(), alive }
    }

    /// Lets a client join the conversation of all actors, or of its own one alone if `by_actor`; starts it if
    /// there is none. It lasts until `stop` becomes true, or nobody has used it for some minutes. What is
    /// returned ends when the client has left.
    pub fn join(
        &self,
        context: &Context,
        identity: Identity,
        by_actor: bool,
        part: Part,
        (inbox, out): (Inbox, Outbox),
        stop: &watch::Receiver<bool>,
    ) -> Result<JoinHandle<()>, Crowded> {
        let name = by_actor.then(|| identity.actor.clone());
        let key = ClientKey(self.last_client.fetch_add(1, Ordering::Relaxed) + 1);
        let mut live = self.lock();
        let live_one = live.get(&name).filter(|shared| !shared.said.is_closed()).cloned();
        let shared = live_one.unwrap_or_else(|| {
            let of = by_actor.then(|| identity.clone());
            let shared = self.start(context, of, name.clone(), stop.clone());
            live.insert(name, shared.clone());
            shared
        });
        let who = match part {
            Part::Session => Recorder::new(&context.server, Some(identity)),
            Part::Request => {
                Recorder { identity: Some(identity), ..shared.recorder.as_ref().clone() }
            }
        };
        let client = Client {
            who: Arc::new(who),
            recorded: part == Part::Session,
            out,
            link: None,
            left: None,
            modern: false,
            notes: Notes::default(),
        };
        let joined = Said::Joined(key, Box::new(client));
        shared.said.try_send(joined).map_err(|_| Crowded)?;
        drop(live);
        Ok(tokio::spawn(listen(key, inbox, shared.said)))
    }

    /// Keeps the conversation of all actors going until `stop` becomes true, whether it has clients or not, and
    /// begins it anew when it has ended, as when its server was started again.
    pub async fn keep(&self, context: Context, mut stop: watch::Receiver<bool>) {
        let mut pause = FIRST_PAUSE;
        loop {
            let begun = Instant::now();
            let said = {
                let mut live = self.lock();
                let shared = live.get(&None).filter(|shared| !shared.said.is_closed()).cloned();
                let shared = shared.unwrap_or_else(|| {
                    let shared = self.start(&context.renewed(), None, None, stop.clone());
                    live.insert(None, shared.clone());
                    shared
                });
                shared.said
            };
            tokio::select! {
                () = said.closed() => {}
                () = stopped(&mut stop) => return,
            }
            drop(said);
            // A server that cannot be started is tried again less and less often.
            pause = if begun.elapsed() > LAST_PAUSE {
                FIRST_PAUSE
            } else {
                (pause * 2).min(LAST_PAUSE)
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stopped(&mut stop) => return,
            }
        }
    }

    fn start(
        &self,
        context: &Context,
        identity: Option<Identity>,
        name: Option<String>,
        stop: watch::Receiver<bool>,
    ) -> Shared {
        let (said, hears) = mpsc::channel(QUEUE);
        let recorder = Arc::new(Recorder::new(&context.server, identity));
        let source = Source::Shared(hears, Membership { pool: self.clone(), name });
        let (context, of, alive) = (context.clone(), recorder.clone(), self.alive.clone());
        tokio::spawn(async move {
            let server = context.server.id.clone();
            match start::run(context, of, source, None, stop).await {
                Ok(ending) => tracing::info!(server, ?ending, "shared session ended"),
                Err(error) => tracing::error!(server, "shared session failed: {error}"),
            }
            drop(alive);
        });
        Shared { said, recorder }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Option<String>, Shared>> {
        // Every change is one step, so what a panic left is consistent.
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads a client for the conversation that it joined.
async fn listen(key: ClientKey, mut inbox: Inbox, said: mpsc::Sender<Said>) {
    loop {
        let heard = tokio::select! {
            heard = inbox.next() => heard,
            () = said.closed() => return,
        };
        let Ok(Some(heard)) = heard else { break };
        if said.send(Said::Heard(key, heard)).await.is_err() {
            return;
        }
    }
    let _ = said.send(Said::Left(key)).await; // It has ended.
}
