//! Which configuration is in force, as records of the start and of reloads tell it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::config::Source;

/// The files of a configuration, and what a reload changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ConfigurationRecord {
    /// The daemon's file, its drop-ins, and the policies, as they were read.
    pub files: FileHashes,
    /// Those of them that are not as they were before, and those that are gone; empty at the start.
    pub changed: Vec<String>,
    /// Servers that there were not before.
    pub added: Vec<String>,
    /// Servers that there are no more. Their sessions were ended.
    pub removed: Vec<String>,
}

/// Files and the hashes of their content.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct FileHashes(Vec<FileHash>);

/// A file and the hash of its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileHash {
    /// Its path.
    pub path: String,
    /// `sha256:` and 64 hexadecimal digits.
    pub hash: String,
}

impl FileHashes {
    /// Adds a file that was read, once.
    pub fn add(&mut self, source: &Source) {
        let path = source.file().to_string_lossy().into_owned();
        if self.0.iter().all(|file| file.path != path) {
            let hash = data_encoding::HEXLOWER.encode(&Sha256::digest(source.text()));
            self.0.push(FileHash { path, hash: format!("sha256:{hash}") });
        }
    }

    /// Paths of the files that are not as they are in `before`, or not there, or there alone.
    pub fn changed_since(&self, before: &Self) -> Vec<String> {
        let differs = |file: &&FileHash| !before.0.contains(file);
        let gone = |old: &&FileHash| self.0.iter().all(|file| file.path != old.path);
        let all = self.0.iter().filter(differs).chain(before.0.iter().filter(gone));
        all.map(|file| file.path.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn what_changed_is_what_is_other_new_or_gone() {
        let files = |all: &[(&str, &str)]| {
            let mut hashes = FileHashes::default();
            for (path, text) in all {
                hashes.add(&Source::new(Path::new(path), (*text).to_owned()));
            }
            hashes
        };
        let before = files(&[("/a", "1"), ("/b", "2"), ("/c", "3"), ("/a", "1")]);
        assert_eq!(before.0.len(), 3);
        assert_eq!(
            files(&[("/a", "1"), ("/b", "4"), ("/d", "5")]).changed_since(&before),
            ["/b", "/d", "/c"]
        );
        assert!(before.changed_since(&before).is_empty());
    }
}
