//! Network tables that were replaced and may still be read.
//!
//! A program looks up its session's generation first and the rules of that generation after. When it is
//! preempted in between, and the policy changes meanwhile, it goes on with a table that is no longer in
//! force. That table must still be there: without it the program would refuse what both the old and the new
//! policy allow. So a table is kept for [`OUTLIVES`] after it was replaced, far longer than the kernel
//! leaves a program (an RCU reader) without a processor. Should it be longer once, a connection is refused.
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How long a table outlives its replacement.
const OUTLIVES: Duration = Duration::from_secs(1);
/// Tables that a session may keep at once; they share the kernel's map with all others.
const MOST: usize = 256;

/// The replaced tables of one session, oldest first.
#[derive(Debug)]
pub(super) struct Retired<T> {
    tables: VecDeque<(Instant, T)>,
}

impl<T> Default for Retired<T> {
    fn default() -> Self {
        Self { tables: VecDeque::new() }
    }
}

impl<T> Retired<T> {
    /// Keeps a table that was replaced at `now`.
    pub(super) fn push(&mut self, table: T, now: Instant) {
        self.tables.push_back((now, table));
    }

    /// Gives up the tables that nobody can be reading any more.
    pub(super) fn take_outlived(&mut self, now: Instant) -> Vec<T> {
        let young = |(replaced, _): &(Instant, T)| now.duration_since(*replaced) < OUTLIVES;
        let count = self.tables.iter().position(young).unwrap_or(self.tables.len());
        self.tables.drain(..count).map(|(_, table)| table).collect()
    }

    /// How long to wait at `now` until there is room for one more.
    pub(super) fn until_room(&self, now: Instant) -> Option<Duration> {
        let (replaced, _) = self.tables.front().filter(|_| self.tables.len() >= MOST)?;
        Some(OUTLIVES.saturating_sub(now.duration_since(*replaced)))
    }

    /// Gives up all of them, at the end of the session.
    pub(super) fn into_all(self) -> impl Iterator<Item = T> {
        self.tables.into_iter().map(|(_, table)| table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_outlives_its_replacement_by_a_second() {
        let start = Instant::now();
        let mut retired = Retired::default();
        retired.push('a', start);
        retired.push('b', start + Duration::from_millis(600));
        assert!(retired.take_outlived(start + Duration::from_millis(999)).is_empty());
        assert_eq!(retired.take_outlived(start + Duration::from_secs(1)), ['a']);
        assert!(retired.take_outlived(start + Duration::from_millis(1500)).is_empty());
        assert_eq!(retired.into_all().collect::<Vec<_>>(), ['b']);
    }

    #[test]
    fn their_number_is_bounded_by_waiting_not_by_giving_up_early() {
        let start = Instant::now();
        let mut retired = Retired::default();
        for _ in 0..MOST - 1 {
            retired.push((), start);
        }
        assert_eq!(retired.until_room(start), None);
        retired.push((), start);
        let later = start + Duration::from_millis(300);
        assert_eq!(retired.until_room(later), Some(Duration::from_millis(700)));
        assert_eq!(retired.until_room(start + OUTLIVES), Some(Duration::ZERO));
        assert_eq!(retired.take_outlived(start + OUTLIVES).len(), MOST);
    }
}
