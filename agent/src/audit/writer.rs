//! The end of the log: the file that lines are added to, one at a time.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Seek, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, Flock, fallocate};
use serde::Deserialize;

use super::checkpoint::{Checkpoint, Reason, Signer};
use super::error::AuditError;
use super::key::AuditKey;
use super::line::{Draft, Hash};
use super::segment::{Owned, Place, Tail, TailError, tail};
use super::trouble::Trouble;
use crate::config::RotateConfig;

/// After a file could not be put away, until that is tried again.
const PUT_AWAY_AGAIN: Duration = Duration::from_secs(10);

/// Bytes that the disk takes in no time, compared with being asked at all.
const SOON_TAKEN: u64 = 64 << 10;

/// Bytes that the disk keeps free for records of calls that are in flight when it gets full.
const AHEAD: u64 = 1 << 20;

/// The end of the log.
#[derive(Debug)]
pub(super) struct Writer {
    place: Place,
    rotate: RotateConfig,
    file: Arc<Flock<File>>,
    /// Number and hash of the last line.
    seq: u64,
    prev: Hash,
    /// Bytes of whole lines.
    length: u64,
    /// The number of the file's first line.
    first: u64,
    /// When that was written.
    since: SystemTime,
    /// The file may have more than whole lines.
    torn: bool,
    /// Not before this is a file put away.
    wait: Option<Instant>,
    signer: Option<Signer>,
    /// The last checkpoint's number.
    signed: u64,
    /// Up to here the disk has room for the file.
    reserved: u64,
    /// The log cannot be written.
    trouble: Option<Trouble>,
    /// Bytes that the disk is known to have.
    synced: u64,
    /// Its bytes when it was told last that it nears its end; 0 when it was not.
    told: u64,
    /// A `fdatasync(2)` has failed. What it was of may be lost, and the next one would not say so.
    unsure: bool,
}

/// As much of a file's first line as matters here.
#[derive(Deserialize)]
struct First {
    seq: u64,
    timestamp: String,
}

impl Writer {
    /// Opens the log, mends what a crash left, and says how many bytes of a cut line that were.
    pub(super) fn open(place: Place, rotate: RotateConfig) -> Result<(Self, u64), AuditError> {
        let path = place.active();
        let failed = |source| AuditError::Open { path: path.clone(), source };
        let Owned::ByUs(mut file) = place.own().map_err(failed)? else {
            return Err(AuditError::InUse(path));
        };
        let Tail { mut last, length, cut } = tail(&mut file).map_err(|e| damaged(&path, e))?;
        if cut > 0 {
            file.set_len(length).map_err(failed)?;
        }
        let begin = if length > 0 { Some(first_line(&mut file).map_err(failed)?) } else { None };
        if last.is_none() {
            // The chain goes on from the file that was put away last.
            let closed = place.all_closed().map_err(failed)?;
            if let Some((_, path)) = closed.last() {
                let mut file = File::open(path)
                    .map_err(|source| AuditError::Open { path: path.clone(), source })?;
                let end = tail(&mut file).map_err(|e| damaged(path, e))?;
                if end.cut > 0 || end.last.is_none() {
                    let why = "it was put away and does not end with a whole record".to_owned();
                    return Err(AuditError::Damaged { path: path.clone(), why });
                }
                last = end.last;
            }
        }
        let (seq, prev) = last.unwrap_or((0, Hash::NONE));
        let (first, since) = begin.unwrap_or((seq + 1, SystemTime::now()));
        let file = Arc::new(file);
        let (torn, wait) = (false, None);
        let mut writer = Self {
            place,
            rotate,
            file,
            seq,
            prev,
            length,
            first,
            since,
            torn,
            wait,
            signer: None,
            signed: 0,
            reserved: 0,
            trouble: None,
            synced: 0,
            told: 0,
            unsure: false,
        };
        if writer.place.is_half_put_away(first) {
            // Its last line is signed already.
            writer.put_away()?;
        }
        Ok((writer, cut))
    }

    /// Has checkpoints written from now on, for the log that earlier ones were of.
    pub(super) fn sign_with(&mut self, key: Arc<AuditKey>) -> Result<(), AuditError> {
        let closed = self.place.all_closed().map(|mut closed| closed.pop());
        let newest = closed.map(|last| {
            let files = [Some(self.place.active()), last.map(|(_, path)| path)];
            let mut found = files.into_iter().flatten().map(|path| Checkpoint::last_in(&path));
            found.find(|found| !matches!(found, Ok(None))).unwrap_or(Ok(None))
        });
        let failed = |source| AuditError::Open { path: self.place.active(), source };
        let last = newest.map_err(failed)?.map_err(failed)?;
        self.signed = last.as_ref().map_or(0, |last| last.seq);
        self.signer = Some(Signer::new(key, last.map(|last| last.says.log)));
        Ok(())
    }

