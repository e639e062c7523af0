//! The logs of a directory, as whoever reads them finds them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Seek};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};

use super::segment::{Place, named, same, tail};

/// One log: its files in their order.
#[derive(Debug)]
pub struct LogFiles {
    /// Its name, such as `audit`.
    pub name: String,
    /// Its files, that which is written to last.
    pub files: Vec<LogPart>,
    /// Whether a warrantd has it open.
    pub in_use: bool,
    /// Whether these are all files that there are, and not a choice.
    pub whole: bool,
}

/// One file of a log.
#[derive(Debug)]
pub struct LogPart {
    /// Where it is.
    pub path: PathBuf,
    /// The number of its first record by its name, if it was put away.
    pub first: Option<u64>,
    /// It, when it was opened at once: it may be put away under another name later.
    pub(super) open: Option<File>,
}

/// The logs of a directory, by name.
pub fn logs_in(dir: &Path) -> io::Result<Vec<LogFiles>> {
    let mut names = BTreeSet::new();
    for entry in dir.read_dir()? {
        let file = entry?.file_name();
        if let Some((name, _)) = file.to_str().and_then(named) {
            names.insert(name.to_owned());
        }
    }
    names.into_iter().map(|name| log(dir, name)).collect()
}

/// The logs that some files belong to, in each case with these files alone.
pub fn logs_of(files: &[PathBuf]) -> Vec<LogFiles> {
    let mut logs: BTreeMap<(PathBuf, String), Vec<LogPart>> = BTreeMap::new();
    for path in files {
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        let (log, first) = named(&name).map_or((name.as_str(), None), |(log, first)| (log, first));
        let dir = path.parent().unwrap_or(Path::new("")).to_owned();
        let part = LogPart { path: path.clone(), first, open: None };
        logs.entry((dir, log.to_owned())).or_default().push(part);
    }
    let each = |((_, name), mut files): ((PathBuf, String), Vec<LogPart>)| {
        files.sort_by_key(|part| part.first.unwrap_or(u64::MAX));
        let last = files.last().filter(|part| part.first.is_none());
        let in_use = last.is_some_and(|part| File::open(&part.path).is_ok_and(is_in_use));
        LogFiles { name, files, in_use, whole: false }
    };
    logs.into_iter().map(each).collect()
}

fn log(dir: &Path, name: String) -> io::Result<LogFiles> {
    let place = Place::new(dir, &name);
    // First, since it may be put away at any moment: then it is among the others.
    let active = match File::open(place.active()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        active => Some(active?),
    };
    let in_use = active.as_ref().map(File::try_clone).transpose()?.is_some_and(is_in_use);
    let mut files: Vec<LogPart> = Vec::new();
    for (first, path) in place.all_closed()? {
        files.push(LogPart { path, first: Some(first), open: None });
    }
    if let Some(active) = active {
        let meta = active.metadata()?;
        if !files.last().is_some_and(|last| same(&meta, &last.path)) {
            files.push(LogPart { path: place.active(), first: None, open: Some(active) });
        }
    }
    Ok(LogFiles { name, files, in_use, whole: true })
}

/// The number of a log's last whole record; `None` when it has none, or cannot be read.
pub fn last_record(log: &LogFiles) -> Option<u64> {
    // The file that is written to may be empty.
    log.files
        .iter()
        .rev()
        .find_map(|part| tail(&mut part.open().ok()?).ok()?.last)
        .map(|last| last.0)
}

/// Whether somebody owns a file. It is locked and let go at once.
fn is_in_use(file: File) -> bool {
    Flock::lock(file, FlockArg::LockSharedNonblock).is_err()
}

impl LogPart {
    /// Opens it for reading from its beginning. Who opens it twice at once may read half of it each time.
    pub fn open(&self) -> io::Result<File> {
        let Some(file) = &self.open else { return File::open(&self.path) };
        let mut file = file.try_clone()?; // Its place is shared.
        file.rewind()?;
        Ok(file)
    }
}
