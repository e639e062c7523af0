//! The files of a log: their names, and how the one that is written to is owned, found and replaced.
//!
//! ```text
//! <name>.00000000000000000001.jsonl    put away; named by the number of its first line
//! <name>.00000000000000004711.jsonl
//! <name>.jsonl                         the one that is written to
//! <name>.next                          becomes that; empty, and there for moments only
//! ```
//!
//! A file is put away by giving it its other name with `link(2)` and then renaming `<name>.next` over
//! `<name>.jsonl`. So `<name>.jsonl` is there at any time, and a crash in between leaves one file with two
//! names, which is seen when the log is opened again.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::line::{Hash, Parts};

/// How long another owner may take to let go.
const LET_GO_WITHIN: Duration = Duration::from_secs(2);
/// Digits of a number in a name; the largest `u64` has so many.
const DIGITS: usize = 20;
const SUFFIX: &str = ".jsonl";

/// Where a log is.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) dir: PathBuf,
    pub(super) name: String,
}

impl Place {
    pub(super) fn new(dir: &Path, name: &str) -> Self {
        Self { dir: dir.to_owned(), name: name.to_owned() }
    }

    /// The file that is written to.
    pub(super) fn active(&self) -> PathBuf {
        self.dir.join(format!("{}{SUFFIX}", self.name))
    }

    fn next(&self) -> PathBuf {
        self.dir.join(format!("{}.next", self.name))
    }

    /// The name of a file that was put away.
    pub(super) fn closed(&self, first: u64) -> PathBuf {
        self.dir.join(format!("{}.{first:0DIGITS$}{SUFFIX}", self.name))
    }

    /// The files that were put away, with the numbers of their first lines, in order.
    pub(super) fn all_closed(&self) -> io::Result<Vec<(u64, PathBuf)>> {
        let mut found = Vec::new();
        for entry in self.dir.read_dir()? {
            let entry = entry?;
            let file = entry.file_name();
            if let Some((name, Some(first))) = file.to_str().and_then(named)
                && name == self.name
            {
                found.push((first, entry.path()));
            }
        }
        found.sort();
        Ok(found)
    }

    /// Makes the directory and opens the file that is written to, as its only owner.
    pub(super) fn own(&self) -> io::Result<Owned> {
        DirBuilder::new().recursive(true).mode(0o750).create(&self.dir)?;
        let path = self.active();
        let deadline = Instant::now() + LET_GO_WITHIN;
        loop {
            let Ok(file) = lock(create(&path)?, deadline) else { return Ok(Owned::ByAnother) };
            // Whoever owned it may have put it away while it was waited for.
            if same(&file.metadata()?, &path) {
                return Ok(Owned::ByUs(file));
            }
            if Instant::now() > deadline {
                return Ok(Owned::ByAnother);
            }
        }
    }

    /// Puts the file that is written to away, and gives an empty one that takes its place.
    pub(super) fn put_away(&self, first: u64) -> io::Result<Flock<File>> {
        let (active, next) = (self.active(), self.next());
        remove(&next)?; // Left by a crash.
        let file = lock(create(&next)?, Instant::now()).map_err(io::Error::from)?;
        let closed = self.closed(first);
        match std::fs::hard_link(&active, &closed) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                // Left by a crash, or by a try that failed further on.
                if !same(&std::fs::metadata(&closed)?, &active) {
                    return Err(error);
                }
            }
            done => done?,
        }
        std::fs::rename(&next, &active)?;
        self.sync_dir()?;
        Ok(file)
    }

    /// Makes names last.
    pub(super) fn sync_dir(&self) -> io::Result<()> {
        File::open(&self.dir)?.sync_all()
    }

    /// Whether a crash has left the file that is written to with two names.
    pub(super) fn is_half_put_away(&self, first: u64) -> bool {
        std::fs::metadata(self.active()).is_ok_and(|active| same(&active, &self.closed(first)))
    }
}

/// Whose the file is that is written to.
pub(super) enum Owned {
    ByUs(Flock<File>),
    ByAnother,
}

