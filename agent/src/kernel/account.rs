//! When has the reader seen everything? The arithmetic of the response gate, without I/O.
#![forbid(unsafe_code)]

use warrantd_common::SessionCounters;

/// What a reader has seen of one session.
///
/// The kernel counts an event as made before its record enters the ring, and the ring hands records out
/// in the order in which they entered. So once `received + lost` reaches the `made` that was read at some
/// moment, every event that was complete at that moment has been read or is among the lost.
#[derive(Debug, Default)]
pub(super) struct Account {
    received: u64,
    reported: SessionCounters,
    reported_misses: u64,
}

/// Events that were lost, by what was lost. The first three the kernel counts for each session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lost {
    /// Events on files that found no room in the ring.
    pub files: u64,
    /// Programs that were started, likewise.
    pub programs: u64,
    /// Events on the network, likewise.
    pub network: u64,
    /// Runs of observers that the kernel left out, of any session.
    pub skipped: u64,
    /// Events that the reader got and had no room for.
    pub dropped: u64,
}

impl Lost {
    /// All together.
    #[must_use]
    pub fn total(&self) -> u64 {
        [self.files, self.programs, self.network, self.skipped, self.dropped]
            .into_iter()
            .fold(0, u64::saturating_add)
    }
}

impl Account {
    /// Takes note of one record and returns its number, from 1.
    pub(super) fn receive(&mut self) -> u64 {
        self.received += 1;
        self.received
    }

    /// Whether everything that was made when `goal` was read has been accounted for; `now` is a later
    /// reading. Events lost in between count towards the goal, which is safe because they also make
    /// [`Account::take_lost`] return more than zero.
    #[must_use]
    pub(super) fn reached(&self, goal: SessionCounters, now: SessionCounters) -> bool {
        self.received.saturating_add(now.lost()) >= goal.made
    }

    /// Begins with this many runs left out, which happened before the session.
    pub(super) fn new(misses: u64) -> Self {
        Self { reported_misses: misses, ..Self::default() }
    }

    /// How many events have been lost since the last time this was asked. Runs that the kernel left out
    /// may have been any session's, so every session counts them.
    pub(super) fn take_lost(&mut self, now: SessionCounters, misses: u64) -> Lost {
        let before = std::mem::replace(&mut self.reported, now);
        let misses_before = std::mem::replace(&mut self.reported_misses, misses);
        Lost {
            files: now.lost_files.saturating_sub(before.lost_files),
            programs: now.lost_programs.saturating_sub(before.lost_programs),
            network: now.lost_network.saturating_sub(before.lost_network),
            skipped: misses.saturating_sub(misses_before),
            dropped: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counters(made: u64, lost: u64) -> SessionCounters {
        SessionCounters { made, lost_files: lost, ..SessionCounters::default() }
    }

    #[test]
    fn a_record_in_flight_keeps_the_gate_shut() {
        let mut account = Account::default();
        assert!(account.reached(counters(0, 0), counters(0, 0)));
        assert!(!account.reached(counters(1, 0), counters(1, 0)));
        assert_eq!(account.receive(), 1);
        assert!(account.reached(counters(1, 0), counters(1, 0)));
        assert!(!account.reached(counters(2, 0), counters(2, 0)));
    }

    #[test]
    fn a_lost_record_opens_the_gate_and_is_told_once() {
        let mut account = Account::new(7);
        account.receive();
        assert!(account.reached(counters(3, 2), counters(3, 2)));
        assert_eq!(account.take_lost(counters(3, 2), 7).total(), 2);
        assert_eq!(account.take_lost(counters(3, 2), 7).total(), 0);
        // A loss after the goal was read lets the gate open early, and is reported with it.
        assert!(account.reached(counters(4, 2), counters(5, 3)));
        assert_eq!(account.take_lost(counters(5, 3), 9).total(), 3);
        assert_eq!(account.take_lost(counters(5, 3), 9).total(), 0);
    }
}
