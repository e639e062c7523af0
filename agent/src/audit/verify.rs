//! Verification of a log: that no record was changed, removed, put in, moved or cut off.
//!
//! The chain of hashes alone shows what was changed by somebody who did not write it anew. What lies before
//! a checkpoint that the key has signed cannot be written anew. What was cut off after a checkpoint shows by
//! the log's end, unless it was cut back to where an earlier process had ended in order: that shows by a
//! later checkpoint that was kept elsewhere.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use memchr::memmem;
use serde::{Deserialize, Serialize};

use super::checkpoint::{Checkpoint, Reason, is_signed};
use super::files::{LogFiles, LogPart};
use super::key::AuditPublicKey;
use super::line::{Hash, Parts};
use super::record::Event;

/// Findings that a report lists, and keys that it tells apart.
const LISTED: usize = 100;
const KEYS: usize = 20;
/// Bytes of a line, at most; a record is far smaller.
const LONGEST: u64 = 64 << 20;

/// What a log is verified with.
#[derive(Debug, Default)]
pub struct Means {
    /// The public key; without it the chain alone is checked.
    pub key: Option<AuditPublicKey>,
    /// The end may be one that nobody has signed.
    pub open_end: bool,
    /// Checkpoints that were kept elsewhere.
    pub kept: Vec<KeptCheckpoint>,
}

/// A checkpoint that was kept elsewhere. A log that lacks it was cut off or exchanged.
#[derive(Debug, Clone)]
pub struct KeptCheckpoint(Checkpoint);

/// Something that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The file.
    pub file: PathBuf,
    /// The line, counted from 1; null where the whole file is meant.
    pub line: Option<u64>,
    /// The record's number by what it says itself, or the one that should be there.
    pub seq: Option<u64>,
    /// What is wrong, and what was expected.
    pub what: String,
}

/// What verification of a log came to.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// The log's name.
    pub name: String,
    /// Its id, by its checkpoints.
    pub log: Option<String>,
    /// Files.
    pub files: usize,
    /// Records.
    pub records: u64,
    /// The first record's number.
    pub first: Option<u64>,
    /// The last record's number.
    pub last: Option<u64>,
    /// The last checkpoint's number: of those that the key has signed, if there is a key.
    pub signed_to: Option<u64>,
    /// When that was written.
    pub signed_at: Option<String>,
    /// Checkpoints.
    pub checkpoints: u64,
    /// How many of them hold: they are whole, and if there is a key, it has signed them.
    pub sound_checkpoints: u64,
    /// The keys that checkpoints name, by their fingerprints, and how many name each.
    pub keys: BTreeMap<String, u64>,
    /// Records after the last checkpoint, which are only chained.
    pub only_chained: u64,
    /// Whether signatures were checked.
    pub with_key: bool,
    /// Whether a warrantd has the log open.
    pub in_use: bool,
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// How many findings are not listed.
    pub further_findings: u64,
    /// What is worth knowing and not wrong.
    pub notes: Vec<String>,
}

impl KeptCheckpoint {
    /// Takes a line of a log that is a checkpoint; with a key it must be signed.
    pub fn read(line: &[u8], key: Option<&AuditPublicKey>) -> Option<Self> {
        let parts = Parts::of(line)?;
        let signed = key.is_none_or(|key| is_signed(&parts, key));
        let checkpoint = Checkpoint::read(line, &parts)?;
        (parts.is_whole() && signed).then_some(Self(checkpoint))
    }

    /// The id of its log.
    pub fn log(&self) -> &str {
        &self.0.says.log
    }
}

/// As much of a `retention` record as matters here.
#[derive(Deserialize)]
struct Retention {
    event: Event,
    kept_from: Option<u64>,
}

/// Where the check is.
struct Walk<'a> {
    means: &'a Means,
    report: Report,
    file: &'a Path,
    line: u64,
    /// The number that comes next, and the hash before it, if they are known.
    next: Option<u64>,
    prev: Option<Hash>,
    /// Why the last good checkpoint was written.
    reason: Option<Reason>,
    kept_from: Option<u64>,
    /// Kept checkpoints that were met.
    met: Vec<u64>,
}

/// A line that was checked.
#[derive(Debug, Clone, Copy)]
pub struct Checked<'a> {
    /// The whole line, without the line feed.
    pub bytes: &'a [u8],
    /// Its place among the files.
    pub file: &'a Path,
    /// Its place in the file, counted from 1.
    pub line: u64,
    /// Whether nothing is wrong with it by itself, its place and, if it is a checkpoint, its signature.
    pub sound: bool,
}

/// Verifies a log, reading each file once.
pub fn verify(log: &LogFiles, means: &Means) -> io::Result<Report> {
    verify_each(log, means, |_| ())
}