    /// Signs what was written, if there is something that was not signed yet. The end of the log is signed
    /// as such. Gives the checkpoint's number.
    pub(super) fn checkpoint(&mut self, reason: Reason) -> Result<Option<u64>, AuditError> {
        let Some(signer) = &self.signer else { return Ok(None) };
        if self.signed >= self.seq && reason != Reason::Stop {
            return Ok(None);
        }
        let draft = signer.draft(reason, self.seq + 1, &self.prev)?;
        self.signed = self.write(draft)?;
        Ok(Some(self.signed))
    }

    /// The number of the file's first line, and its bytes.
    pub(super) fn active(&self) -> (u64, u64) {
        (self.first, self.length)
    }

    /// Adds a line. After an error nothing of it is in the log.
    pub(super) fn write(&mut self, draft: Draft) -> Result<u64, AuditError> {
        self.write_all([draft])
    }

    /// Adds lines, with one system call. After an error nothing of them is in the log. Gives the number of the last.
    pub(super) fn write_all(
        &mut self,
        drafts: impl IntoIterator<Item = Draft>,
    ) -> Result<u64, AuditError> {
        if self.torn {
            self.mend()?;
        }
        let (mut seq, mut prev, mut text) = (self.seq, self.prev, Vec::new());
        for draft in drafts {
            seq += 1;
            let sealed = draft.seal(seq, &prev);
            prev = sealed.hash;
            if text.is_empty() {
                text = sealed.line;
            } else {
                text.extend_from_slice(&sealed.line);
            }
        }
        if let Err(error) = (&**self.file).write_all(&text) {
            // A full disk may have taken part of it.
            self.torn = true;
            let _ = self.mend(); // Else before the next one.
            let trouble = self.trouble.get_or_insert_with(|| Trouble::new(error.to_string()));
            (self.seq..seq).for_each(|_| trouble.lose());
            return Err(error.into());
        }
        if self.length == 0 {
            (self.first, self.since) = (self.seq + 1, SystemTime::now());
        }
        self.length += text.len() as u64;
        (self.seq, self.prev) = (seq, prev);
        Ok(seq)
    }

    /// Takes off what is not a whole line.
    fn mend(&mut self) -> Result<(), AuditError> {
        self.file.set_len(self.length)?;
        self.torn = false;
        self.reserved = self.reserved.min(self.length);
        Ok(())
    }

    /// The number of the last line.
    pub(super) fn last(&self) -> u64 {
        self.seq
    }

    /// Why the log cannot be written, if it could not be when that was last tried.
    pub(super) fn trouble(&self) -> Option<&str> {
        self.trouble.as_ref().map(Trouble::why)
    }

    /// Whether what happens from now on can be recorded. Calls are let through while it can: the disk has
    /// room for the records of those in flight.
    pub(super) fn is_ready(&mut self) -> Result<(), AuditError> {
        if let Err(error) = self.recover() {
            self.trouble.get_or_insert_with(|| Trouble::new(error.to_string())).refuse();
            return Err(error);
        }
        Ok(())
    }

    /// Makes room, and if there was none before says so in the log.
    pub(super) fn recover(&mut self) -> Result<(), AuditError> {
        if self.torn {
            self.mend()?;
        }
        self.reserve()?;
        if let Some(trouble) = &self.trouble {
            let record = trouble.record();
            self.write(Draft::new(&record)?)?;
            self.trouble = None;
            tracing::info!("the audit log can be written again");
        }
        Ok(())
    }

    /// Keeps room for what calls in flight have still to be recorded.
    fn reserve(&mut self) -> std::io::Result<()> {
        if self.length + AHEAD / 2 <= self.reserved {
            return Ok(());
        }
        let (from, bytes) = (self.length.try_into(), AHEAD.try_into());
        let (Ok(from), Ok(bytes)) = (from, bytes) else { return Ok(()) };
        match fallocate(&**self.file, FallocateFlags::FALLOC_FL_KEEP_SIZE, from, bytes) {
            Ok(()) => self.reserved = self.length + AHEAD,
            // Not on this file system.
            Err(Errno::EOPNOTSUPP | Errno::ENOSYS) => self.reserved = u64::MAX,
            Err(errno) => return Err(errno.into()),
        }
        Ok(())
    }

