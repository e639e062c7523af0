//! What the parts of a link share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, Semaphore, mpsc, watch};

use crate::mcp::Id;

use super::limits::MAX_REQUESTS;
use super::message::FromServer;
use super::session::Session;
use super::target::Upstream;

pub(super) struct Shared {
    pub(super) upstream: Arc<Upstream>,
    session: Mutex<Session>,
    /// Requests that wait for their answers, and by what each is cancelled.
    waiting: Mutex<HashMap<Id, Arc<Notify>>>,
    pub(super) room: Arc<Semaphore>,
    /// Whether the server has ended the session.
    pub(super) lost: watch::Sender<bool>,
    pub(super) closing: Notify,
    out: mpsc::Sender<FromServer>,
}

impl Shared {
    pub(super) fn new(upstream: Arc<Upstream>, out: mpsc::Sender<FromServer>) -> Arc<Self> {
        Arc::new(Self {
            upstream,
            session: Mutex::default(),
            waiting: Mutex::default(),
            room: Arc::new(Semaphore::new(MAX_REQUESTS)),
            lost: watch::Sender::new(false),
            closing: Notify::new(),
            out,
        })
    }

    /// Hands a message over. False when nobody listens any more.
    pub(super) async fn hand(&self, message: FromServer) -> bool {
        self.out.send(message).await.is_ok()
    }

    pub(super) fn session(&self) -> Session {
        lock(&self.session).clone()
    }

    /// Begins a session, or ends it by one of which nothing is known.
    pub(super) fn set_session(&self, session: Session) -> Session {
        std::mem::replace(&mut *lock(&self.session), session)
    }

    pub(super) fn agree(&self, revision: &str) {
        lock(&self.session).agree(revision);
    }

    /// The server does not know the session any more.
    pub(super) fn lose_session(&self) {
        self.set_session(Session::default());
        self.lost.send_replace(true);
    }

    /// Notes that a request waits.
    pub(super) fn wait_for(&self, id: &Id) -> Arc<Notify> {
        let cancelled = Arc::new(Notify::new());
        lock(&self.waiting).insert(id.clone(), Arc::clone(&cancelled));
        cancelled
    }

    /// Notes that it does not wait any more.
    pub(super) fn settle(&self, id: &Id, cancelled: &Arc<Notify>) {
        let mut waiting = lock(&self.waiting);
        if waiting.get(id).is_some_and(|found| Arc::ptr_eq(found, cancelled)) {
            waiting.remove(id);
        }
    }

    /// Cancels a request that waits. It may not have begun: the permit is kept for it.
    pub(super) fn cancel(&self, id: &Id) {
        if let Some(cancelled) = lock(&self.waiting).remove(id) {
            cancelled.notify_one();
        }
    }

    pub(super) fn cancel_all(&self) {
        for (_, cancelled) in lock(&self.waiting).drain() {
            cancelled.notify_one();
        }
    }
}

/// What a panicking thread left behind is still consistent: every change is one step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
