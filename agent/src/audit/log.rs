//! The audit log: files of JSON lines, each line bound to the one before by a hash.
//!
//! A line is the record as a JSON object with three more keys at its end:
//!
//! ```text
//! {<record>,"seq":N,"prev_hash":"<hash of line N-1>","hash":"<hash>"}
//! ```
//!
//! `hash` is the SHA-256, in lower-case hexadecimal, of the line's bytes before `,"hash":`. `seq`
//! counts from 1; the first line's `prev_hash` is 64 zeros. Because the bytes as written are
//! hashed, no canonical form is needed to verify. The chain goes on from file to file; how files are
//! named and put away is said in [`super::segment`].
//!
//! With a key there are checkpoints, which are signed; see [`super::checkpoint`].
//!
//! A record counts as written when `write(2)` has returned: it survives the death of the process; or, with
//! durability `power`, when `fdatasync(2)` has.
//! One process at a time owns a log, by `flock(2)`. A last line without its line feed was cut by
//! a crash; it is taken off when the log is opened again, and a `repair` record says so.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::Notify;

use super::checkpoint::Reason;
use super::error::AuditError;
use super::group::Group;
use super::key::AuditKey;
use super::line::Draft;
use super::record::{Event, Record};
use super::segment::Place;
use super::writer::Writer;
use crate::aside::aside;
use crate::config::{Durability, RotateConfig};

/// How a log is kept.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// When a file is put away.
    pub rotate: RotateConfig,
    /// What checkpoints are signed with; without it there are none.
    pub key: Option<Arc<AuditKey>>,
    /// What a record survives that was written.
    pub durability: Durability,
}

/// Looks on as records are written. It must be quick: writers wait for it.
pub trait Observer: fmt::Debug + Send + Sync {
    /// A record is in the log.
    fn written(&self, record: &Record);
    /// A record could not be written.
    fn failed(&self);
}

/// An open log. Records can be appended from any thread.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    place: Place,
    durability: Durability,
    writer: Mutex<Writer>,
    observer: OnceLock<Arc<dyn Observer>>,
    group: Group,
    near_end: Notify,
}

/// A record that is ready to be written.
pub struct Prepared {
    draft: Draft,
    /// For who looks on.
    record: Option<Box<Record>>,
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared").field("bytes", &self.draft.size()).finish_non_exhaustive()
    }
}

impl Log {
    /// Opens `<dir>/<name>.jsonl` for appending; makes both when missing, readable by their owner
    /// alone.
    pub fn open(dir: &Path, name: &str) -> Result<Self, AuditError> {
        Self::open_with(dir, name, Options::default())
    }

    /// The same, kept as `options` say.
    pub fn open_with(dir: &Path, name: &str, options: Options) -> Result<Self, AuditError> {
        let place = Place::new(dir, name);
        let path = place.active();
        let (mut writer, cut) = Writer::open(place.clone(), options.rotate)?;
        if let Some(key) = options.key {
            writer.sign_with(key)?;
        }
        let (writer, group) = (Mutex::new(writer), Group::default());
        let (durability, observer) = (options.durability, OnceLock::new());
        let near_end = Notify::new();
        let log = Self { path, place, durability, writer, observer, group, near_end };
        if cut > 0 {
            let mut record = Record::new(Event::Repair);
            record.error = Some(format!("{cut} bytes of a cut line were taken off"));
            log.append(&record)?;
        }
        // What an earlier process left becomes certain before more is added.
        log.checkpoint(Reason::Start)?;
        Ok(log)
    }

    /// The file that is written to.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a record. When this returns, the record survives the death of the process, or with
    /// [`Durability::Power`] loss of power. After an error what it is of must not be released; nothing of it
    /// is in the log, unless the disk failed after it was written.
    pub fn append(&self, record: &Record) -> Result<(), AuditError> {
        let written = self.write(record);
        if let Some(observer) = self.observer.get() {
            match &written {
                Ok(()) => observer.written(record),
                Err(_) => observer.failed(),
            }
        }
        written
    }

    /// Makes a record ready to be written together with others.
    pub fn prepare(&self, record: Record) -> Result<Prepared, AuditError> {
        let draft = Draft::new(&record)?;
        Ok(Prepared { draft, record: self.observer.get().map(|_| Box::new(record)) })
    }

