//! How much a session may ask.

use std::collections::HashSet;
use std::time::Duration;

/// Queries of a session: this many at once, and so many a second after that.
const QUERIES: (u32, u32) = (2000, 200);

/// Different names under wildcards: each tells whoever answers something.
const FRESH_NAMES: (u32, u32) = (256, 1);

/// Names that are remembered as told already.
const MAX_KNOWN: usize = 4096;

/// Counts what a session asks. Times are since any fixed moment.
#[derive(Debug)]
pub(super) struct Pace {
    queries: Bucket,
    fresh: Bucket,
    known: HashSet<String>,
}

impl Pace {
    pub(super) fn new() -> Self {
        let known = HashSet::new();
        Self { queries: Bucket::new(QUERIES), fresh: Bucket::new(FRESH_NAMES), known }
    }

    /// Whether one more query is answered.
    pub(super) fn query(&mut self, now: Duration) -> bool {
        self.queries.take(now)
    }

    /// Whether a name that the policy does not write out is asked for.
    pub(super) fn name(&mut self, name: &str, now: Duration) -> bool {
        if self.known.contains(name) {
            return true;
        }
        if !self.fresh.take(now) {
            return false;
        }
        if self.known.len() >= MAX_KNOWN {
            self.known.clear();
        }
        self.known.insert(name.to_owned());
        true
    }
}

/// A bucket of tokens that fills evenly.
#[derive(Debug)]
struct Bucket {
    /// Thousandths of tokens, so that slow ones fill evenly, too.
    level: u64,
    full: u64,
    a_second: u32,
    filled: Duration,
}

impl Bucket {
    fn new((burst, a_second): (u32, u32)) -> Self {
        let full = u64::from(burst) * 1000;
        Self { level: full, full, a_second, filled: Duration::ZERO }
    }

    fn take(&mut self, now: Duration) -> bool {
        let passed = now.saturating_sub(self.filled).as_millis();
        let gained = u64::try_from(passed).unwrap_or(u64::MAX).saturating_mul(self.a_second.into());
        if gained > 0 {
            self.level = self.level.saturating_add(gained).min(self.full);
            self.filled = now;
        }
        match self.level.checked_sub(1000) {
            Some(rest) => {
                self.level = rest;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_a_trickle() {
        let mut pace = Pace::new();
        let now = Duration::from_secs(5);
        let passed = (0..3000).filter(|_| pace.query(now)).count();
        assert_eq!(passed, 2000);
        let later = now + Duration::from_millis(500);
        assert_eq!((0..3000).filter(|_| pace.query(later)).count(), 100);
        assert!(!pace.query(Duration::ZERO), "a clock that goes back gives nothing");
    }

    #[test]
    fn new_names_are_counted_and_known_ones_are_not() {
        let mut pace = Pace::new();
        let now = Duration::ZERO;
        let passed = (0..1000).filter(|n| pace.name(&format!("n{n}.example.com"), now)).count();
        assert_eq!(passed, 256);
        assert!(pace.name("n0.example.com", now) && !pace.name("n256.example.com", now));
        assert!(pace.name("n256.example.com", Duration::from_secs(1)));
        assert!(!pace.name("n257.example.com", Duration::from_secs(1)));
    }
}
