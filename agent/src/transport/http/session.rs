//! A session of the handshake era: its client's messages go in, and what comes out is put on the
//! client's streams.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, sleep_until, timeout};

use super::streams::{GENERAL, Placed, Streams};
use super::table::{Table, Ticket};
use crate::mcp::{Id, RpcError, code};
use crate::transport::{Arrival, Departure, Route};

/// How long a client may leave a message unread before its stream is taken away. It can come again
/// for the rest.
const PATIENCE: Duration = Duration::from_secs(30);
/// Memory for messages of a session on their way, in KiB. A larger one takes all of it.
const ROOM: u32 = 8 << 10;

/// The session has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ended;

/// A session.
#[derive(Debug)]
pub(super) struct Session {
    /// The server that it is with.
    pub(super) server: String,
    /// Whose it is.
    pub(super) actor: String,
    arrivals: Mutex<Option<mpsc::Sender<Arrival>>>,
    streams: Mutex<Streams>,
    revision: OnceLock<String>,
    touched: Mutex<Instant>,
    room: Arc<Semaphore>,
    patience: Duration,
}

impl Session {
    pub(super) fn new(server: String, actor: String, arrivals: mpsc::Sender<Arrival>) -> Self {
        Self {
            server,
            actor,
            arrivals: Mutex::new(Some(arrivals)),
            streams: Mutex::default(),
            revision: OnceLock::new(),
            touched: Mutex::new(Instant::now()),
            room: Arc::new(Semaphore::new(ROOM as usize)),
            patience: PATIENCE,
        }
    }

    /// Hands over a message of the client.
    pub(super) async fn send(&self, arrival: Arrival) -> Result<(), Ended> {
        let arrivals = lock(&self.arrivals).clone().ok_or(Ended)?;
        arrivals.send(arrival).await.map_err(|_| Ended)
    }

