//! The sessions of this process: who asks after them, and who orders them.
//!
//! Each session answers for itself, between two messages, so that what is told is one moment's truth.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use super::reached::{Reached, ReachedPeer};
use super::status::SessionStatus;

/// Sessions that may be frozen at once. One more is terminated instead.
const FROZEN: usize = 16;
/// Orders that a session may have waiting.
const ORDERS: usize = 4;
/// How long a session may take to answer. One that takes longer waits for a client that does not read.
const PATIENCE: Duration = Duration::from_secs(2);

/// Something that a session is asked or told to do.
#[derive(Debug)]
pub(super) enum Order {
    /// To tell what it does.
    Tell(oneshot::Sender<SessionStatus>),
    /// To let its processes go on; by whom.
    Thaw(u32, oneshot::Sender<Result<(), OrderError>>),
    /// To kill its processes and to end; by whom.
    Kill(u32, oneshot::Sender<Result<(), OrderError>>),
}

/// Why a session did not do what it was told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// It has ended, or never was.
    #[error("there is no session `{0}`; `warrantd status` lists those that there are")]
    Unknown(String),
    /// It does not answer.
    #[error(
        "session `{0}` does not answer: its client does not read; try again, or end the client"
    )]
    Busy(String),
    /// It runs already.
    #[error("session `{0}` is not frozen")]
    NotFrozen(String),
    /// The kernel refused.
    #[error("session `{0}`: {1}")]
    Kernel(String, String),
}

/// The sessions of this process.
#[derive(Debug)]
pub struct Sessions {
    live: Mutex<BTreeMap<String, mpsc::Sender<Order>>>,
    room: Arc<Semaphore>,
    /// Whom their servers reached.
    pub(super) reached: Reached,
}

impl Default for Sessions {
    fn default() -> Self {
        Self {
            live: Mutex::default(),
            room: Arc::new(Semaphore::new(FROZEN)),
            reached: Reached::default(),
        }
    }
}

/// A session's place among the others. Dropped, it is gone from there.
#[derive(Debug)]
pub(super) struct Place {
    sessions: Arc<Sessions>,
    id: String,
    orders: mpsc::Receiver<Order>,
}

impl Place {
    /// The next order.
    pub(super) async fn order(&mut self) -> Option<Order> {
        self.orders.recv().await
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.sessions.lock().remove(&self.id);
    }
}

impl Sessions {
    /// Takes in a session.
    pub(super) fn enter(self: &Arc<Self>, id: &str) -> Place {
        let (sender, orders) = mpsc::channel(ORDERS);
        self.lock().insert(id.to_owned(), sender);
        Place { sessions: self.clone(), id: id.to_owned(), orders }
    }

    /// Room for one more frozen session, as long as it is held.
    pub(super) fn room_for_frozen(&self) -> Option<OwnedSemaphorePermit> {
        self.room.clone().try_acquire_owned().ok()
    }

    /// Whom a server reached or tried to, over all its sessions; the latest first, some dozens at most.
    pub fn reached_by(&self, server: &str) -> Vec<ReachedPeer> {
        self.reached.of(server)
    }

    /// How many there are, and how many of them are frozen.
    pub fn count(&self) -> (usize, usize) {
        (self.lock().len(), FROZEN - self.room.available_permits().min(FROZEN))
    }

    /// What every session tells, by id. One that does not answer within two seconds has only its id.
    pub async fn status(&self) -> Vec<SessionStatus> {
        let deadline = Instant::now() + PATIENCE;
        let live: Vec<_> = self.lock().iter().map(|(id, to)| (id.clone(), to.clone())).collect();
        let asked: Vec<_> = live
            .into_iter()
            .map(|(id, to)| {
                let (sender, answer) = oneshot::channel();
                let sent = to.try_send(Order::Tell(sender)).is_ok();
                (id, sent.then_some(answer))
            })
            .collect();
        let mut all = Vec::with_capacity(asked.len());
        for (id, answer) in asked {
            let told = match answer {
                Some(answer) => timeout_at(deadline, answer).await.ok(),
                None => None,
            };
            match told {
                Some(Ok(status)) => all.push(status),
                Some(Err(_)) => {} // It ended meanwhile.
                None => all.push(SessionStatus { id, ..SessionStatus::default() }),
            }
        }
        all
    }

    /// Lets the processes of a frozen session go on, in the name of a user of this host.
    pub async fn thaw(&self, id: &str, by: u32) -> Result<(), OrderError> {
        self.order(id, |answer| Order::Thaw(by, answer)).await
    }

    /// Kills the processes of a session, in the name of a user of this host.
    pub async fn kill(&self, id: &str, by: u32) -> Result<(), OrderError> {
        self.order(id, |answer| Order::Kill(by, answer)).await
    }

    async fn order(
        &self,
        id: &str,
        order: impl FnOnce(oneshot::Sender<Result<(), OrderError>>) -> Order,
    ) -> Result<(), OrderError> {
        let unknown = || OrderError::Unknown(id.to_owned());
        let busy = || OrderError::Busy(id.to_owned());
        let to = self.lock().get(id).cloned().ok_or_else(unknown)?;
        let (sender, answer) = oneshot::channel();
        to.try_send(order(sender)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => busy(),
            mpsc::error::TrySendError::Closed(_) => unknown(),
        })?;
        match timeout_at(Instant::now() + PATIENCE, answer).await {
            Ok(done) => done.map_err(|_| unknown())?,
            Err(_) => Err(busy()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, mpsc::Sender<Order>>> {
        // Every change is one step, so what a panic left is consistent.
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn sessions_are_found_while_they_last() {
        let sessions = Arc::new(Sessions::default());
        let mut place = sessions.enter("a");
        let answering = tokio::spawn(async move {
            while let Some(order) = place.order().await {
                match order {
                    Order::Tell(answer) => {
                        let status =
                            SessionStatus { id: "a".into(), waiting: 7, ..Default::default() };
                        let _ = answer.send(status);
                    }
                    Order::Thaw(_, answer) => {
                        let _ = answer.send(Err(OrderError::NotFrozen("a".into())));
                    }
                    Order::Kill(by, answer) => {
                        assert_eq!(by, 12);
                        let _ = answer.send(Ok(()));
                        return;
                    }
                }
            }
        });
        assert_eq!(sessions.status().await.first().map(|status| status.waiting), Some(7));
        assert_eq!(sessions.thaw("b", 0).await, Err(OrderError::Unknown("b".into())));
        assert_eq!(sessions.thaw("a", 0).await, Err(OrderError::NotFrozen("a".into())));
        assert_eq!(sessions.kill("a", 12).await, Ok(()));
        answering.await.expect("answered");
        assert!(sessions.status().await.is_empty(), "it has ended");
        assert_eq!(sessions.kill("a", 12).await, Err(OrderError::Unknown("a".into())));
    }

    #[tokio::test]
    async fn a_session_that_does_not_answer_holds_up_nobody() {
        let sessions = Arc::new(Sessions::default());
        let _place = sessions.enter("a");
        let told = sessions.status().await;
        assert_eq!(told.first().map(|status| status.since.as_str()), Some(""));
        assert_eq!(sessions.kill("a", 0).await, Err(OrderError::Busy("a".into())));
    }

    #[test]
    fn there_is_room_for_some_frozen_sessions() {
        let sessions = Sessions::default();
        let mut held: Vec<_> = (0..FROZEN).map(|_| sessions.room_for_frozen()).collect();
        assert!(held.iter().all(Option::is_some) && sessions.room_for_frozen().is_none());
        held.pop();
        assert!(sessions.room_for_frozen().is_some());
    }
}
