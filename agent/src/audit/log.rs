//! The log file: JSON lines, each bound to the one before by a hash.
//!
//! A line is the record as a JSON object with three more keys at its end:
//!
//! ```text
//! {<record>,"seq":N,"prev_hash":"<hash of line N-1>","hash":"<hash>"}
//! ```
//!
//! `hash` is the SHA-256, in lower-case hexadecimal, of the line's bytes before `,"hash":`. `seq`
//! counts from 1; the first line's `prev_hash` is 64 zeros. Because the bytes as written are
//! hashed, no canonical form is needed to verify.
//!
//! A record counts as written when `write(2)` has returned: it survives the death of the process.
//! One process at a time owns a file, by `flock(2)`. A last line without its line feed was cut by
//! a crash; it is taken off when the file is opened again, and a `repair` record says so.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::record::{Event, Record};

/// Why a record could not be written. Nothing may be released then.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The directory or file cannot be opened.
    #[error("cannot open the audit log {path}: {source}")]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another process owns the file.
    #[error("the audit log {0} is in use by another warrantd; give this one its own directory")]
    InUse(PathBuf),
    /// The last whole line is not one of ours.
    #[error("the audit log {path} is damaged at its end ({why}); move it away and keep it")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A record cannot be written.
    #[error("cannot write to the audit log: {0}")]
    Write(#[from] std::io::Error),
    /// A record cannot be turned into JSON.
    #[error("cannot encode an audit record: {0}")]
    Encode(#[from] serde_json::Error),
    /// An earlier write failed in the middle of a line.
    #[error("the audit log is closed after a failed write")]
    Closed,
}

/// An open log. Records can be appended from any thread.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    file: Flock<File>,
    seq: u64,
    prev_hash: String,
    /// Bytes of whole lines.
    length: u64,
    closed: bool,
}

/// How long another owner may take to let go.
const LET_GO_WITHIN: Duration = Duration::from_secs(2);

/// Locks a log. A child that a killed warrantd had just forked shares its lock until it has become the
/// server's program or seen that its parent is dead, so the lock may outlive the owner by moments.
fn own(mut file: File) -> Result<Flock<File>, Errno> {
    let deadline = Instant::now() + LET_GO_WITHIN;
    loop {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(locked) => return Ok(locked),
            Err((_, errno)) if Instant::now() > deadline => return Err(errno),
            Err((same, _)) => file = same,
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// What binds a line to the next.
#[derive(Deserialize)]
struct Tail {
    seq: u64,
    hash: String,
}

impl Log {
    /// Opens `<dir>/<name>.jsonl` for appending; makes both when missing, readable by their owner
    /// alone.
    pub fn open(dir: &Path, name: &str) -> Result<Self, AuditError> {
        let path = dir.join(format!("{name}.jsonl"));
        let failed = |source| AuditError::Open { path: path.clone(), source };
        DirBuilder::new().recursive(true).mode(0o750).create(dir).map_err(failed)?;
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o640)
            .open(&path)
            .map_err(failed)?;
        let mut file = own(file).map_err(|_| AuditError::InUse(path.clone()))?;
        let mut state = {
            let (tail, length, cut) = last_line(&mut file, &path)?;
            if cut > 0 {
                file.set_len(length).map_err(failed)?;
            }
            let (seq, prev_hash) = tail.map_or((0, "0".repeat(64)), |t| (t.seq, t.hash));
            (State { file, seq, prev_hash, length, closed: false }, cut)
        };
        if state.1 > 0 {
            let mut record = Record::new(Event::Repair);
            record.error = Some(format!("{} bytes of a cut line were taken off", state.1));
            state.0.append(&record)?;
        }
        Ok(Self { path, state: Mutex::new(state.0) })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a record. When this returns, the record survives the death of the process. After an
    /// error nothing of it is in the log.
    pub fn append(&self, record: &Record) -> Result<(), AuditError> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).append(record)
    }
}

impl State {
    fn append(&mut self, record: &Record) -> Result<(), AuditError> {
        if self.closed {
            return Err(AuditError::Closed);
        }
        let mut line = serde_json::to_vec(record)?;
        line.pop();
        write!(line, r#","seq":{},"prev_hash":"{}""#, self.seq + 1, self.prev_hash)?;
        let hash = hex(&Sha256::digest(&line));
        writeln!(line, r#","hash":"{hash}"}}"#)?;
        if let Err(error) = self.file.write_all(&line) {
            // A full disk may have taken part of the line.
            self.closed = self.file.set_len(self.length).is_err();
            return Err(error.into());
        }
        self.length += line.len() as u64;
        self.seq += 1;
        self.prev_hash = hash;
        Ok(())
    }
}

/// The tail of the last whole line, the length of all whole lines, and the bytes after them.
fn last_line(file: &mut File, path: &Path) -> Result<(Option<Tail>, u64, u64), AuditError> {
    const BLOCK: u64 = 64 << 10;
    let failed = |source| AuditError::Open { path: path.to_owned(), source };
    let size = file.metadata().map_err(failed)?.len();
    let mut start = size;
    let mut text = Vec::new();
    // Read backwards until the text holds a whole line and the line feed before it.
    let line = loop {
        let feeds: Vec<usize> =
            text.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(i, _)| i).collect();
        match feeds.as_slice() {
            [.., before, end] => break Some((before + 1, *end)),
            [end] if start == 0 => break Some((0, *end)),
            [] if start == 0 => break None,
            _ => {}
        }
        let step = BLOCK.max(size - start).min(start);
        start -= step;
        let mut block = vec![0; usize::try_from(step).unwrap_or(usize::MAX)];
        file.seek(SeekFrom::Start(start)).map_err(failed)?;
        file.read_exact(&mut block).map_err(failed)?;
        block.extend_from_slice(&text);
        text = block;
    };
    let Some((from, to)) = line else { return Ok((None, 0, size)) };
    let line = text.get(from..to).unwrap_or_default();
    let damaged = |why: String| AuditError::Damaged { path: path.to_owned(), why };
    let tail: Tail = serde_json::from_slice(line).map_err(|e| damaged(e.to_string()))?;
    let whole = start + to as u64 + 1;
    Ok((Some(tail), whole, size - whole))
}

/// Lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // Writing to a String cannot fail.
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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
            let hash = hex(&Sha256::digest(body.as_bytes()));
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