/// The log that a file belongs to by its name, and the number of its first line if it was put away.
pub(super) fn named(file: &str) -> Option<(&str, Option<u64>)> {
    let name = file.strip_suffix(SUFFIX)?;
    if let Some((log, digits)) = name.rsplit_once('.')
        && digits.len() == DIGITS
        && let Ok(first) = digits.parse()
    {
        return Some((log, Some(first)));
    }
    Some((name, None))
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).append(true).create(true).mode(0o640).open(path)
}

pub(super) fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Whether a path leads to that file.
pub(super) fn same(file: &std::fs::Metadata, path: &Path) -> bool {
    std::fs::metadata(path)
        .is_ok_and(|other| (other.dev(), other.ino()) == (file.dev(), file.ino()))
}

/// Locks a file. A child that a killed warrantd had just forked shares its lock until it has become the
/// server's program or seen that its parent is dead, so the lock may outlive the owner by moments.
fn lock(mut file: File, deadline: Instant) -> Result<Flock<File>, Errno> {
    loop {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(locked) => return Ok(locked),
            Err((_, errno)) if Instant::now() > deadline => return Err(errno),
            Err((same, _)) => file = same,
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// What a file ends with.
#[derive(Debug, Default)]
pub(super) struct Tail {
    /// Number and hash of its last whole line.
    pub(super) last: Option<(u64, Hash)>,
    /// Bytes of whole lines.
    pub(super) length: u64,
    /// Bytes after them: a line that a crash cut.
    pub(super) cut: u64,
}

/// Why a file's end cannot be told.
#[derive(Debug)]
pub(super) enum TailError {
    Io(io::Error),
    /// Its last line is none of a log, or not as it was written.
    Damaged(&'static str),
}

impl From<io::Error> for TailError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Reads the end of a file.
pub(super) fn tail(file: &mut File) -> Result<Tail, TailError> {
    let size = file.metadata()?.len();
    let Some((line, end)) = last_line(file, size)? else {
        return Ok(Tail { cut: size, ..Tail::default() });
    };
    let parts = Parts::of(&line).ok_or(TailError::Damaged("its last line is no record"))?;
    if !parts.is_whole() {
        return Err(TailError::Damaged("its last line was changed"));
    }
    Ok(Tail { last: Some((parts.seq, parts.hash)), length: end, cut: size - end })
}

/// The last line that has its line feed, without it, and where it ends.
fn last_line(file: &mut File, size: u64) -> io::Result<Option<(Vec<u8>, u64)>> {
    const BLOCK: u64 = 64 << 10;
    let mut start = size;
    let mut text = Vec::new();
    // Read backwards until the text holds a whole line and the line feed before it.
    loop {
        let end = memchr::memrchr(b'\n', &text);
        let begin = end.and_then(|end| memchr::memrchr(b'\n', text.get(..end)?));
        match (begin, end) {
            (Some(begin), Some(end)) => {
                let line = text.get(begin + 1..end).unwrap_or_default().to_vec();
                return Ok(Some((line, start + end as u64 + 1)));
            }
            (None, Some(end)) if start == 0 => {
                let line = text.get(..end).unwrap_or_default().to_vec();
                return Ok(Some((line, end as u64 + 1)));
            }
            (_, None) if start == 0 => return Ok(None),
            _ => {}
        }
        let step = BLOCK.max(size - start).min(start);
        start -= step;
        let mut block = vec![0; usize::try_from(step).unwrap_or(usize::MAX)];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(&mut block)?;
        block.extend_from_slice(&text);
        text = block;
    }
}

/// The number of a file's first line, if it has a whole one.
pub(super) fn first_of(path: &Path) -> io::Result<Option<u64>> {
    use std::io::BufRead;
    let mut line = Vec::new();
    io::BufReader::new(File::open(path)?).read_until(b'\n', &mut line)?;
    Ok(line.strip_suffix(b"\n").and_then(Parts::of).map(|parts| parts.seq))
}
