//! What somebody can do to a log who can write its files, each thing done and found.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::line::{Draft, Hash, Parts};
use super::{
    AuditKey, AuditPublicKey, Event, Finding, KeptCheckpoint, Log, Means, Options, Reason, Record,
    Report, logs_in, verify,
};
use crate::config::{RotateConfig, Size, Span};

/// A log of two files that was closed in order, with a checkpoint in the midst of each.
struct Stage {
    dir: tempfile::TempDir,
    key: AuditPublicKey,
    files: Vec<(PathBuf, Vec<u8>)>,
}

impl Stage {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("dir");
        let log = Self::log(dir.path());
        for number in 0..8 {
            append(&log, &format!("record {number}"));
            if number % 4 == 1 {
                log.checkpoint(Reason::Interval).expect("signed");
            }
        }
        log.checkpoint(Reason::Stop).expect("signed");
        drop(log);
        let key = AuditPublicKey::read(&dir.path().join("audit.pub")).expect("a key");
        let mut stage = Self { dir, key, files: Vec::new() };
        stage.keep();
        assert_eq!(stage.files.len(), 2, "{:?}", stage.files);
        stage
    }

    fn log(dir: &Path) -> Log {
        let key = AuditKey::open_or_make(&dir.join("audit.key")).expect("a key");
        let rotate = RotateConfig { size: Size(6000), age: Span::seconds(3600) };
        let options = Options { rotate, key: Some(Arc::new(key)), ..Options::default() };
        Log::open_with(&dir.join("log"), "audit", options).expect("opens")
    }

    /// Remembers the files as they are.
    fn keep(&mut self) {
        let found = fs::read_dir(self.dir.path().join("log")).expect("files");
        let mut paths: Vec<PathBuf> = found.map(|entry| entry.expect("file").path()).collect();
        paths.sort();
        self.files = paths.into_iter().map(|p| (p.clone(), fs::read(p).expect("text"))).collect();
    }

    fn verify(&self, means: &Means) -> Report {
        let logs = logs_in(&self.dir.path().join("log")).expect("logs");
        assert_eq!(logs.len(), 1);
        verify(&logs[0], means).expect("read")
    }

    fn means(&self) -> Means {
        Means { key: Some(self.key.clone()), ..Means::default() }
    }

    /// Puts `text` in place of a file, expects that it is found, and puts the file back.
    fn expect_found(&self, file: usize, text: &[u8], what: &str) {
        let (path, whole) = &self.files[file];
        assert_ne!(text, whole, "{what} changes nothing");
        fs::write(path, text).expect("written");
        let report = self.verify(&self.means());
        assert!(!report.findings.is_empty(), "not found: {what} in file {file}");
        fs::write(path, whole).expect("written");
    }

    fn expect_untouched(&self) {
        let report = self.verify(&self.means());
        assert_eq!(report.findings, [], "{report:?}");
        assert_eq!(report.only_chained, 0);
    }

    fn lines(&self, file: usize) -> Vec<Vec<u8>> {
        self.files[file].1.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
    }
}

fn append(log: &Log, text: &str) {
    let error = Some(text.to_owned());
    log.append(&Record { error, ..Record::new(Event::Call) }).expect("written");
}

/// Binds lines anew, as somebody without the key can, from what they say on.
fn rechained(lines: &[Vec<u8>], mut seq: u64, mut prev: Hash) -> Vec<u8> {
    let mut text = Vec::new();
    for line in lines {
        let parts = Parts::of(line.strip_suffix(b"\n").expect("whole")).expect("a line");
        let sealed = Draft::from_open(parts.record.to_vec()).seal(seq, &prev);
        (seq, prev) = (seq + 1, sealed.hash);
        text.extend(sealed.line);
    }
    text
}

#[test]
fn every_changed_removed_and_inserted_byte_is_found() {
    let stage = Stage::new();
    stage.expect_untouched();
    for file in 0..stage.files.len() {
        let whole = &stage.files[file].1;
        for at in 0..whole.len() {
            let mut text = whole.clone();
            text[at] ^= 1 << (at % 7);
            stage.expect_found(file, &text, &format!("byte {at} changed"));
            let mut text = whole.clone();
            text.remove(at);
            stage.expect_found(file, &text, &format!("byte {at} removed"));
            for byte in [whole[at], b'\n'] {
                let mut text = whole.clone();
                text.insert(at, byte);
                stage.expect_found(file, &text, &format!("byte {byte} put in at {at}"));
            }
        }
        let mut text = whole.clone();
        text.push(b'\n');
        stage.expect_found(file, &text, "an empty line at the end");
    }
    stage.expect_untouched();
}

