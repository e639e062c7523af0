//! Ids of calls and sessions: UUIDs of version 7 (RFC 9562), which sort by time.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use uuid::{Builder, Uuid};

/// The millisecond of the last id, and in the last twelve bits how many there were in it before.
static LAST: AtomicU64 = AtomicU64::new(0);
/// Bits of the counter within a millisecond (RFC 9562, section 6.2, method 1).
const COUNTER: u32 = 12;
/// Random bytes of an id, behind the counter.
const RANDOM: usize = 8;

/// Random bytes for the ids to come: asking the kernel for each is dear.
struct Stock {
    bytes: [u8; 64 * RANDOM],
    used: usize,
}

thread_local! {
    static STOCK: RefCell<Stock> = const { RefCell::new(Stock::EMPTY) };
}

/// A new id. The ids of a process sort in the order in which they were made.
pub(super) fn new_id() -> String {
    let Some(random) = STOCK.with_borrow_mut(Stock::take) else {
        return Uuid::now_v7().to_string();
    };
    let time = next();
    let [.., high, low] = (time & ((1 << COUNTER) - 1)).to_be_bytes();
    let mut bytes = [high, low, 0, 0, 0, 0, 0, 0, 0, 0];
    for (place, byte) in bytes.iter_mut().skip(2).zip(random) {
        *place = byte;
    }
    Builder::from_unix_timestamp_millis(time >> COUNTER, &bytes).into_uuid().to_string()
}

fn next() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = u64::try_from(since.as_millis()).unwrap_or(0) << COUNTER;
    let after = |last: u64| now.max(last + 1);
    let last = LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(after(last)));
    after(last.unwrap_or_else(|last| last))
}

impl Stock {
    const EMPTY: Self = Self { bytes: [0; 64 * RANDOM], used: 64 * RANDOM };

    /// Bytes that were not given before; `None` when the kernel has none.
    fn take(&mut self) -> Option<[u8; RANDOM]> {
        if self.used == self.bytes.len() {
            getrandom::fill(&mut self.bytes).ok()?;
            self.used = 0;
        }
        let (taken, _) = self.bytes.get_mut(self.used..)?.split_first_chunk_mut::<RANDOM>()?;
        self.used += RANDOM;
        Some(std::mem::take(taken))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_in_the_order_in_which_they_were_made() {
        let ids: Vec<String> = (0..10_000).map(|_| new_id()).collect();
        assert!(ids.is_sorted_by(|a, b| a < b));
        for id in &ids {
            let id: Uuid = id.parse().expect("a UUID");
            assert_eq!(id.get_version_num(), 7);
            assert_eq!(id.get_variant(), uuid::Variant::RFC4122);
        }
        let (seconds, _) =
            ids[0].parse::<Uuid>().expect("a UUID").get_timestamp().expect("a time").to_unix();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time").as_secs();
        assert!(now.abs_diff(seconds) < 60, "{seconds} is not {now}");
    }

    #[test]
    fn random_bytes_are_given_once() {
        let mut stock = Stock::EMPTY;
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..1000 {
            assert!(seen.insert(stock.take().expect("bytes")));
        }
    }
}
