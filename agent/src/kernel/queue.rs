//! Effects of one session on their way from the ring to the gate.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use warrantd_common::SessionCounters;

use crate::warrant::Effect;

use super::account::{Account, Lost};
use super::decode::{self, FileId};

/// Effects that may wait for a drain. A server that does more between two drains than this is told to
/// have lost the rest.
const MAX_WAITING: usize = 65_536;

/// Executables whose paths a session remembers.
const MAX_PROGRAMS: usize = 4096;

/// One session's queue.
#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<Effect>,
    account: Account,
    /// Records for which there was no room here, or that could not be read.
    dropped: u64,
    programs: HashMap<FileId, String>,
}

impl Queue {
    /// The queue of a session that begins now; see [`Account::new`].
    pub(super) fn new(misses: u64) -> Self {
        let account = Account::new(misses);
        Self { state: Mutex::new(State { account, ..State::default() }) }
    }

    /// Takes one record of the session.
    pub(super) fn push(&self, record: &[u8]) {
        let mut state = self.lock();
        let seq = state.account.receive();
        let programs = &state.programs;
        let decoded = decode::decode(record, seq, |id| programs.get(&id).cloned());
        let Some(decoded) = decoded else {
            state.dropped += 1;
            return;
        };
        if let Some((id, path)) = decoded.program
            && (state.programs.len() < MAX_PROGRAMS || state.programs.contains_key(&id))
        {
            state.programs.insert(id, path);
        }
        if state.waiting.len() + decoded.effects.len() > MAX_WAITING {
            state.dropped += 1;
        } else {
            state.waiting.extend(decoded.effects);
        }
    }

    /// See [`Account::reached`].
    pub(super) fn reached(&self, goal: SessionCounters, now: SessionCounters) -> bool {
        self.lock().account.reached(goal, now)
    }

    /// Takes what waits. What was lost stays to be told.
    pub(super) fn take_waiting(&self) -> Vec<Effect> {
        std::mem::take(&mut self.lock().waiting)
    }

    /// Takes what waits, and the number of events that were lost since the last time, in the kernel or
    /// here.
    pub(super) fn take(&self, now: SessionCounters, misses: u64) -> (Vec<Effect>, Lost) {
        let mut state = self.lock();
        let mut lost = state.account.take_lost(now, misses);
        lost.dropped = std::mem::take(&mut state.dropped);
        (std::mem::take(&mut state.waiting), lost)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
