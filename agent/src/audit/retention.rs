//! How long files of the log are kept.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::error::AuditError;
use super::log::Log;
use super::record::{Event, Record};
use super::segment::remove;
use crate::config::KeepConfig;

/// A file that was put away.
#[derive(Debug, Clone)]
struct Closed {
    path: PathBuf,
    /// Number of its first line, and of the first line of the file after it.
    first: u64,
    next: u64,
    size: u64,
    /// Since its last line was written.
    age: Duration,
}

/// How many of the oldest files go: those that are too old or too much, as far as everything in them is
/// delivered (`None`: nobody waits for it). `others` are the bytes that are kept in any case.
fn expired(closed: &[Closed], others: u64, keep: &KeepConfig, delivered: Option<u64>) -> usize {
    let mut total = others + closed.iter().map(|file| file.size).sum::<u64>();
    let mut count = 0;
    for file in closed {
        let goes = file.age > keep.age.0 || total > keep.size.0;
        if !goes || delivered.is_some_and(|delivered| delivered + 1 < file.next) {
            break;
        }
        total -= file.size;
        count += 1;
    }
    count
}

impl Log {
    /// Deletes the oldest files beyond what is to be kept, and records it. `delivered` is the last record
    /// that everybody has who waits for records; `None` when nobody does.
    pub fn retain(&self, keep: &KeepConfig, delivered: Option<u64>) -> Result<(), AuditError> {
        let place = self.place();
        // Before the files are listed: what is put away meanwhile is not among them.
        let (active_first, active_size) = self.active();
        let listed: Vec<_> =
            place.all_closed()?.into_iter().filter(|c| c.0 < active_first).collect();
        let after = listed.iter().skip(1).map(|(first, _)| *first).chain([active_first]);
        let mut closed = Vec::new();
        for ((first, path), next) in listed.iter().zip(after) {
            let meta = std::fs::metadata(path)?;
            let age = SystemTime::now().duration_since(meta.modified()?).unwrap_or_default();
            let (path, first) = (path.clone(), *first);
            closed.push(Closed { path, first, next, size: meta.len(), age });
        }
        let count = expired(&closed, active_size, keep, delivered);
        let gone = closed.get(..count).unwrap_or_default();
        let (Some(from), Some(to)) = (gone.first(), gone.last()) else { return Ok(()) };
        let text = format!(
            "records {} to {} are deleted, {count} files: beyond what is kept ({}, {})",
            from.first,
            to.next - 1,
            keep.size,
            keep.age
        );
        // First the record: a file that is missing without one would look stolen.
        let kept_from = Some(to.next);
        self.append(&Record { error: Some(text), kept_from, ..Record::new(Event::Retention) })?;
        for file in gone {
            remove(&file.path)?;
        }
        place.sync_dir()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::audit::{Means, Options, logs_in, verify};
    use crate::config::{RotateConfig, Size, Span};

    fn closed(first: u64, size: u64, hours: u64) -> Closed {
        let age = Duration::from_secs(hours * 3600);
        Closed { path: PathBuf::new(), first, next: first + 10, size, age }
    }

    #[test]
    fn the_oldest_go_and_what_is_not_delivered_stays() {
        let files = [closed(1, 100, 30), closed(11, 100, 20), closed(21, 100, 10)];
        let keep =
            |size, hours: u64| KeepConfig { size: Size(size), age: Span::seconds(hours * 3600) };
        let count = |keep: KeepConfig, delivered| expired(&files, 50, &keep, delivered);
        assert_eq!(count(keep(1000, 100), None), 0);
        assert_eq!(count(keep(1000, 15), None), 2, "by age");
        assert_eq!(count(keep(250, 100), None), 1, "by size");
        assert_eq!(count(keep(0, 100), None), 3);
        for (delivered, gone) in [(0, 0), (9, 0), (10, 1), (19, 1), (20, 2), (1000, 3)] {
            assert_eq!(count(keep(0, 0), Some(delivered)), gone, "delivered up to {delivered}");
        }
    }

    #[test]
    fn what_is_deleted_is_recorded_and_the_rest_verifies() {
        let dir = tempfile::tempdir().expect("dir");
        let rotate = RotateConfig { size: Size(3000), age: Span::seconds(3600) };
        let options = Options { rotate, ..Options::default() };
        let log = Log::open_with(dir.path(), "audit", options).expect("opens");
        (0..20).for_each(|_| log.append(&Record::new(Event::Start)).expect("written"));
        let keep = KeepConfig { size: Size(7000), age: Span::seconds(3600) };
        let before = logs_in(dir.path()).expect("logs")[0].files.len();
        log.retain(&keep, Some(0)).expect("nothing to do");
        assert_eq!(logs_in(dir.path()).expect("logs")[0].files.len(), before);
        log.retain(&keep, None).expect("done");
        let files = logs_in(dir.path()).expect("logs").remove(0);
        assert!(files.files.len() < before);
        let report = verify(&files, &Means::default()).expect("read");
        assert_eq!(report.findings, []);
        assert!(report.notes.iter().any(|note| note.contains("deleted, as configured")));
        // Once more is missing than the record says.
        let next: &Path = &files.files[0].path;
        std::fs::remove_file(next).expect("removed");
        let files = logs_in(dir.path()).expect("logs").remove(0);
        let report = verify(&files, &Means::default()).expect("read");
        assert!(report.findings[0].what.contains("no record says"), "{report:?}");
    }
}