    /// Writes records, in this order and with one system call. What is true of [`Log::append`] and one record is
    /// true of all of them here.
    pub fn append_all(&self, records: Vec<Prepared>) -> Result<(), AuditError> {
        let (drafts, records): (Vec<Draft>, Vec<_>) =
            records.into_iter().map(|prepared| (prepared.draft, prepared.record)).unzip();
        if drafts.is_empty() {
            return Ok(());
        }
        let written = {
            let mut writer = self.writer();
            if writer.is_full(drafts.iter().map(Draft::size).sum()) {
                writer.rotate();
            }
            let written = writer.write_all(drafts);
            self.tell_end(&mut writer);
            written
        };
        let written = written.and_then(|seq| self.settle(seq));
        if let Some(observer) = self.observer.get() {
            for record in records.iter().flatten() {
                match &written {
                    Ok(()) => observer.written(record),
                    Err(_) => observer.failed(),
                }
            }
        }
        written
    }

    /// The number of the last record; 0 when there is none.
    pub fn written(&self) -> u64 {
        self.writer().last()
    }

    /// Why the log cannot be written, if it could not be when that was last tried.
    pub fn trouble(&self) -> Option<String> {
        self.writer().trouble().map(str::to_owned)
    }

    /// Has all records that follow looked at. The first observer stays.
    pub fn observe(&self, observer: Arc<dyn Observer>) {
        let _ = self.observer.set(observer);
    }

    fn write(&self, record: &Record) -> Result<(), AuditError> {
        let draft = Draft::new(record)?;
        let seq = {
            let mut writer = self.writer();
            if writer.is_full(draft.size()) {
                writer.rotate();
            }
            let seq = writer.write(draft)?;
            self.tell_end(&mut writer);
            seq
        };
        self.settle(seq)
    }

    /// Waits until the file that is written to nears its end. Who then has it [synced](Self::sync) spares writers the wait
    /// for all of it, which comes when it is put away: the files after it must not be on the disk before it is.
    pub(super) async fn nears_end(&self) {
        self.near_end.notified().await;
    }

    fn tell_end(&self, writer: &mut Writer) {
        if writer.nears_end() {
            self.near_end.notify_one();
        }
    }

    /// Whether what happens from now on can be recorded; otherwise nothing may be begun. This makes room for
    /// what calls in flight have still to be recorded, and recovers when there is room again.
    pub fn is_ready(&self) -> Result<(), AuditError> {
        let ready = self.writer().is_ready();
        if let (Err(_), Some(observer)) = (&ready, self.observer.get()) {
            observer.failed();
        }
        ready
    }

    /// Signs what was written since the last checkpoint, if anything was. Does nothing without a key.
    pub fn checkpoint(&self, reason: Reason) -> Result<(), AuditError> {
        let seq = {
            let mut writer = self.writer();
            writer.recover()?;
            writer.checkpoint(reason)?
        };
        seq.map_or(Ok(()), |seq| self.settle(seq))
    }

    /// Waits until a record is as durable as it should be.
    fn settle(&self, seq: u64) -> Result<(), AuditError> {
        if self.durability == Durability::Process {
            return Ok(());
        }
        aside(|| self.group.wait(seq, || self.sync()))?;
        Ok(())
    }

    /// Has the disk take what is written, while others write on. Gives the number of the last record that it has.
    pub(super) fn sync(&self) -> io::Result<u64> {
        let (file, seq, length) = self.writer().unsynced()?;
        let done = file.sync_data();
        self.writer().note_sync(&file, length, &done);
        done.map(|()| seq)
    }

