//! Reads the log from a place on, from file to file, and goes on when more is written.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::line::Parts;
use super::segment::{Place, first_of, same, tail};

/// Why the log cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A file cannot be read.
    #[error("cannot read the audit log {path}: {source}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What is asked for is not kept any more.
    #[error("record {wanted} of the audit log is not kept any more; record {first} is the first")]
    Gone {
        /// The record that was asked for.
        wanted: u64,
        /// The first one that there is.
        first: u64,
    },
    /// A file does not hold what its place in the log says.
    #[error(
        "{path}: record {expected} should stand at byte {at} and does not; see `warrantd audit verify`"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where.
        at: u64,
        /// What should be there.
        expected: u64,
    },
}

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its number.
    pub seq: u64,
    /// The whole line, without the line feed.
    pub bytes: Vec<u8>,
}

/// Reads the log from a sequence number on, across files, and goes on when more is written. Hashes are not
/// checked, numbers are.
#[derive(Debug)]
pub struct Reader {
    place: Place,
    /// The number of the line to give next.
    next: u64,
    file: Option<Open>,
}

#[derive(Debug)]
struct Open {
    path: PathBuf,
    text: BufReader<File>,
    /// Where the next line begins.
    at: u64,
    /// The number of that line; `None` before the first one was read.
    seq: Option<u64>,
    /// Lines that were read.
    given: u64,
}

/// How often a file is looked for that is put away meanwhile.
const TRIES: usize = 100;

/// What stands at a place of a file.
enum Found {
    Line(Vec<u8>, u64),
    /// Nothing, or the beginning of a line.
    End,
    /// Something else than the line that belongs there.
    Other,
}

impl Reader {
    /// Reads the log `name` in `dir` from record `from` on (0 and 1: from the first one). A log that does
    /// not exist yet has nothing for now.
    pub fn open(dir: &Path, name: &str, from: u64) -> Result<Self, ReadError> {
        let mut reader = Self { place: Place::new(dir, name), next: from.max(1), file: None };
        reader.find()?;
        Ok(reader)
    }

    /// The number of the record that comes next.
    pub fn position(&self) -> u64 {
        self.next
    }

