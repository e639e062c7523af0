//! The audit log, read along as it is written: nothing may be missing, and old files go as others come.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, ensure};
use memchr::memmem;

use crate::calls::field;

/// How often it is looked at. A file must not be filled and put away twice meanwhile.
const EVERY: Duration = Duration::from_millis(500);

/// Reads a log until this is set and everything is read, and gives the number of calls in it. A record whose number does
/// not follow the one before is an error.
pub fn follow(directory: &Path, over: &AtomicBool) -> anyhow::Result<usize> {
    let mut log = Followed::open(directory.join("audit.jsonl"))?;
    while !over.load(Ordering::Relaxed) {
        log.read()?;
        thread::sleep(EVERY);
    }
    log.read()?;
    Ok(log.calls)
}

struct Followed {
    path: PathBuf,
    file: BufReader<File>,
    /// A line that is not there whole yet.
    line: Vec<u8>,
    last: u64,
    calls: usize,
}

impl Followed {
    fn open(path: PathBuf) -> anyhow::Result<Self> {
        let file = reader(&path)?;
        Ok(Self { path, file, line: Vec::new(), last: 0, calls: 0 })
    }

    /// Reads what is there.
    fn read(&mut self) -> anyhow::Result<()> {
        loop {
            let now = fs::metadata(&self.path)?.ino();
            // Whatever was put away before is whole now.
            self.read_file()?;
            if self.file.get_ref().metadata()?.ino() == now {
                return Ok(());
            }
            ensure!(self.line.is_empty(), "a file was put away with half a record");
            self.file = reader(&self.path)?;
        }
    }

    fn read_file(&mut self) -> anyhow::Result<()> {
        while self.file.read_until(b'\n', &mut self.line)? > 0 {
            if self.line.last() != Some(&b'\n') {
                return Ok(());
            }
            let place = memmem::rfind(&self.line, b"\"seq\":").context("a record has a number")?;
            let number = field(&self.line[place..], b"\"seq\":").map(String::from_utf8_lossy);
            let number: u64 = number.context("a record has a number")?.parse()?;
            ensure!(number == self.last + 1, "record {number} follows record {}", self.last);
            self.last = number;
            self.calls += usize::from(memmem::find(&self.line, b"\"event\":\"call\"").is_some());
            self.line.clear();
        }
        Ok(())
    }
}

fn reader(path: &Path) -> anyhow::Result<BufReader<File>> {
    let file = File::open(path).with_context(|| path.display().to_string())?;
    Ok(BufReader::with_capacity(1 << 20, file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_followed_and_a_gap_is_seen() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("audit.jsonl");
        let line =
            |event: &str, seq: u64| format!("{{\"event\":\"{event}\",\"seq\":{seq},\"hash\":0}}\n");
        fs::write(&path, line("start", 1) + &line("call", 2) + "{\"event\":").expect("written");
        let mut log = Followed::open(path.clone()).expect("opened");
        log.read().expect("read");
        assert_eq!((log.last, log.calls), (2, 1));
        let rest = line("call", 3).replacen("{\"event\":", "", 1);
        fs::write(&path, line("start", 1) + &line("call", 2) + "{\"event\":" + &rest)
            .expect("written");
        fs::rename(&path, directory.path().join("audit.1.jsonl")).expect("put away");
        fs::write(&path, line("call", 4)).expect("written");
        log.read().expect("read");
        assert_eq!((log.last, log.calls), (4, 3));
        fs::write(&path, line("call", 4) + &line("call", 6)).expect("written");
        assert!(log.read().expect_err("a gap").to_string().contains("record 6 follows record 4"));
    }
}