    /// Where it is.
    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// The number of the first line in the file that is written to, and the file's bytes.
    pub(super) fn active(&self) -> (u64, u64) {
        self.writer().active()
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::io::Write;
    use std::thread;
    use std::time::Duration;

    use sha2::{Digest, Sha256};

    use super::*;
    use crate::config::{Size, Span};

    fn lines(log: &Log) -> Vec<String> {
        std::fs::read_to_string(log.path()).expect("log").lines().map(str::to_owned).collect()
    }

    fn record(actor: &str) -> Record {
        Record { actor: Some(actor.to_owned()), ..Record::new(Event::Call) }
    }

    /// Checks the chain with nothing but what the module's documentation says.
    fn assert_chain(lines: &[String]) {
        let mut prev = "0".repeat(64);
        for (index, line) in lines.iter().enumerate() {
            let (body, rest) = line.rsplit_once(r#","hash":""#).expect("hash");
            let hash = data_encoding::HEXLOWER.encode(&Sha256::digest(body.as_bytes()));
            assert_eq!(rest, format!("{hash}\"}}"));
            let end = format!(r#","seq":{},"prev_hash":"{prev}""#, index + 1);
            assert!(body.ends_with(&end), "{body}");
            prev = hash;
        }
    }

    #[test]
    fn records_are_chained_across_restarts() {
        let dir = tempfile::tempdir().expect("dir");
        for round in 0..3 {
            let log = Log::open(dir.path(), "audit").expect("opens");
            log.append(&record("a")).expect("written");
            log.append(&record(&"long".repeat(50_000))).expect("written");
            assert_eq!(lines(&log).len(), 2 * (round + 1));
            assert_chain(&lines(&log));
        }
    }

    #[test]
    fn records_that_are_written_together_are_chained() {
        let dir = tempfile::tempdir().expect("dir");
        let log = Log::open_with(dir.path(), "audit", small()).expect("opens");
        for round in 1..=5 {
            log.append_all(Vec::new()).expect("nothing to write");
            let all = (0..round).map(|_| log.prepare(record("a")).expect("encodes"));
            log.append_all(all.collect()).expect("written");
            log.append(&record("b")).expect("written");
        }
        assert_chain(&all_lines(dir.path()));
        assert_eq!(all_lines(dir.path()).len(), 20);
        assert_eq!(log.written(), 20);
    }

    #[test]
    fn a_cut_line_is_taken_off_and_reported() {
        let dir = tempfile::tempdir().expect("dir");
        let log = Log::open(dir.path(), "audit").expect("opens");
        log.append(&record("a")).expect("written");
        let path = log.path().to_owned();
        drop(log);
        let mut file = OpenOptions::new().append(true).open(path).expect("opens");
        file.write_all(b"{\"timestamp\":\"20").expect("written");
        let log = Log::open(dir.path(), "audit").expect("opens");
        log.append(&record("b")).expect("written");
        let lines = lines(&log);
        assert_chain(&lines);
        assert!(lines[1].contains(r#""event":"repair""#), "{}", lines[1]);
        assert_eq!(lines.len(), 3);
    }

    #[test]
    fn one_process_owns_a_log_and_a_strange_file_is_not_touched() {
        let dir = tempfile::tempdir().expect("dir");
        let _log = Log::open(dir.path(), "audit").expect("opens");
        assert!(matches!(Log::open(dir.path(), "audit"), Err(AuditError::InUse(_))));
        std::fs::write(dir.path().join("other.jsonl"), "not ours\n").expect("written");
        assert!(matches!(Log::open(dir.path(), "other"), Err(AuditError::Damaged { .. })));
    }

    /// What happens when a daemon is killed while it forks: the child has the same open file.
    #[test]
    fn an_owner_that_is_about_to_let_go_is_waited_for() {
        let dir = tempfile::tempdir().expect("dir");
        let log = Log::open(dir.path(), "audit").expect("opens");
        let (ready, go) = std::sync::mpsc::channel();
        let owner = thread::spawn(move || {
            ready.send(()).expect("waited for");
            thread::sleep(Duration::from_millis(100));
            drop(log);
        });
        go.recv().expect("the owner runs");
        assert!(Log::open(dir.path(), "audit").is_ok());
        owner.join().expect("let go");
    }

    fn small() -> Options {
        Options {
            rotate: RotateConfig { size: Size(4000), age: Span::seconds(3600) },
            ..Options::default()
        }
    }

    fn all_lines(dir: &Path) -> Vec<String> {
        let place = Place::new(dir, "audit");
        let mut files: Vec<_> =
            place.all_closed().expect("files").into_iter().map(|f| f.1).collect();
        files.push(place.active());
        let text = |path| std::fs::read_to_string(path).expect("text");
        files
            .iter()
            .flat_map(|path| text(path).lines().map(str::to_owned).collect::<Vec<_>>())
            .collect()
    }

    #[test]
    fn files_are_put_away_and_the_chain_goes_on() {
        let dir = tempfile::tempdir().expect("dir");
        for _ in 0..3 {
            let log = Log::open_with(dir.path(), "audit", small()).expect("opens");
            for _ in 0..10 {
                log.append(&record("a")).expect("written");
                assert!(std::fs::metadata(log.path()).expect("there").len() <= 4000);
            }
        }
        assert_chain(&all_lines(dir.path()));
        assert_eq!(all_lines(dir.path()).len(), 30);
        let closed = Place::new(dir.path(), "audit").all_closed().expect("files");
        assert!(closed.len() > 3, "{closed:?}");
        for (first, path) in closed {
            assert_eq!(super::super::segment::first_of(&path).expect("read"), Some(first));
        }
    }

    #[test]
    fn many_threads_write_to_the_disk_and_the_chain_holds() {
        let dir = tempfile::tempdir().expect("dir");
        let options = Options { durability: Durability::Power, ..small() };
        let log = Log::open_with(dir.path(), "audit", options).expect("opens");
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..25).for_each(|_| log.append(&record("a")).expect("written")));
            }
        });
        assert_chain(&all_lines(dir.path()));
        assert_eq!(all_lines(dir.path()).len(), 200);
    }