    /// The next line; `None` when there is nothing more for now.
    #[allow(clippy::should_implement_trait)] // After `None` there may be more.
    pub fn next(&mut self) -> Result<Option<Line>, ReadError> {
        let mut tries = 0;
        loop {
            if self.file.is_none() && !self.find()? {
                return Ok(None);
            }
            let Some(open) = &mut self.file else { return Ok(None) };
            match open.line()? {
                Some((seq, _)) if seq < self.next => {}
                Some((seq, bytes)) if seq == self.next => {
                    self.next += 1;
                    return Ok(Some(Line { seq, bytes }));
                }
                // The file was put away after it was found, and another one opened.
                Some(_) if open.given == 1 && tries < TRIES => {
                    tries += 1;
                    self.file = None;
                }
                Some(_) => return Err(open.damaged(self.next)),
                None => {
                    if !open.is_replaced(&self.place)? {
                        return Ok(None);
                    }
                    // It was put away, perhaps with lines that were written after it was read.
                    if open.has_more()? {
                        continue;
                    }
                    self.file = None;
                    if !self.find()? {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// Opens the file that the next line is in, or will be. False when there is no log yet.
    fn find(&mut self) -> Result<bool, ReadError> {
        let failed = |path: &Path, source| ReadError::Io { path: path.to_owned(), source };
        // Files may be put away and deleted meanwhile.
        for _ in 0..TRIES {
            let closed = match self.place.all_closed() {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
                closed => closed.map_err(|error| failed(&self.place.dir, error))?,
            };
            let active = self.place.active();
            let begins = match first_of(&active) {
                Err(error) if error.kind() == io::ErrorKind::NotFound && closed.is_empty() => {
                    return Ok(false);
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                first => first.map_err(|error| failed(&active, error))?,
            };
            let holds = |first: u64| first <= self.next;
            let path = if begins.is_some_and(holds) {
                active
            } else if let Some((_, path)) = closed.iter().rev().find(|(first, _)| holds(*first)) {
                // The file after the last one may have no line yet.
                if begins.is_none() && ends_before(path, self.next) { active } else { path.clone() }
            } else if let Some(first) = closed.first().map(|(first, _)| *first).or(begins) {
                return Err(ReadError::Gone { wanted: self.next, first });
            } else {
                active // It is empty.
            };
            match Open::new(path) {
                Err(ReadError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
                opened => {
                    self.file = Some(opened?);
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

/// Whether the last line of a file comes before line `seq`.
fn ends_before(path: &Path, seq: u64) -> bool {
    let end = File::open(path).ok().and_then(|mut file| tail(&mut file).ok());
    end.and_then(|end| end.last).is_some_and(|(last, _)| last < seq)
}

impl Open {
    fn new(path: PathBuf) -> Result<Self, ReadError> {
        match File::open(&path) {
            Ok(file) => Ok(Self {
                path,
                text: BufReader::with_capacity(64 << 10, file),
                at: 0,
                seq: None,
                given: 0,
            }),
            Err(source) => Err(ReadError::Io { path, source }),
        }
    }

    fn failed(&self, source: io::Error) -> ReadError {
        ReadError::Io { path: self.path.clone(), source }
    }

    fn damaged(&self, expected: u64) -> ReadError {
        ReadError::Damaged { path: self.path.clone(), at: self.at, expected }
    }

    /// The next whole line with its number.
    fn line(&mut self) -> Result<Option<(u64, Vec<u8>)>, ReadError> {
        let mut found = self.read()?;
        if matches!(found, Found::Other) {
            // What was read before may have been a cut line that was taken off and replaced since.
            self.back()?;
            found = self.read()?;
        }
        match found {
            Found::Line(line, seq) => {
                self.at += line.len() as u64 + 1;
                self.seq = Some(seq + 1);
                self.given += 1;
                Ok(Some((seq, line)))
            }
            Found::End => {
                self.back()?;
                Ok(None)
            }
            Found::Other => Err(self.damaged(self.seq.unwrap_or(1))),
        }
    }

    fn read(&mut self) -> Result<Found, ReadError> {
        let mut line = Vec::new();
        self.text.read_until(b'\n', &mut line).map_err(|e| self.failed(e))?;
        if line.pop() != Some(b'\n') {
            return Ok(Found::End);
        }
        let seq = Parts::of(&line).map(|parts| parts.seq);
        Ok(match seq {
            Some(seq) if self.seq.is_none_or(|expected| expected == seq) => Found::Line(line, seq),
            _ => Found::Other,
        })
    }

    /// Forgets what was read after the last line that was given.
    fn back(&mut self) -> Result<(), ReadError> {
        self.text.seek(SeekFrom::Start(self.at)).map(drop).map_err(|e| self.failed(e))
    }

    /// Whether there is something after the last line that was given.
    fn has_more(&self) -> Result<bool, ReadError> {
        let size = self.text.get_ref().metadata().map_err(|e| self.failed(e))?.len();
        Ok(size > self.at)
    }

    /// Whether another file is written to by now.
    fn is_replaced(&self, place: &Place) -> Result<bool, ReadError> {
        let own = self.text.get_ref().metadata().map_err(|e| self.failed(e))?;
        let active = place.active();
        Ok(active.exists() && !same(&own, &active))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::thread;

    use super::*;
    use crate::audit::{Event, Log, Options, Record};
    use crate::config::{RotateConfig, Size, Span};

    fn log(dir: &Path, size: u64) -> Log {
        let rotate = RotateConfig { size: Size(size), age: Span::seconds(3600) };
        Log::open_with(dir, "audit", Options { rotate, ..Options::default() }).expect("opens")
    }

    fn append(log: &Log, text: &str) {
        let error = Some(text.to_owned());
        log.append(&Record { error, ..Record::new(Event::Start) }).expect("written");
    }

    fn rest(reader: &mut Reader) -> Vec<u64> {
        std::iter::from_fn(|| reader.next().expect("read").map(|line| line.seq)).collect()
    }

    #[test]
    fn every_line_is_given_once_from_any_place_on() {
        let dir = tempfile::tempdir().expect("dir");
        let mut early = Reader::open(dir.path(), "audit", 0).expect("no log yet");
        assert_eq!(early.next().expect("nothing"), None);
        let log = log(dir.path(), 3000);
        for number in 1..=20 {
            append(&log, "x");
            assert_eq!(rest(&mut early), [number]);
        }
        assert!(Place::new(dir.path(), "audit").all_closed().expect("files").len() > 3);
        for from in 1..=22 {
            let mut reader = Reader::open(dir.path(), "audit", from).expect("opens");
            assert_eq!(rest(&mut reader), (from..=20).collect::<Vec<_>>(), "from {from}");
        }
        append(&log, "more");
        let line = early.next().expect("read").expect("a line");
        assert!(String::from_utf8(line.bytes).expect("text").contains(r#""error":"more""#));
    }

    #[test]
    fn what_is_not_kept_any_more_is_said() {
        let dir = tempfile::tempdir().expect("dir");
        let log = log(dir.path(), 3000);
        (0..10).for_each(|_| append(&log, "x"));
        let closed = Place::new(dir.path(), "audit").all_closed().expect("files");
        std::fs::remove_file(&closed[0].1).expect("removed");
        let kept = closed[1].0;
        let error = Reader::open(dir.path(), "audit", 1).expect_err("gone");
        assert!(matches!(error, ReadError::Gone { wanted: 1, first } if first == kept), "{error}");
        let mut reader = Reader::open(dir.path(), "audit", kept).expect("there");
        assert_eq!(rest(&mut reader), (kept..=10).collect::<Vec<_>>());
    }

    /// A torn line is waited for, and not mixed with the one that replaces it.
    #[test]
    fn only_whole_lines_are_given() {
        let dir = tempfile::tempdir().expect("dir");
        let path = {
            let log = log(dir.path(), 1 << 20);
            append(&log, "x");
            log.path().to_owned()
        };
        let mut reader = Reader::open(dir.path(), "audit", 1).expect("opens");
        let mut file = File::options().append(true).open(path).expect("opens");
        file.write_all(b"{\"timestamp\":\"cut").expect("written");
        assert_eq!(rest(&mut reader), [1]);
        let log = log(dir.path(), 1 << 20);
        append(&log, "y");
        let repair = reader.next().expect("read").expect("a line");
        assert!(String::from_utf8(repair.bytes).expect("text").contains("repair"));
        assert_eq!(rest(&mut reader), [3]);
    }

    #[test]
    fn a_reader_keeps_up_with_a_writer() {
        let dir = tempfile::tempdir().expect("dir");
        let log = log(dir.path(), 10_000);
        thread::scope(|scope| {
            scope.spawn(|| (0..2000).for_each(|_| append(&log, "x")));
            let mut reader = Reader::open(dir.path(), "audit", 1).expect("opens");
            let mut seen = Vec::new();
            while seen.len() < 2000 {
                seen.extend(rest(&mut reader));
                thread::yield_now();
            }
            assert_eq!(seen, (1..=2000).collect::<Vec<_>>());
        });
    }
}
