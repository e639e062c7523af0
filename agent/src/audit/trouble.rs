//! A time in which the log could not be written.

use std::time::Instant;

use super::record::{Event, Record, Status};

/// What is known of it until it is over.
#[derive(Debug)]
pub(super) struct Trouble {
    since: Instant,
    why: String,
    refused: u64,
    lost: u64,
}

impl Trouble {
    /// Begins, with its first error.
    pub(super) fn new(why: String) -> Self {
        tracing::error!("the audit log cannot be written, calls are denied: {why}");
        Self { since: Instant::now(), why, refused: 0, lost: 0 }
    }

    /// A request was denied for it.
    pub(super) fn refuse(&mut self) {
        self.refused += 1;
    }

    /// A record could not be written.
    pub(super) fn lose(&mut self) {
        self.lost += 1;
    }

    /// Why, in one line.
    pub(super) fn why(&self) -> &str {
        &self.why
    }

    /// What the log says of it when it is over.
    pub(super) fn record(&self) -> Record {
        let Self { since, why, refused, lost } = self;
        let seconds = since.elapsed().as_secs_f64();
        let text = format!(
            "the log could not be written for {seconds:.1} s ({why}): {refused} requests were denied, \
             {lost} records could not be written and what they were of was not released"
        );
        Record {
            status: Some(Status::Failure),
            error: Some(text),
            duration_ms: Some(u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)),
            ..Record::new(Event::LogFailure)
        }
    }
}
