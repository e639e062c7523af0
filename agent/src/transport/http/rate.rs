//! Requests in time: a bucket for each actor (there are as many as configuration names).

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The buckets. Each is filled at a steady rate and holds what flows in within two seconds.
#[derive(Debug, Default)]
pub(super) struct Rate {
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
    /// Takes a request of an actor out of its bucket, which `per_second` flow into. The error is how long until there is one again.
    pub(super) fn take(&self, actor: &str, per_second: u32, now: Instant) -> Result<(), Duration> {
        let price = Duration::from_secs(1) / per_second.max(1);
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
        let rate = Rate::default();
        let start = Instant::now();
        let through = (0..100).filter(|_| rate.take("a", 10, start).is_ok()).count();
        assert_eq!(through, 20);
        assert_eq!(rate.take("a", 10, start), Err(Duration::from_millis(100)));
        assert!(rate.take("b", 10, start).is_ok(), "another actor has its own");
        let later = start + Duration::from_secs(1);
        assert_eq!((0..100).filter(|_| rate.take("a", 10, later).is_ok()).count(), 10);
    }
}
