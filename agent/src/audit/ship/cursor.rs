//! How far a receiver has got, on the disk: `{"delivered": SEQ, "hash": "…"}`.
//!
//! The hash is the delivered record's own. A log that was moved away and begun anew has another record of that
//! number, or none, and is then shipped from its beginning.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::ShipError;

/// A cursor's content.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::audit) struct Mark {
    /// The last delivered record; 0 for none.
    pub(in crate::audit) delivered: u64,
    /// Its hash; empty for none.
    #[serde(default)]
    pub(in crate::audit) hash: String,
}

/// A cursor's file.
#[derive(Debug)]
pub(in crate::audit) struct Cursor {
    file: PathBuf,
}

impl Cursor {
    /// The cursor `name` in a directory, which is made when missing.
    pub(in crate::audit) fn open(dir: &Path, name: &str) -> Result<(Self, Mark), ShipError> {
        let file = dir.join(format!("{name}.json"));
        let failed = |source| ShipError::Cursor { file: file.clone(), source };
        DirBuilder::new().recursive(true).mode(0o750).create(dir).map_err(failed)?;
        let mark = load(&file)?.unwrap_or_default();
        Ok((Self { file }, mark))
    }

    /// Writes the cursor, so that it survives loss of power, or leaves the old one.
    pub(in crate::audit) fn store(&self, mark: &Mark) -> Result<(), ShipError> {
        store(&self.file, mark)
    }
}

/// What a file says, if it is there.
pub(in crate::audit) fn load<T: DeserializeOwned>(file: &Path) -> Result<Option<T>, ShipError> {
    let failed = |source| ShipError::Cursor { file: file.to_owned(), source };
    match std::fs::read(file) {
        Ok(text) => serde_json::from_slice(&text).map(Some).map_err(|error| failed(error.into())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

/// Writes a file, so that it survives loss of power, or leaves the old one.
pub(in crate::audit) fn store(file: &Path, content: &impl Serialize) -> Result<(), ShipError> {
    write(file, content).map_err(|source| ShipError::Cursor { file: file.to_owned(), source })
}

fn write(file: &Path, content: &impl Serialize) -> io::Result<()> {
    let new = file.with_extension("json.new");
    if let Some(dir) = file.parent() {
        DirBuilder::new().recursive(true).mode(0o750).create(dir)?;
    }
    let mut options = OpenOptions::new();
    let mut open = options.write(true).create(true).truncate(true).mode(0o640).open(&new)?;
    open.write_all(&serde_json::to_vec(content)?)?;
    open.sync_all()?;
    std::fs::rename(&new, file)?;
    match file.parent() {
        Some(dir) => File::open(dir)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_found_again_and_a_broken_one_is_an_error() {
        let dir = tempfile::tempdir().expect("dir");
        let (cursor, mark) = Cursor::open(dir.path(), "siem").expect("opens");
        assert_eq!(mark, Mark::default());
        let mark = Mark { delivered: 7, hash: "ab".to_owned() };
        cursor.store(&mark).expect("stored");
        assert_eq!(Cursor::open(dir.path(), "siem").expect("opens").1, mark);
        std::fs::write(dir.path().join("siem.json"), "{").expect("written");
        assert!(Cursor::open(dir.path(), "siem").is_err());
    }
}
