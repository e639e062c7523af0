//! Reads records of the log and renders them, some hundred events at a time.

use crate::audit::format::{Entry, Formatted, Origin, render};
use crate::audit::{ReadError, Reader};
use crate::config::ShipFormat;

/// When a batch is full: records are not split.
const MAX_EVENTS: usize = 500;
const MAX_BYTES: usize = 1 << 20;
/// Records that are looked at for one, where few are sent.
const MAX_RECORDS: usize = 5_000;

/// Events that are sent together.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) events: Vec<Formatted>,
    /// The last record that was read, and its hash.
    pub(super) last: Option<(u64, String)>,
}

/// What becomes of records.
#[derive(Debug, Clone)]
pub(super) struct Rendering {
    pub(super) format: ShipFormat,
    pub(super) origin: Origin,
    /// The receiver that gets alerts only.
    pub(super) alerts_for: Option<String>,
}

impl Rendering {
    /// Whether the receiver gets a record.
    fn takes(&self, entry: &Entry<'_>) -> bool {
        self.alerts_for.as_ref().is_none_or(|name| entry.alert_for(name))
    }
}

/// Reads what there is, up to a full batch. What was read before an error is given, and the error comes
/// with the next batch.
pub(super) fn fill(reader: &mut Reader, rendering: &Rendering) -> Result<Batch, ReadError> {
    let mut batch = Batch::default();
    let (mut bytes, mut passed) = (0, 0);
    loop {
        let line = match reader.next() {
            Ok(Some(line)) => line,
            Err(error) if batch.last.is_none() => return Err(error),
            Ok(None) | Err(_) => break,
        };
        let entry = Entry::read(&line.bytes);
        let hash = entry.text("hash").unwrap_or_default().to_owned();
        let events = if rendering.takes(&entry) {
            render(rendering.format, &line.bytes, &rendering.origin)
        } else {
            Vec::new()
        };
        bytes += events.iter().map(|event| event.text.len()).sum::<usize>();
        batch.events.extend(events);
        batch.last = Some((line.seq, hash));
        passed += 1;
        if passed >= MAX_RECORDS || batch.events.len() >= MAX_EVENTS || bytes >= MAX_BYTES {
            break;
        }
    }
    Ok(batch)
}
