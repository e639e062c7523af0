//! What was counted some seconds ago, for what happens in a second.

use std::collections::{HashMap, VecDeque};

use crate::serve::{Counts, Durations, Overview};

/// Calls in a second are those of this time, in milliseconds.
const RATE: u64 = 5_000;
/// Percentiles are of the calls of this time.
const KEPT: u64 = 60_000;
/// States that are kept of a server, however often it is looked at.
const MOST: usize = 640;

/// Earlier counts, by warrantd and server.
#[derive(Debug, Default)]
pub(super) struct History {
    servers: HashMap<(String, String), Server>,
}

#[derive(Debug, Default)]
struct Server {
    /// Process and start of the warrantd that counted: another one counts from zero.
    counted_by: (u32, String),
    states: VecDeque<State>,
}

#[derive(Debug)]
struct State {
    uptime_ms: u64,
    counts: Counts,
}

/// How it goes at present.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Pace {
    /// Calls in a second.
    pub(super) calls: Option<f64>,
    /// Milliseconds within which half of the last minute's calls were answered.
    pub(super) half: Option<u64>,
    /// The same for 99 of 100.
    pub(super) most: Option<u64>,
}

impl History {
    /// Remembers what a warrantd told, and forgets servers that it has no more.
    pub(super) fn add(&mut self, instance: &str, overview: &Overview) {
        let known = |id: &str| overview.servers.iter().any(|server| server.id == id);
        self.servers.retain(|(of, id), _| of != instance || known(id));
        for server in &overview.servers {
            let key = (instance.to_owned(), server.id.clone());
            let known = self.servers.entry(key).or_default();
            let by = (overview.pid, overview.since.clone());
            if known.counted_by != by {
                *known = Server { counted_by: by, states: VecDeque::new() };
            }
            known.add(State { uptime_ms: overview.uptime_ms, counts: server.counts.clone() });
        }
    }

    /// Forgets warrantds that run no more.
    pub(super) fn retain(&mut self, instances: &[(String, Overview)]) {
        self.servers.retain(|(of, _), _| instances.iter().any(|(name, _)| name == of));
    }

    /// How it goes with a server.
    pub(super) fn pace(&self, instance: &str, server: &str) -> Pace {
        let key = (instance.to_owned(), server.to_owned());
        self.servers.get(&key).map_or_else(Pace::default, Server::pace)
    }
}

impl Server {
    fn add(&mut self, state: State) {
        if self.states.back().is_some_and(|last| last.uptime_ms >= state.uptime_ms) {
            return;
        }
        let oldest = state.uptime_ms.saturating_sub(KEPT);
        self.states.push_back(state);
        while self.states.len() > MOST
            || self.states.get(1).is_some_and(|second| second.uptime_ms <= oldest)
        {
            self.states.pop_front();
        }
    }

    fn pace(&self) -> Pace {
        let (Some(first), Some(now)) = (self.states.front(), self.states.back()) else {
            return Pace::default();
        };
        // What happened before the first look happened at no known time.
        let durations = if self.states.len() > 1 {
            now.counts.durations.since(&first.counts.durations)
        } else {
            Durations::default()
        };
        Pace {
            calls: self.calls_in_a_second(now),
            half: durations.percentile(50),
            most: durations.percentile(99),
        }
    }

    fn calls_in_a_second(&self, now: &State) -> Option<f64> {
        let since = now.uptime_ms.saturating_sub(RATE);
        let before = self.states.iter().rev().skip(1);
        let before = before.take_while(|state| state.uptime_ms >= since).last();
        let before = before.or_else(|| self.states.iter().rev().nth(1))?;
        let calls = now.counts.calls.saturating_sub(before.counts.calls);
        let time = now.uptime_ms.saturating_sub(before.uptime_ms).max(1);
        #[allow(clippy::cast_precision_loss)] // Nobody sees the difference.
        Some(calls as f64 * 1000.0 / time as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::ServerView;

    fn told(pid: u32, uptime_ms: u64, calls: u64, durations: &[(u64, u64)]) -> Overview {
        let durations = Durations(durations.to_vec());
        let counts = Counts { calls, durations, ..Counts::default() };
        let server = ServerView { id: "files".into(), counts, ..ServerView::default() };
        Overview { pid, uptime_ms, servers: vec![server], ..Overview::default() }
    }

    #[test]
    fn calls_in_a_second_are_those_of_the_last_seconds() {
        let mut history = History::default();
        history.add("serve", &told(7, 1000, 100, &[(4, 100)]));
        assert_eq!(history.pace("serve", "files"), Pace::default(), "one look tells no rate");
        history.add("serve", &told(7, 2000, 110, &[(4, 110)]));
        let pace = history.pace("serve", "files");
        assert_eq!(pace, Pace { calls: Some(10.0), half: Some(4), most: Some(4) });
        for second in 3..20 {
            history.add("serve", &told(7, second * 1000, 110, &[(4, 110)]));
        }
        let pace = history.pace("serve", "files");
        assert_eq!((pace.calls, pace.half), (Some(0.0), Some(4)), "percentiles are of a minute");
        for second in 20..120 {
            history.add("serve", &told(7, second * 1000, 110, &[(4, 110)]));
        }
        assert_eq!(history.pace("serve", "files").half, None);
    }

    #[test]
    fn a_warrantd_that_was_started_anew_counts_from_zero() {
        let mut history = History::default();
        history.add("serve", &told(7, 50_000, 1000, &[]));
        history.add("serve", &told(7, 51_000, 1010, &[]));
        history.add("serve", &told(8, 500, 3, &[]));
        assert_eq!(history.pace("serve", "files").calls, None);
        history.add("serve", &told(8, 1500, 5, &[]));
        assert_eq!(history.pace("serve", "files").calls, Some(2.0));
    }

    #[test]
    fn what_is_there_no_more_is_forgotten() {
        let mut history = History::default();
        history.add("serve", &told(7, 1000, 0, &[]));
        history.add("run-9", &told(9, 1000, 0, &[]));
        history.retain(&[("serve".to_owned(), Overview::default())]);
        history.add("serve", &Overview { pid: 7, uptime_ms: 2000, ..Overview::default() });
        assert!(history.servers.is_empty());
        for look in 0..10_000 {
            history.add("serve", &told(7, look, 0, &[]));
        }
        assert!(history.servers.values().all(|server| server.states.len() <= MOST));
    }
}
