//! Requests in time: a bucket for each actor (there are as many as configuration names).

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The buckets. Each is filled at a steady rate and holds what flows in within two seconds.
#[derive(Debug)]
pub(super) struct Rate {
    per_second: u32,
    buckets: Mutex<HashMap<String, Bucket>>,
}

#[derive(Debug)]
struct Bucket {
    /// Time that is saved up.
    saved: Duration,
    at: Instant,
}

const SPAN: Duration = Duration::from_secs(2);

impl Rate {
    pub(super) fn new(per_second: u32) -> Self {
        Self { per_second: per_second.max(1), buckets: Mutex::default() }
    }

    /// Takes a request of an actor out of its bucket. The error is how long until there is one again.
    pub(super) fn take(&self, actor: &str, now: Instant) -> Result<(), Duration> {
        let price = Duration::from_secs(1) / self.per_second;
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let full = Bucket { saved: SPAN, at: now };
        let bucket = buckets.entry(actor.to_owned()).or_insert(full);
        bucket.saved = (bucket.saved + now.saturating_duration_since(bucket.at)).min(SPAN);
        bucket.at = now;
        match bucket.saved.checked_sub(price) {
            Some(left) => {
                bucket.saved = left;
                Ok(())
            }
            None => Err(price.saturating_sub(bucket.saved)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_let_through_and_then_the_rate() {
        let rate = Rate::new(10);
        let start = Instant::now();
        let through = (0..100).filter(|_| rate.take("a", start).is_ok()).count();
        assert_eq!(through, 20);
        assert_eq!(rate.take("a", start), Err(Duration::from_millis(100)));
        assert!(rate.take("b", start).is_ok(), "another actor has its own");
        let later = start + Duration::from_secs(1);
        assert_eq!((0..100).filter(|_| rate.take("a", later).is_ok()).count(), 10);
    }
}
