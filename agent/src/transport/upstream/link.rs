//! One conversation with a server.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::{AbortHandle, JoinHandle, JoinSet};

use crate::mcp::Id;

use super::Failure;
use super::exchange::{self, Asking};
use super::listen::listen;
use super::message::{FromServer, Outgoing, Sends, Terms};
use super::session::Session;
use super::shared::Shared;
use super::target::Upstream;

/// Messages that wait to be sent.
const DEPTH: usize = 16;
/// Messages that wait to be taken. They may be large.
const TAKEN: usize = 4;
/// How long what is queued may still take when the link closes.
const CLOSE_WITHIN: Duration = Duration::from_secs(3);

/// One conversation with a server. Messages are sent in the order in which they are given; requests do not wait
/// for the answers of those before them. Dropped, the link cancels what waits, sends the notifications that
/// are queued, and ends its session with the server.
pub struct UpstreamLink {
    queue: Option<mpsc::Sender<Queued>>,
    shared: Arc<Shared>,
    task: Option<JoinHandle<()>>,
}

/// A message and, for a request, by what it is cancelled.
type Queued = (Outgoing, Option<Arc<Notify>>);

impl UpstreamLink {
    pub(super) fn new(upstream: Arc<Upstream>) -> (Self, mpsc::Receiver<FromServer>) {
        let (queue, queued) = mpsc::channel(DEPTH);
        let (out, messages) = mpsc::channel(TAKEN);
        let shared = Shared::new(upstream, out);
        let task = tokio::spawn(drive(Arc::clone(&shared), queued));
        (Self { queue: Some(queue), shared, task: Some(task) }, messages)
    }

    /// Puts a message into the queue, waiting for room. A request has an answer in any case, if only an error
    /// response, unless it is cancelled or the link closes.
    pub async fn send(&self, outgoing: Outgoing) {
        let cancelled = match &outgoing.sends {
            Sends::Request { id, .. } => Some(self.shared.wait_for(id)),
            _ => None,
        };
        if let Some(queue) = &self.queue {
            let _ = queue.send((outgoing, cancelled)).await; // It closes with the link alone.
        }
    }

    /// Whether a message can be sent without waiting.
    pub fn has_room(&self) -> bool {
        self.queue.as_ref().is_none_or(|queue| queue.capacity() > 0 || queue.is_closed())
    }

    /// Waits until there is room.
    pub async fn room(&self) {
        if let Some(queue) = &self.queue {
            let _ = queue.reserve().await; // Closed means that nothing need wait.
        }
    }

    /// Closes a request's stream, which is how the modern era cancels it. It has no answer then; what came before
    /// may still have to be taken. A session of the handshake era must send `notifications/cancelled` as well.
    pub fn cancel(&self, id: &Id) {
        self.shared.cancel(id);
    }

    /// Waits until the server has ended the session, which only a new `initialize` mends.
    pub fn session_lost(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut lost = self.shared.lost.subscribe();
        async move {
            // It ends with the link alone, and then nobody asks.
            let _ = lost.wait_for(|lost| *lost).await;
        }
    }

    /// Closes the link and waits until the session with the server has ended, for some seconds at most.
    pub async fn finish(mut self) {
        let task = self.task.take();
        drop(self);
        if let Some(task) = task {
            let _ = task.await; // It ends by itself or with the runtime.
        }
    }
}

impl Drop for UpstreamLink {
    fn drop(&mut self) {
        self.shared.cancel_all();
        self.shared.closing.notify_one();
    }
}

impl std::fmt::Debug for UpstreamLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UpstreamLink")
            .field("server", &self.shared.upstream.server)
            .finish_non_exhaustive()
    }
}

async fn drive(shared: Arc<Shared>, mut queue: mpsc::Receiver<Queued>) {
    let mut driver = Driver { shared, work: JoinSet::new(), listening: None };
    let closing = Arc::clone(&driver.shared);
    tokio::select! {
        () = driver.carry(&mut queue) => {}
        () = async {
            closing.closing.notified().await;
            tokio::time::sleep(CLOSE_WITHIN).await;
        } => {}
    }
    driver.work.shutdown().await;
    driver.end_session().await;
}

struct Driver {
    shared: Arc<Shared>,
    work: JoinSet<()>,
    listening: Option<AbortHandle>,
}

impl Driver {
    /// Sends what is queued until the link closes.
    async fn carry(&mut self, queue: &mut mpsc::Receiver<Queued>) {
        loop {
            let next = tokio::select! {
                next = queue.recv() => next,
                Some(_) = self.work.join_next() => continue,
            };
            let Some((outgoing, cancelled)) = next else { return };
            match (&outgoing.sends, cancelled) {
                (Sends::Request { id, .. }, Some(cancelled)) => {
                    let id = id.clone();
                    self.ask(id, outgoing, cancelled).await;
                }
                _ => self.tell(outgoing).await,
            }
        }
    }

    /// Starts a request. Returns when it is on its way, so that what is sent after it comes after it.
    async fn ask(&mut self, id: Id, outgoing: Outgoing, cancelled: Arc<Notify>) {
        if outgoing.begins_session() {
            self.end_session().await;
        }
        let Ok(place) = Arc::clone(&self.shared.room).try_acquire_owned() else {
            self.shared.settle(&id, &cancelled);
            let (text, about) = (Failure::Busy.line(&id), Some(id));
            self.shared.hand(FromServer { text, about, failure: Some(Failure::Busy) }).await;
            return;
        };
        let (go_on, gone_on) = oneshot::channel();
        let shared = Arc::clone(&self.shared);
        self.work.spawn(async move {
            let asking = Asking::new(&shared, &id, &outgoing, go_on);
            let rest = tokio::select! {
                biased;
                () = cancelled.notified() => None,
                rest = asking.ask(outgoing) => rest,
            };
            shared.settle(&id, &cancelled);
            drop(place);
            if let Some(stream) = rest {
                exchange::read_on(&shared, stream).await;
            }
        });
        let _ = gone_on.await; // Dropped when it will not be sent.
    }

    async fn tell(&mut self, outgoing: Outgoing) {
        let initialized = matches!(
            (&outgoing.sends, &outgoing.terms),
            (Sends::Notification { method }, Terms::Handshake)
                if method == "notifications/initialized"
        );
        match exchange::tell(&self.shared, outgoing).await {
            Ok(()) if initialized => self.listen(),
            Ok(()) => {}
            Err(failure) => {
                let server = &self.shared.upstream.server;
                tracing::warn!(server, "a message was not accepted: {failure}");
            }
        }
    }

    fn listen(&mut self) {
        self.stop_listening();
        self.listening = Some(self.work.spawn(listen(Arc::clone(&self.shared))));
    }

    fn stop_listening(&mut self) {
        if let Some(listening) = self.listening.take() {
            listening.abort();
        }
    }

    async fn end_session(&mut self) {
        self.stop_listening();
        let session = self.shared.set_session(Session::default());
        exchange::end(&self.shared, &session).await;
    }
}
