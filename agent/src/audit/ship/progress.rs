//! How far a shipper has got, for whoever asks.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

/// How far a shipper has got. All counts are from the daemon's start on, but `delivered`.
#[derive(Debug, Default)]
pub struct Progress {
    delivered: AtomicU64,
    events: AtomicU64,
    rejected: AtomicU64,
    failures: AtomicU64,
    missed: AtomicU64,
    up: AtomicBool,
    /// Seconds since 1970; 0 for never.
    last_sent: AtomicI64,
    last_error: Mutex<Option<String>>,
}

impl Progress {
    /// The last record that counts as delivered, as the cursor on the disk says. Files of the log with records
    /// beyond it must be kept.
    pub fn delivered(&self) -> u64 {
        self.delivered.load(Ordering::Relaxed)
    }

    /// How many records are not delivered yet, when `written` is the last one of the log.
    pub fn behind(&self, written: u64) -> u64 {
        written.saturating_sub(self.delivered())
    }

    /// Events that were sent, those that were sent again counted each time.
    pub fn events(&self) -> u64 {
        self.events.load(Ordering::Relaxed)
    }

    /// Events that the receiver refused for good.
    pub fn rejected(&self) -> u64 {
        self.rejected.load(Ordering::Relaxed)
    }

    /// How often sending failed.
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Records that were gone from the log before they were delivered.
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }

    /// Whether the last attempt succeeded.
    pub fn is_up(&self) -> bool {
        self.up.load(Ordering::Relaxed)
    }

    /// When something was sent last.
    pub fn last_sent(&self) -> Option<Timestamp> {
        let seconds = self.last_sent.load(Ordering::Relaxed);
        Timestamp::from_second(seconds).ok().filter(|_| seconds != 0)
    }

    /// What went wrong last, in one line without credentials.
    pub fn last_error(&self) -> Option<String> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(in crate::audit) fn set_delivered(&self, seq: u64) {
        self.delivered.store(seq, Ordering::Relaxed);
    }

    pub(in crate::audit) fn sent(&self, events: usize) {
        self.events.fetch_add(events as u64, Ordering::Relaxed);
        self.last_sent.store(Timestamp::now().as_second(), Ordering::Relaxed);
        self.up.store(true, Ordering::Relaxed);
    }

    pub(super) fn reject(&self, events: u64, why: String) {
        self.rejected.fetch_add(events, Ordering::Relaxed);
        self.note(why);
    }

    pub(super) fn miss(&self, records: u64, why: String) {
        self.missed.fetch_add(records, Ordering::Relaxed);
        self.note(why);
    }

    pub(in crate::audit) fn fail(&self, why: String) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        self.up.store(false, Ordering::Relaxed);
        self.note(why);
    }

    fn note(&self, why: String) {
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
    }
}