    /// What is to be synced: the file, and the last record in it.
    pub(super) fn unsynced(&mut self) -> std::io::Result<(Arc<Flock<File>>, u64, u64)> {
        if self.unsure {
            self.write_again()?;
            self.unsure = false;
        }
        Ok((self.file.clone(), self.seq, self.length))
    }

    /// How that went.
    pub(super) fn note_sync(
        &mut self,
        of: &Arc<Flock<File>>,
        length: u64,
        done: &std::io::Result<()>,
    ) {
        if !Arc::ptr_eq(of, &self.file) {
            return; // It was put away, and synced before.
        }
        match done {
            Ok(()) => self.synced = self.synced.max(length),
            Err(error) => {
                self.unsure = true;
                self.trouble.get_or_insert_with(|| Trouble::new(error.to_string())).lose();
            }
        }
    }

    /// Writes what the disk may have lost again, byte for byte.
    fn write_again(&mut self) -> std::io::Result<()> {
        // Another descriptor: this file's writes go to its end.
        let again = OpenOptions::new().write(true).open(self.place.active())?;
        let mut text = vec![0; 1 << 20];
        let mut at = self.synced;
        while at < self.length {
            let rest = usize::try_from(self.length - at).unwrap_or(usize::MAX).min(text.len());
            let part = text.get_mut(..rest).unwrap_or_default();
            self.file.read_exact_at(part, at)?;
            again.write_all_at(part, at)?;
            at += rest as u64;
        }
        Ok(())
    }

    /// Whether the file is to be put away before `more` bytes are added.
    pub(super) fn is_full(&self, more: u64) -> bool {
        let full = self.length + more > self.rotate.size.0
            || self.since.elapsed().is_ok_and(|age| age >= self.rotate.age.0);
        let waits = self.wait.is_some_and(|until| Instant::now() < until);
        self.length > 0 && full && !waits && !self.torn
    }

    /// Whether the file nears its end: once when an eighth of it is left, again when an eighth of that is, and so on.
    /// Whoever hears it has the disk take what is there, and whoever puts the file away waits for the rest alone.
    pub(super) fn nears_end(&mut self) -> bool {
        let size = self.rotate.size.0;
        let left = size.saturating_sub(self.told);
        let near = left > SOON_TAKEN && self.length >= size - left / 8;
        if near {
            self.told = self.length;
        }
        near
    }

    /// Puts the file away and begins another. If that fails the log goes on in the old one.
    pub(super) fn rotate(&mut self) {
        if let Err(error) = self.put_away() {
            let file = self.place.active();
            tracing::warn!("cannot put {} away, it grows on: {error}", file.display());
            self.wait = Some(Instant::now() + PUT_AWAY_AGAIN);
        }
    }

    fn put_away(&mut self) -> Result<(), AuditError> {
        self.checkpoint(Reason::Rotation)?;
        self.file.sync_data()?;
        let old = std::mem::replace(&mut self.file, Arc::new(self.place.put_away(self.first)?));
        let _ = old.set_len(self.length); // Gives back what was reserved; it does no harm.
        (self.length, self.reserved, self.synced, self.told) = (0, 0, 0, 0);
        (self.first, self.since) = (self.seq + 1, SystemTime::now());
        Ok(())
    }
}

impl Drop for Writer {
    /// Gives back what was reserved.
    fn drop(&mut self) {
        let _ = self.file.set_len(self.length); // It does no harm.
    }
}

/// Number and time of a file's first line.
fn first_line(file: &mut File) -> std::io::Result<(u64, SystemTime)> {
    file.rewind()?;
    let mut line = Vec::new();
    BufReader::new(file).read_until(b'\n', &mut line)?;
    let First { seq, timestamp } = serde_json::from_slice(&line)?;
    // A time that cannot be read makes the file older, which is put away earlier.
    let since = timestamp.parse().map_or(SystemTime::UNIX_EPOCH, |at: jiff::Timestamp| at.into());
    Ok((seq, since))
}

fn damaged(path: &std::path::Path, error: TailError) -> AuditError {
    let path = path.to_owned();
    match error {
        TailError::Io(source) => AuditError::Open { path, source },
        TailError::Damaged(why) => AuditError::Damaged { path, why: why.to_owned() },
    }
}
