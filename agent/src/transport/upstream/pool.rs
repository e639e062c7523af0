//! Connections to one server, kept a moment for the next request.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::Failure;
use super::connect::Connector;
use super::limits::{IDLE_FOR, MAX_CONNECTIONS, MAX_IDLE, READY_WITHIN};
use super::request::Body;

/// A server's connections.
#[derive(Debug)]
pub(super) struct Pool {
    pub(super) connector: Connector,
    idle: Mutex<Vec<(Instant, SendRequest<Body>)>>,
    /// Connections in use. Nobody waits for one: whoever has one may be waiting for whoever would wait.
    room: Arc<Semaphore>,
}

/// The right to a connection. Dropped, the connection closes; given back, it is used again.
#[derive(Debug)]
pub(super) struct Lease {
    sender: SendRequest<Body>,
    pool: Arc<Pool>,
    _place: OwnedSemaphorePermit,
}

/// A response whose body is still to be read, and its connection.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) response: Response<Incoming>,
    pub(super) lease: Lease,
}

impl Pool {
    pub(super) fn new(connector: Connector) -> Arc<Self> {
        let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        Arc::new(Self { connector, idle: Mutex::default(), room })
    }

    /// Sends a request and waits for the head of its response. A request of which nothing was written, as the
    /// kept connection had closed, is sent on a new one; any other is sent once.
    pub(super) async fn send(self: &Arc<Self>, request: Request<Body>) -> Result<Answer, Failure> {
        let place = Arc::clone(&self.room).try_acquire_owned().map_err(|_| Failure::Busy)?;
        let kept = self.take_idle().await;
        let fresh = kept.is_none();
        let mut sender = match kept {
            Some(sender) => sender,
            None => self.connector.connect().await?,
        };
        let response = match sender.try_send_request(request).await {
            Ok(response) => response,
            Err(mut error) => match error.take_message() {
                Some(request) if !fresh => {
                    sender = self.connector.connect().await?;
                    sender.send_request(request).await?
                }
                _ => return Err(error.into_error().into()),
            },
        };
        let lease = Lease { sender, pool: Arc::clone(self), _place: place };
        Ok(Answer { response, lease })
    }

    async fn take_idle(&self) -> Option<SendRequest<Body>> {
        loop {
            let mut sender = {
                let mut idle = self.idle();
                idle.retain(|(since, sender)| since.elapsed() < IDLE_FOR && !sender.is_closed());
                idle.pop()?.1
            };
            // The task of a connection that has just been given back may still have to notice.
            if let Ok(Ok(())) = timeout(READY_WITHIN, sender.ready()).await {
                return Some(sender);
            }
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(Instant, SendRequest<Body>)>> {
        // A panic leaves whole entries.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease {
    /// Keeps the connection for the next request. The body of the response must have been read to its end.
    pub(super) fn give_back(self) {
        let mut idle = self.pool.idle();
        if idle.len() < MAX_IDLE && !self.sender.is_closed() {
            idle.push((Instant::now(), self.sender));
        }
    }
}