#[test]
fn every_removed_repeated_moved_forged_and_cut_record_is_found() {
    let stage = Stage::new();
    for file in 0..stage.files.len() {
        let lines = stage.lines(file);
        let first = Parts::of(lines[0].trim_ascii_end()).expect("a line");
        for at in 0..lines.len() {
            let mut without = lines.clone();
            without.remove(at);
            stage.expect_found(file, &without.concat(), &format!("line {at} removed"));
            let rebound = rechained(&without, first.seq, first.prev);
            stage.expect_found(file, &rebound, &format!("line {at} removed and bound anew"));
            let mut twice = lines.clone();
            twice.insert(at, lines[at].clone());
            stage.expect_found(file, &twice.concat(), &format!("line {at} repeated"));
            for other in at + 1..lines.len() {
                let mut swapped = lines.clone();
                swapped.swap(at, other);
                stage.expect_found(file, &swapped.concat(), &format!("{at} and {other} swapped"));
                let rebound = rechained(&swapped, first.seq, first.prev);
                stage.expect_found(
                    file,
                    &rebound,
                    &format!("{at} and {other} swapped, bound anew"),
                );
            }
            let mut forged = lines.clone();
            let draft = Draft::new(&Record::new(Event::Call)).expect("a record");
            forged.insert(at, draft.seal(first.seq + at as u64, &first.prev).line);
            stage.expect_found(file, &forged.concat(), &format!("a record put in at {at}"));
            let rebound = rechained(&forged, first.seq, first.prev);
            stage.expect_found(file, &rebound, &format!("a record put in at {at}, bound anew"));
            let mut changed = lines.clone();
            let text = String::from_utf8(lines[at].clone()).expect("text");
            changed[at] = text.replacen("\"timestamp\":\"2", "\"timestamp\":\"1", 1).into_bytes();
            let rebound = rechained(&changed, first.seq, first.prev);
            stage.expect_found(file, &rebound, &format!("line {at} changed and bound anew"));
            let before: usize = lines[..at].iter().map(Vec::len).sum();
            for cut in [before, before + 1, before + lines[at].len() - 1] {
                let text = &stage.files[file].1[..cut];
                stage.expect_found(file, text, &format!("cut off after {cut} bytes"));
            }
        }
    }
    stage.expect_untouched();
}

/// Whoever writes all files anew cannot sign them.
#[test]
fn a_log_written_anew_as_a_whole_is_found() {
    let stage = Stage::new();
    let (mut seq, mut prev) = (1, Hash::NONE);
    for file in 0..stage.files.len() {
        let lines = stage.lines(file);
        let mut changed = lines.clone();
        let text = String::from_utf8(lines[0].clone()).expect("text");
        changed[0] = text.replacen("record 0", "nothing", 1).into_bytes();
        let text = rechained(&changed, seq, prev);
        let last = text.trim_ascii_end().rsplit(|byte| *byte == b'\n').next().expect("a line");
        let parts = Parts::of(last).expect("a line");
        (seq, prev) = (parts.seq + 1, parts.hash);
        fs::write(&stage.files[file].0, text).expect("written");
    }
    assert_eq!(stage.verify(&Means::default()).findings, [], "the chain alone does not show it");
    let report = stage.verify(&stage.means());
    let is_false = |finding: &&Finding| finding.what.contains("signature is false");
    assert_eq!(report.findings.iter().filter(is_false).count() as u64, report.checkpoints);
}

#[test]
fn files_that_are_missing_empty_or_exchanged_are_found() {
    let mut stage = Stage::new();
    for file in 0..stage.files.len() {
        fs::remove_file(&stage.files[file].0).expect("removed");
        assert!(!stage.verify(&stage.means()).findings.is_empty(), "file {file} is missing");
        fs::write(&stage.files[file].0, &stage.files[file].1).expect("written");
        stage.expect_found(file, b"", "an empty file");
        stage.expect_found(file, &stage.files[1 - file].1, "the other file");
    }
    // Another log with the same key.
    let other = Stage::new();
    for (file, (path, _)) in stage.files.iter().enumerate() {
        fs::write(path, &other.files[file].1).expect("written");
    }
    assert!(!stage.verify(&stage.means()).findings.is_empty(), "another key's log");
    stage.keep();
}

/// Back to where an earlier process had ended in order: only what was kept elsewhere tells.
#[test]
fn a_log_cut_back_to_an_earlier_end_is_found_by_a_later_checkpoint() {
    let mut stage = Stage::new();
    let log = Stage::log(stage.dir.path());
    append(&log, "later");
    log.checkpoint(Reason::Stop).expect("signed");
    drop(log);
    let early = stage.files[1].clone();
    stage.keep();
    let latest = stage.lines(stage.files.len() - 1).pop().expect("a line");
    let kept =
        KeptCheckpoint::read(latest.trim_ascii_end(), Some(&stage.key)).expect("a checkpoint");
    assert!(KeptCheckpoint::read(&stage.lines(0)[0], None).is_none(), "no checkpoint");
    let means = Means { kept: vec![kept], ..stage.means() };
    assert_eq!(stage.verify(&means).findings, []);
    fs::write(&early.0, &early.1).expect("written");
    assert_eq!(stage.verify(&stage.means()).findings, [], "nothing in the files shows it");
    let report = stage.verify(&means);
    assert!(report.findings[0].what.contains("was cut off"), "{report:?}");
}

/// A killed process leaves an end that nobody has signed; the next one signs it.
#[test]
fn what_a_killed_process_left_is_told_and_signed_by_the_next() {
    let stage = Stage::new();
    let log = Stage::log(stage.dir.path());
    append(&log, "unsigned");
    let report = stage.verify(&stage.means());
    assert!(report.in_use && report.findings.is_empty(), "{report:?}");
    assert_eq!(report.only_chained, 1);
    drop(log);
    let report = stage.verify(&stage.means());
    assert!(report.findings[0].what.contains("--open"), "{report:?}");
    assert_eq!(stage.verify(&Means { open_end: true, ..stage.means() }).findings, []);
    let log = Stage::log(stage.dir.path());
    let report = stage.verify(&stage.means());
    assert_eq!((report.only_chained, report.findings.len()), (0, 0), "{report:?}");
    log.checkpoint(Reason::Stop).expect("signed");
    drop(log);
    stage.expect_untouched();
}