/// The same, and shows each line as it is read: what was checked is what was seen, also of a log that is
/// written to or tampered with meanwhile.
pub fn verify_each(
    log: &LogFiles,
    means: &Means,
    mut visit: impl FnMut(Checked<'_>),
) -> io::Result<Report> {
    let report = Report {
        name: log.name.clone(),
        files: log.files.len(),
        with_key: means.key.is_some(),
        in_use: log.in_use,
        ..Report::default()
    };
    let mut walk = Walk {
        means,
        report,
        file: Path::new(""),
        line: 0,
        next: None,
        prev: None,
        reason: None,
        kept_from: None,
        met: Vec::new(),
    };
    for part in &log.files {
        let at = |e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", part.path.display()));
        walk.file(part, log.in_use, &mut visit).map_err(at)?;
    }
    walk.beginning(log);
    walk.end(log);
    Ok(walk.report)
}

impl<'a> Walk<'a> {
    /// Findings so far.
    fn count(&self) -> u64 {
        self.report.findings.len() as u64 + self.report.further_findings
    }

    fn found(&mut self, line: Option<u64>, seq: Option<u64>, what: impl Into<String>) {
        if self.report.findings.len() < LISTED {
            let file = self.file.to_owned();
            self.report.findings.push(Finding { file, line, seq, what: what.into() });
        } else {
            self.report.further_findings += 1;
        }
    }

    fn file(
        &mut self,
        part: &'a LogPart,
        in_use: bool,
        visit: &mut dyn FnMut(Checked<'_>),
    ) -> io::Result<()> {
        self.file = &part.path;
        self.line = 0;
        let mut text = BufReader::with_capacity(256 << 10, part.open()?);
        let mut line = Vec::new();
        loop {
            line.clear();
            (&mut text).take(LONGEST).read_until(b'\n', &mut line)?;
            if line.is_empty() {
                break;
            }
            self.line += 1;
            match line.strip_suffix(b"\n") {
                Some(line) => {
                    let before = self.count();
                    self.record(line, part.first);
                    let (file, number, sound) = (self.file, self.line, self.count() == before);
                    visit(Checked { bytes: line, file, line: number, sound });
                }
                None if line.len() as u64 == LONGEST => {
                    let what =
                        format!("a line of more than {LONGEST} bytes; the rest was not read");
                    self.found(Some(self.line), self.next, what);
                    break;
                }
                None if in_use && part.first.is_none() => {
                    self.report.notes.push("a record is being written".to_owned());
                }
                None => {
                    let what =
                        format!("the last line is cut: {} bytes without a line feed", line.len());
                    self.found(Some(self.line), self.next, what);
                }
            }
        }
        if let (0, Some(first)) = (self.line, part.first) {
            self.found(None, Some(first), format!("is empty; record {first} should be its first"));
            (self.next, self.prev) = (None, None);
        }
        Ok(())
    }

    /// Checks one line.
    fn record(&mut self, line: &[u8], first: Option<u64>) {
        let at = Some(self.line);
        self.report.records += 1;
        let Some(parts) = Parts::of(line) else {
            self.found(at, self.next, "is no record that ends with its number and hashes");
            self.next = self.next.map(|next| next + 1);
            self.prev = None;
            return;
        };
        let seq = Some(parts.seq);
        let whole = parts.is_whole();
        if !whole {
            self.found(at, seq, "was changed: its hash is not that of its bytes");
        }
        // A log begins with record 1; where it begins elsewhere is looked at when all is read.
        let begins = self.report.first.is_none();
        let (next, prev) = match (begins, parts.seq) {
            (true, 1) => (Some(1), Some(Hash::NONE)),
            _ => (self.next, self.prev),
        };
        match (self.line, first) {
            (1, Some(named)) if named != parts.seq => {
                let what =
                    format!("should be record {named} by the file's name, and is {}", parts.seq);
                self.found(at, seq, what);
            }
            _ if next.is_some_and(|next| next != parts.seq) => {
                self.found(at, seq, misplaced(next.unwrap_or_default(), parts.seq));
            }
            _ if prev.is_some_and(|prev| prev != parts.prev) => {
                let what = "does not follow the record before it: one of them is not the one that was \
                            written";
                self.found(at, seq, what);
            }
            _ => {}
        }
        if begins {
            self.report.first = seq;
        }
        self.report.last = seq;
        (self.next, self.prev) = (Some(parts.seq.saturating_add(1)), Some(parts.hash));
        if let Some(kept) = self.means.kept.iter().find(|kept| kept.0.seq == parts.seq) {
            self.met.push(parts.seq);
            if kept.0.hash != parts.hash {
                let what =
                    format!("is not the checkpoint of {} that was kept elsewhere", kept.0.at);
                self.found(at, seq, what);
            }
        }
        if let Some(checkpoint) = Checkpoint::read(line, &parts) {
            self.checkpoint(checkpoint, &parts, whole);
        }
        if memmem::find(line, b"\"event\":\"retention\"").is_some()
            && let Ok(Retention { event: Event::Retention, kept_from }) =
                serde_json::from_slice(line)
        {
            self.kept_from = self.kept_from.max(kept_from);
        }
    }

    fn checkpoint(&mut self, checkpoint: Checkpoint, parts: &Parts, whole: bool) {
        let (at, seq) = (Some(self.line), Some(checkpoint.seq));
        self.report.checkpoints += 1;
        let named = &checkpoint.says.key;
        if self.report.keys.len() < KEYS || self.report.keys.contains_key(named) {
            *self.report.keys.entry(named.clone()).or_default() += 1;
        }
        if let Some(key) = &self.means.key {
            let says = &checkpoint.says.key;
            if says != key.fingerprint() {
                let what = format!(
                    "is a checkpoint of another key ({says}); this one is {}",
                    key.fingerprint()
                );
                return self.found(at, seq, what);
            }
            if !is_signed(parts, key) {
                return self.found(at, seq, "is a checkpoint whose signature is false");
            }
        }
        if !whole {
            return;
        }
        let id = checkpoint.says.log;
        match &self.report.log {
            Some(log) if *log != id => {
                let what = format!("is a checkpoint of another log ({id}); this one is {log}");
                return self.found(at, seq, what);
            }
            _ => self.report.log = Some(id),
        }
        self.report.sound_checkpoints += 1;
        self.report.signed_to = seq;
        self.report.signed_at = Some(checkpoint.at);
        self.reason = Some(checkpoint.says.reason);
    }

    /// What comes before the first record.
    fn beginning(&mut self, log: &'a LogFiles) {
        let Some(first) = self.report.first.filter(|first| *first > 1) else { return };
        self.file = log.files.first().map_or(Path::new(""), |part| part.path.as_path());
        match self.kept_from {
            Some(kept) if kept >= first => {
                let note = format!("records 1 to {} were deleted, as configured", first - 1);
                self.report.notes.push(note);
            }
            _ if !log.whole => {
                let note = format!("records 1 to {} are not in these files", first - 1);
                self.report.notes.push(note);
            }
            kept => {
                let from = kept.unwrap_or(1);
                let what = format!(
                    "records {from} to {} are missing, and no record says that they were deleted; if they \
                     were moved away, name the files to verify",
                    first - 1
                );
                self.found(None, Some(from), what);
            }
        }
    }

    /// What comes after the last one.
    fn end(&mut self, log: &'a LogFiles) {
        let Some(last) = log.files.last() else { return };
        self.file = &last.path;
        for kept in &self.means.kept {
            let (seq, at) = (kept.0.seq, &kept.0.at);
            if self.met.contains(&seq) || self.report.log.as_deref() != Some(kept.log()) {
                continue;
            }
            if self.report.first.is_some_and(|first| seq < first) {
                let note = format!("the checkpoint of {at} is older than what is kept");
                self.report.notes.push(note);
            } else {
                let what = format!(
                    "record {seq} is missing, the checkpoint of {at} that was kept elsewhere: the log was cut \
                     off before it"
                );
                self.found(None, Some(seq), what);
            }
        }
        let end = self.report.last.unwrap_or(0);
        self.report.only_chained = end.saturating_sub(
            self.report.signed_to.unwrap_or(self.report.first.map_or(0, |first| first - 1)),
        );
        if log.whole && last.first.is_some() {
            self.found(None, None, "the file after it, which is written to, is missing");
        }
        let unsigned = self.report.checkpoints == 0;
        if self.report.signed_to.is_none() && self.report.with_key {
            self.found(None, None, "no checkpoint is signed by this key");
        } else if unsigned && self.report.records > 0 {
            let note =
                "there is no checkpoint: whoever could write the files could write them anew";
            self.report.notes.push(note.to_owned());
        }
        if log.in_use || self.means.open_end || unsigned {
            return;
        }
        if self.report.only_chained > 0 {
            let what = format!(
                "the last {} records are after the last checkpoint: warrantd was killed, or what followed \
                 was cut off (--open accepts this)",
                self.report.only_chained
            );
            self.found(None, self.report.last, what);
        } else if last.first.is_none() && self.reason != Some(Reason::Stop) {
            let what = "the log ends with a checkpoint that is not of its end: warrantd was killed, or what \
                        followed was cut off (--open accepts this)";
            self.found(None, self.report.last, what);
        }
    }
}

fn misplaced(expected: u64, found: u64) -> String {
    if found > expected {
        let (what, are) = if found == expected + 1 {
            (format!("record {expected}"), "is")
        } else {
            (format!("records {expected} to {}", found - 1), "are")
        };
        format!("record {expected} should stand here, and {found} does: {what} {are} missing")
    } else {
        format!(
            "record {expected} should stand here, and {found} does: it was put in, moved or repeated"
        )
    }
}