    /// Room is reserved while the log is open, and given back.
    #[test]
    fn a_log_keeps_room_ahead_and_gives_it_back() {
        use std::os::unix::fs::MetadataExt;
        let dir = tempfile::tempdir().expect("dir");
        let log = Log::open(dir.path(), "audit").expect("opens");
        log.is_ready().expect("room");
        log.append(&record("a")).expect("written");
        let path = log.path().to_owned();
        let blocks = || std::fs::metadata(&path).expect("there").blocks() * 512;
        assert!(blocks() >= 1 << 20 || blocks() < 8192, "{}", blocks()); // Where it can be reserved.
        drop(log);
        assert!(blocks() <= 8192, "{}", blocks());
    }

    /// Few times for each file, so that nobody syncs again and again; the last time little is left.
    #[tokio::test]
    async fn that_a_file_nears_its_end_is_told_twice() {
        let dir = tempfile::tempdir().expect("dir");
        let rotate = RotateConfig { size: Size(1 << 20), age: Span::seconds(3600) };
        let options = Options { rotate, ..Options::default() };
        let log = Log::open_with(dir.path(), "audit", options).expect("opens");
        let told = async || tokio::time::timeout(Duration::ZERO, log.nears_end()).await.is_ok();
        let (mut left, mut files) = (Vec::new(), 0);
        let place = Place::new(dir.path(), "audit");
        while files < 3 {
            log.append(&record(&"long".repeat(1000))).expect("written");
            if told().await {
                left.push((1 << 20) - log.active().1);
            }
            assert!(!told().await);
            files = place.all_closed().expect("files").len();
        }
        assert_eq!(left.len(), 6, "{left:?}");
        assert!(left.chunks(2).all(|file| file[0] <= 128 << 10 && file[1] <= 16 << 10), "{left:?}");
        assert_eq!(log.sync().expect("synced"), log.written());
    }

    #[test]
    fn an_old_file_is_put_away() {
        let dir = tempfile::tempdir().expect("dir");
        let rotate = RotateConfig { size: Size(1 << 20), age: Span(Duration::ZERO) };
        let log = Log::open_with(dir.path(), "audit", Options { rotate, ..Options::default() })
            .expect("opens");
        for _ in 0..3 {
            log.append(&record("a")).expect("written");
        }
        assert_eq!(Place::new(dir.path(), "audit").all_closed().expect("files").len(), 2);
        assert_chain(&all_lines(dir.path()));
    }

    /// Between the two steps of putting a file away, and before the first line of the next.
    #[test]
    fn a_crash_while_a_file_is_put_away_is_mended() {
        let dir = tempfile::tempdir().expect("dir");
        let place = Place::new(dir.path(), "audit");
        drop({
            let log = Log::open(dir.path(), "audit").expect("opens");
            log.append(&record("a")).expect("written");
            log
        });
        std::fs::hard_link(place.active(), place.closed(1)).expect("linked");
        std::fs::write(dir.path().join("audit.next"), "").expect("written");
        let log = Log::open(dir.path(), "audit").expect("opens");
        assert_eq!(lines(&log).len(), 0);
        drop(log);
        let log = Log::open(dir.path(), "audit").expect("opens");
        log.append(&record("b")).expect("written");
        assert_chain(&all_lines(dir.path()));
        assert_eq!(all_lines(dir.path()).len(), 2);
        assert!(!dir.path().join("audit.next").exists());
    }

    #[test]
    fn every_field_is_present() {
        let value = serde_json::to_value(Record::new(Event::Start)).expect("encodes");
        for field in [
            "timestamp",
            "correlation_id",
            "session_id",
            "actor",
            "source_ip",
            "tool_name",
            "arguments",
            "server_id",
            "policy_decision",
            "policy_rule_matched",
            "auth_method",
            "status",
            "error",
            "duration_ms",
            "result_metadata",
            "model_output_ref",
            "context_sources",
            "end_user_id",
            "effective_principal",
            "effects",
        ] {
            assert!(value.get(field).is_some(), "{field}");
        }
    }
}