    /// The streams, for a moment.
    pub(super) fn streams(&self) -> MutexGuard<'_, Streams> {
        lock(&self.streams)
    }

    /// The revision that client and server agreed upon.
    pub(super) fn revision(&self) -> Option<&str> {
        self.revision.get().map(String::as_str)
    }

    /// Takes note of the revision.
    pub(super) fn agree(&self, revision: String) {
        let _ = self.revision.set(revision); // It is agreed upon once.
    }

    /// Its client has been heard.
    pub(super) fn touch(&self) {
        *lock(&self.touched) = Instant::now();
    }

    /// Whether it has ended, or is about to.
    pub(super) fn is_closed(&self) -> bool {
        lock(&self.arrivals).is_none()
    }

    /// The client has left.
    pub(super) fn close(&self) {
        lock(&self.arrivals).take();
    }

    /// Ends the stream of a request that its client has cancelled and that nobody answers any more.
    pub(super) fn cancel(&self, request: Id) {
        let error = RpcError::new(code::CANCELLED, "cancelled by the client", "cancelled");
        let text = error.to_line(Some(&request)).into();
        let placed = self.streams().place(&Route::Answer(request), text, std::time::Instant::now());
        if let Some(Placed { item, sink }) = placed {
            let _ = sink.try_send(item); // A stream that is full ends without it.
        }
    }

    /// Puts a message on its stream. When the reader is slow, this takes as long, up to a point; a slow
    /// reader of the general stream loses that at once.
    async fn deliver(&self, departure: Departure) {
        let Departure { text, route } = departure;
        let text = Bytes::from(text);
        let general = route == Route::General;
        let size = u32::try_from(text.len() >> 10).unwrap_or(ROOM).saturating_add(1).min(ROOM);
        let placed = self.streams().place(&route, text, std::time::Instant::now());
        let Some(Placed { mut item, sink }) = placed else { return };
        let stream = item.stream;
        let sent = if general || stream == GENERAL {
            item.room = self.room.clone().try_acquire_many_owned(size).ok();
            item.room.is_some() && sink.try_send(item).is_ok()
        } else {
            let room: Option<OwnedSemaphorePermit> =
                timeout(self.patience, self.room.clone().acquire_many_owned(size))
                    .await
                    .ok()
                    .and_then(Result::ok);
            item.room = room;
            item.room.is_some()
                && matches!(timeout(self.patience, sink.send(item)).await, Ok(Ok(())))
        };
        if !sent {
            tracing::debug!(
                server = self.server,
                stream,
                "a client does not read; its stream ends"
            );
            self.streams().detach(stream, &sink);
        }
    }

    /// Carries the server's messages until it has no more. A session whose client is not heard for `idle`
    /// and reads nothing ends.
    pub(super) async fn carry(
        self: Arc<Self>,
        mut departures: mpsc::Receiver<Departure>,
        idle: Duration,
        table: Arc<Table>,
        ticket: Ticket,
    ) {
        let mut closed = false;
        loop {
            let deadline = *lock(&self.touched) + idle;
            tokio::select! {
                departure = departures.recv() => match departure {
                    Some(departure) => self.deliver(departure).await,
                    None => break,
                },
                () = sleep_until(deadline), if !closed => {
                    if self.streams().are_read() {
                        self.touch();
                    } else if *lock(&self.touched) + idle <= Instant::now() {
                        tracing::info!(server = self.server, actor = self.actor, "idle session ended");
                        closed = true;
                        table.remove(&self);
                        self.close();
                    }
                }
            }
        }
        // In this order: whoever enters it into the table afterwards sees that it is closed.
        self.close();
        table.remove(&self);
        self.streams().end();
        drop(ticket);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change is one step, so what a panic left is consistent.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(
        idle: Duration,
    ) -> (Arc<Session>, mpsc::Receiver<Arrival>, mpsc::Sender<Departure>, Arc<Table>) {
        let (arrivals, heard) = mpsc::channel(1);
        let (said, departures) = mpsc::channel(1);
        let table = Arc::new(Table::default());
        let ticket = table.ticket("a", 10, 10).expect("room");
        let session = Session::new("s".into(), "a".into(), arrivals);
        let session = Arc::new(Session { patience: Duration::from_millis(50), ..session });
        tokio::spawn(session.clone().carry(departures, idle, table.clone(), ticket));
        (session, heard, said, table)
    }

    fn departure(route: Route, text: &str) -> Departure {
        Departure { text: text.into(), route }
    }

    #[tokio::test]
    async fn an_idle_session_ends_and_one_that_is_read_does_not() {
        let (session, mut heard, _said, table) = start(Duration::from_millis(20));
        let key = table.enter(&session).expect("random");
        let reader = session.streams().attach_general().expect("attached");
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(table.find(&key).is_some(), "it is read");
        drop(reader);
        assert!(heard.recv().await.is_none(), "the server is told");
        assert!(table.find(&key).is_none() && session.is_closed());
    }

    #[tokio::test]
    async fn a_cancelled_request_is_answered_once() {
        let (session, _heard, said, _table) = start(Duration::from_secs(6000));
        let mut reader = session.streams().open(Id::Number(1)).expect("open");
        session.cancel(Id::Number(1));
        session.cancel(Id::Number(2));
        let _ = said.send(departure(Route::Answer(Id::Number(1)), "late")).await;
        let answer = reader.items.recv().await.expect("answered");
        assert!(answer.last && answer.text.starts_with(b"{"));
        assert!(reader.items.recv().await.is_none());
        assert!(session.streams().open(Id::Number(1)).is_ok(), "the id is free again");
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_holds_up_nothing_for_ever() {
        let (session, _heard, said, _table) = start(Duration::from_secs(6000));
        let mut slow = session.streams().open(Id::Number(1)).expect("open");
        let mut quick = session.streams().open(Id::Number(2)).expect("open");
        let mut general = session.streams().attach_general().expect("attached");
        for _ in 0..100 {
            let _ = said.send(departure(Route::General, "g")).await;
        }
        for _ in 0..20 {
            let _ = said.send(departure(Route::About(Id::Number(1)), "x")).await;
        }
        let _ = said.send(departure(Route::Answer(Id::Number(2)), "y")).await;
        let answer = quick.items.recv().await.expect("answered");
        assert!(answer.last && answer.text == "y");
        let mut read = 0;
        while slow.items.recv().await.is_some() {
            read += 1;
        }
        assert!(read < 20, "its stream was taken away");
        let again = session.streams().resume(slow.stream, read).expect("resumed");
        assert_eq!(again.backlog.len() + usize::try_from(read).expect("small"), 20);
        let mut read = 0;
        while general.items.recv().await.is_some() {
            read += 1;
        }
        assert!(read < 100, "so was the general one");
    }
}
