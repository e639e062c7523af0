//! A file of tool definitions: read whole, checked, and replaced in one step.
//!
//! Several processes write to it: the daemon, `warrantd run`, `warrantd pin`. Each takes an exclusive
//! flock(2) on the directory, reads the file again, writes a new one beside it and renames it. A reader
//! needs no lock.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};

use crate::config::{ConfigError, PinEntry, PinFile, Problem, Source};
use crate::policy::pin::Definition;

/// Tools that one file may hold.
const MAX_TOOLS: usize = 1024;
/// Bytes that a file may have. Less than what [`Source`] reads.
const MAX_BYTES: usize = 3 << 20;
/// How long another writer may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why a file of definitions cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// It is broken.
    #[error(transparent)]
    Broken(#[from] ConfigError),
    /// It cannot be looked at.
    #[error("cannot read {}: {source}", file.display())]
    Read { file: PathBuf, source: io::Error },
    /// It cannot be written.
    #[error("cannot write {}: {source}", file.display())]
    Write { file: PathBuf, source: io::Error },
    /// It would be larger than it may be.
    #[error("{} would hold more than {MAX_TOOLS} tools or {MAX_BYTES} bytes", .0.display())]
    Full(PathBuf),
}

/// A file of definitions, which need not be there yet.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    file: PathBuf,
}

/// What tells one version of a file from the next. A rename brings another inode, an editor another time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    inode: (u64, u64),
    size: u64,
    changed: (i64, i64),
}

/// The definitions of a file, and its stamp; `None` when there is no file.
pub(crate) struct Content {
    pub(crate) file: PinFile,
    pub(crate) definitions: BTreeMap<String, Definition>,
    pub(crate) stamp: Option<Stamp>,
}

impl Store {
    pub(crate) fn new(file: PathBuf) -> Self {
        Self { file }
    }

    /// The file beside this one with what was seen and not accepted.
    pub(crate) fn of_seen(&self) -> Self {
        Self { file: self.file.with_extension("seen.yaml") }
    }

    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// Whether a user owns the file or its directory, or may write to one of them.
    pub(super) fn writable_by(&self, uid: u32, gid: u32) -> bool {
        let parent = self.file.parent().filter(|dir| !dir.as_os_str().is_empty());
        [self.file.as_path(), parent.unwrap_or(Path::new("."))].iter().any(|path| {
            fs::metadata(path).is_ok_and(|meta| {
                let mode = meta.mode();
                meta.uid() == uid || (meta.gid() == gid && mode & 0o020 != 0) || mode & 0o002 != 0
            })
        })
    }

