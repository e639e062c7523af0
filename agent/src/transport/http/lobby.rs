//! Connections of callers that have not shown who they are wait apart from the others, in bounded number.
//! When there is no room the oldest gives way, so whoever opens many and says nothing keeps nobody out:
//! an honest client has authenticated before its turn comes.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// The connections of all listeners.
#[derive(Debug, Default)]
pub(super) struct Lobby {
    waiting: Mutex<Waiting>,
    inside: AtomicUsize,
}

#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    guests: VecDeque<(u64, oneshot::Sender<()>)>,
}

/// A connection.
#[derive(Debug)]
pub(super) struct Guest {
    lobby: Arc<Lobby>,
    id: u64,
    place: Mutex<Place>,
}

#[derive(Debug)]
enum Place {
    Outside,
    Inside { _quiet: Option<oneshot::Sender<()>> },
}

impl Lobby {
    /// Takes in a connection, where there may be `most`, and a quarter as many that have not authenticated
    /// yet. The receiver gets a word when it must give way.
    pub(super) fn enter(self: &Arc<Self>, most: usize) -> (Guest, oneshot::Receiver<()>) {
        let (sender, way) = oneshot::channel();
        let mut waiting = self.lock();
        if waiting.guests.len() >= (most / 4).max(16)
            && let Some((_, oldest)) = waiting.guests.pop_front()
        {
            let _ = oldest.send(()); // It may have left already.
        }
        waiting.next += 1;
        let id = waiting.next;
        waiting.guests.push_back((id, sender));
        let place = Mutex::new(Place::Outside);
        (Guest { lobby: self.clone(), id, place }, way)
    }

    fn leave(&self, id: u64) -> Option<oneshot::Sender<()>> {
        let mut waiting = self.lock();
        let index = waiting.guests.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        waiting.guests.remove(index).map(|(_, sender)| sender)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Every change is one step, so what a panic left is consistent.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Guest {
    /// Its caller has authenticated. False when there are `most` already.
    pub(super) fn come_in(&self, most: usize) -> bool {
        let mut place = self.place.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*place, Place::Inside { .. }) {
            return true;
        }
        let room = |inside: usize| (inside < most).then_some(inside + 1);
        let taken = self.lobby.inside.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room);
        if taken.is_ok() {
            *place = Place::Inside { _quiet: self.lobby.leave(self.id) };
        }
        taken.is_ok()
    }

    /// Whether its caller has authenticated.
    pub(super) fn is_inside(&self) -> bool {
        let place = self.place.lock().unwrap_or_else(PoisonError::into_inner);
        matches!(*place, Place::Inside { .. })
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        if self.is_inside() {
            self.lobby.inside.fetch_sub(1, Ordering::Relaxed);
        } else {
            self.lobby.leave(self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_gives_way_and_those_inside_do_not() {
        let lobby = Arc::new(Lobby::default());
        let (first, mut first_way) = lobby.enter(64);
        assert!(first.come_in(64) && first.is_inside());
        let mut crowd: Vec<_> = (0..40).map(|_| lobby.enter(64)).collect();
        let asked_to_go: Vec<_> = crowd.iter_mut().map(|(_, way)| way.try_recv().is_ok()).collect();
        assert_eq!(asked_to_go.iter().filter(|gone| **gone).count(), 24);
        assert!(asked_to_go[..24].iter().all(|gone| *gone), "the oldest ones");
        assert!(first_way.try_recv().is_err(), "not one that is inside");
        drop(crowd);
        assert!(lobby.lock().guests.is_empty());
    }

    #[test]
    fn there_is_room_inside_for_some() {
        let lobby = Arc::new(Lobby::default());
        let guests: Vec<_> = (0..3).map(|_| lobby.enter(2).0).collect();
        assert!(guests[0].come_in(2) && guests[0].come_in(2) && guests[1].come_in(2));
        assert!(!guests[2].come_in(2));
        assert!(guests[2].come_in(3), "there may be more now");
        drop(guests);
        assert!(lobby.enter(2).0.come_in(1));
    }
}
