//! The sessions of all listeners, by their ids, and how many there may be.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::session::Session;

/// Random bytes of a session's id: 256 bits.
const BYTES: usize = 32;

/// Why there cannot be one more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Full {
    #[error("there are {0} sessions already (`limits.max_sessions`)")]
    All(usize),
    #[error("this actor has {0} sessions already (`limits.max_sessions_per_actor`)")]
    Actor(usize),
}

/// The sessions.
#[derive(Debug, Default)]
pub(super) struct Table {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    sessions: HashMap<String, Arc<Session>>,
    all: usize,
    by_actor: HashMap<String, usize>,
}

/// The right to a session, or to a request that stands alone, as long as it is held.
#[derive(Debug)]
pub(super) struct Ticket {
    table: Arc<Table>,
    actor: String,
}

impl Table {
    /// Room for one more of an actor, where there may be so many at `most`.
    pub(super) fn ticket(
        self: &Arc<Self>,
        actor: &str,
        most: usize,
        most_of_actor: usize,
    ) -> Result<Ticket, Full> {
        let mut state = self.lock();
        if state.all >= most {
            return Err(Full::All(most));
        }
        let own = state.by_actor.entry(actor.to_owned()).or_insert(0);
        if *own >= most_of_actor {
            return Err(Full::Actor(most_of_actor));
        }
        *own += 1;
        state.all += 1;
        Ok(Ticket { table: self.clone(), actor: actor.to_owned() })
    }

    /// Takes in a session, under a new id that nobody can guess.
    pub(super) fn enter(&self, session: &Arc<Session>) -> Result<String, getrandom::Error> {
        let mut bytes = [0; BYTES];
        getrandom::fill(&mut bytes)?;
        let id = data_encoding::BASE64URL_NOPAD.encode(&bytes);
        self.lock().sessions.insert(id.clone(), session.clone());
        Ok(id)
    }

    /// The session of an id.
    pub(super) fn find(&self, id: &str) -> Option<Arc<Session>> {
        self.lock().sessions.get(id).cloned()
    }

    /// Takes a session out.
    pub(super) fn remove(&self, session: &Arc<Session>) {
        self.lock().sessions.retain(|_, other| !Arc::ptr_eq(other, session));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is one step, so what a panic left is consistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut state = self.table.lock();
        state.all = state.all.saturating_sub(1);
        if let Some(own) = state.by_actor.get_mut(&self.actor) {
            *own = own.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_so_many_and_no_more() {
        let table = Arc::new(Table::default());
        let first = table.ticket("a", 3, 2).expect("room");
        let _second = table.ticket("a", 3, 2).expect("room");
        assert_eq!(table.ticket("a", 3, 2).err(), Some(Full::Actor(2)));
        let _third = table.ticket("b", 3, 2).expect("room");
        assert_eq!(table.ticket("b", 3, 2).err(), Some(Full::All(3)));
        drop(first);
        assert!(table.ticket("a", 3, 2).is_ok());
    }

    #[test]
    fn ids_are_new_and_visible() {
        let table = Table::default();
        let (arrivals, _heard) = tokio::sync::mpsc::channel(1);
        let session = Arc::new(Session::new("s".into(), "a".into(), arrivals));
        let (a, b) =
            (table.enter(&session).expect("random"), table.enter(&session).expect("random"));
        assert!(a != b && a.len() == 43 && a.bytes().all(|byte| byte.is_ascii_graphic()));
        assert!(table.find(&a).is_some() && table.find("x").is_none());
        table.remove(&session);
        assert!(table.find(&a).is_none() && table.find(&b).is_none());
    }
}