    /// The file's stamp now; `None` when there is no file.
    pub(crate) fn stamp(&self) -> io::Result<Option<Stamp>> {
        match fs::metadata(&self.file) {
            Ok(meta) => Ok(Some(Stamp {
                inode: (meta.dev(), meta.ino()),
                size: meta.len(),
                changed: (meta.ctime(), meta.ctime_nsec()),
            })),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads and checks the file. One that is not there is empty.
    pub(crate) fn load(&self) -> Result<Content, ConfigError> {
        // Looked at first: what changes meanwhile is noticed at the next look.
        let Ok(Some(stamp)) = self.stamp() else {
            return match fs::symlink_metadata(&self.file) {
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(Content {
                    file: PinFile::default(),
                    definitions: BTreeMap::new(),
                    stamp: None,
                }),
                // It is there and cannot be looked at: reading says why.
                _ => Err(Source::read(&self.file).err().unwrap_or_else(|| {
                    let source = Source::new(&self.file, String::new());
                    source.error(Problem::new("", "the file changes while it is read"))
                })),
            };
        };
        let source = Source::read(&self.file)?;
        let file: PinFile = source.parse()?;
        let definitions = definitions(&file).map_err(|problem| source.error(problem))?;
        Ok(Content { file, definitions, stamp: Some(stamp) })
    }

    /// Changes the file in one step and gives what it then holds. `change` says whether it changed anything.
    pub(crate) fn update(
        &self,
        change: impl FnOnce(&mut PinFile) -> bool,
    ) -> Result<Content, StoreError> {
        let failed = |source| StoreError::Write { file: self.file.clone(), source };
        // A link stays one: what it leads to is replaced.
        let target = fs::canonicalize(&self.file).unwrap_or_else(|_| self.file.clone());
        let dir = target.parent().unwrap_or(Path::new("/"));
        DirBuilder::new().recursive(true).mode(0o750).create(dir).map_err(failed)?;
        let lock = lock(dir).map_err(failed)?;
        let mut content = self.load()?;
        if change(&mut content.file) {
            let text = text(&content.file).map_err(failed)?;
            if content.file.tools.len() > MAX_TOOLS || text.len() > MAX_BYTES {
                return Err(StoreError::Full(self.file.clone()));
            }
            replace(&target, dir, &text).map_err(failed)?;
            // What stands there is what counts.
            content = self.load()?;
        }
        drop(lock);
        Ok(content)
    }
}

/// An entry for a definition.
pub(super) fn entry(definition: &Definition, at: String, by: &str) -> PinEntry {
    PinEntry {
        hash: definition.hash().to_owned(),
        at,
        by: by.to_owned(),
        description: definition.summary(),
        definition: definition.text(),
    }
}

/// Checks every entry: its hash is that of its definition, which is of the tool it stands under.
fn definitions(file: &PinFile) -> Result<BTreeMap<String, Definition>, Problem> {
    let mut definitions = BTreeMap::new();
    for (name, entry) in &file.tools {
        let key = format!("tools.{name}");
        let definition = Definition::from_text(&entry.definition)
            .map_err(|error| Problem::new(format!("{key}.definition"), error.to_string()))?;
        if definition.name() != name {
            let message =
                format!("this is the definition of another tool, `{}`", definition.name());
            return Err(Problem::new(format!("{key}.definition"), message));
        }
        if definition.hash() != entry.hash {
            let message = format!(
                "the definition below has the hash {}; one of the two was changed by hand: restore \
                 the entry, or remove it and accept the tool again",
                definition.hash()
            );
            return Err(Problem::new(format!("{key}.hash"), message));
        }
        definitions.insert(name.clone(), definition);
    }
    Ok(definitions)
}

fn text(file: &PinFile) -> io::Result<String> {
    let yaml = serde_yaml::to_string(file).map_err(io::Error::other)?;
    Ok(format!("# Definitions of tools, kept by warrantd; see `warrantd pin --help`.\n{yaml}"))
}

fn lock(dir: &Path) -> io::Result<Flock<File>> {
    let deadline = Instant::now() + PATIENCE;
    let mut file = File::open(dir)?;
    loop {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(locked) => return Ok(locked),
            Err((_, errno)) if Instant::now() > deadline => return Err(errno.into()),
            Err((same, _)) => file = same,
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Replaces a file: whoever reads it, even after a crash, finds the old text or the new one.
fn replace(target: &Path, dir: &Path, text: &str) -> io::Result<()> {
    let name = target.file_name().ok_or(ErrorKind::InvalidInput)?.to_string_lossy();
    let temporary = dir.join(format!(".{name}.new"));
    // Whoever left one there is gone: the directory is locked.
    let _ = fs::remove_file(&temporary);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o640).open(&temporary)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| {
        if let Ok(old) = fs::metadata(target) {
            // An operator's file stays the operator's.
            fchown(&file, Some(old.uid()), Some(old.gid()))?;
            file.set_permissions(fs::Permissions::from_mode(old.mode() & 0o777))?;
        }
        file.sync_all()?;
        fs::rename(&temporary, target)
    });
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written?;
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::new(dir.path().join("pins/files.yaml"));
        (dir, store)
    }

    fn put(store: &Store, name: &str, description: &str) {
        let definition = json!({"name": name, "description": description, "inputSchema": {}});
        let definition = Definition::read(&definition).expect("a definition");
        let done = store.update(|file| {
            file.tools.insert(name.into(), entry(&definition, "2026-01-01T00:00:00Z".into(), "me"));
            true
        });
        done.expect("written");
    }

    #[test]
    fn what_is_written_is_read_and_a_missing_file_is_empty() {
        let (_dir, store) = store();
        let none = store.load().expect("no file is no error");
        assert!(none.file.tools.is_empty() && none.stamp.is_none());
        put(&store, "read", "Reads.\n\u{202e}hidden: yes\t\u{7f}");
        put(&store, "true", "- a: [\n# no comment");
        let content = store.load().expect("readable");
        assert_eq!(content.definitions.keys().collect::<Vec<_>>(), ["read", "true"]);
        assert_eq!(
            content.definitions["read"].description(),
            "Reads.\n\u{202e}hidden: yes\t\u{7f}"
        );
        assert_eq!(content.file.tools["read"].description, "Reads.");
        assert_eq!(content.stamp, store.stamp().expect("there"));
        put(&store, "read", "Reads more.");
        assert_ne!(content.stamp, store.stamp().expect("there"));
        let left: Vec<_> =
            fs::read_dir(store.file().parent().expect("a parent")).expect("a directory").collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }

    #[test]
    fn who_may_write_to_it_is_known() {
        let (_dir, store) = store();
        put(&store, "read", "Reads.");
        let own = fs::metadata(store.file()).expect("there");
        assert!(store.writable_by(own.uid(), own.gid()), "the owner");
        assert!(!store.writable_by(own.uid() + 1, own.gid() + 1));
        assert!(!store.writable_by(own.uid() + 1, own.gid()));
        let open = fs::Permissions::from_mode(0o662);
        fs::set_permissions(store.file(), open).expect("changed");
        assert!(store.writable_by(own.uid() + 1, own.gid() + 1));
    }

    #[test]
    fn a_broken_file_is_refused_with_its_place() {
        let (_dir, store) = store();
        put(&store, "read", "Reads.");
        let right = fs::read_to_string(store.file()).expect("readable");
        for (from, to, place) in [
            ("sha256:", "sha256:0", ":4:"),
            ("Reads.\"", "Writes.\"", ":4:"),
            ("\"name\": \"read\"", "\"name\": \"write\"", ":8:"),
            ("by: me", "buy: me", ":6:"),
            ("tools:", "tools: [", ":"),
        ] {
            assert!(right.contains(from), "{right}");
            fs::write(store.file(), right.replace(from, to)).expect("written");
            let error = store.load().err().expect("refused").to_string();
            assert!(error.contains(&format!("files.yaml{place}")), "{error}");
            assert!(store.update(|_| true).is_err(), "a broken file is not replaced");
        }
        fs::write(store.file(), &right).expect("written");
        assert!(store.load().is_ok());
    }

    #[test]
    fn writers_at_once_lose_nothing() {
        let (_dir, store) = store();
        thread::scope(|scope| {
            for writer in 0..4 {
                let store = &store;
                scope.spawn(move || {
                    for n in 0..5 {
                        put(store, &format!("tool_{writer}_{n}"), "Does something.");
                    }
                });
            }
        });
        assert_eq!(store.load().expect("readable").definitions.len(), 20);
    }

    #[test]
    fn a_file_does_not_grow_for_ever() {
        let (_dir, store) = store();
        put(&store, "read", "Reads.");
        let definition = Definition::read(&json!({"name": "x"})).expect("a definition");
        let full = store.update(|file| {
            for n in 0..MAX_TOOLS {
                file.tools.insert(n.to_string(), entry(&definition, String::new(), ""));
            }
            true
        });
        assert!(matches!(full, Err(StoreError::Full(_))));
        assert_eq!(store.load().expect("readable").definitions.len(), 1);
    }
}
