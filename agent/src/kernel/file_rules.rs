//! What the kernel lets a session do to files, where it enforces that: rules on directories and files by
//! identity. See [`warrantd_common::FileRule`].

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use warrantd_common::{FileKey, FileNameKey, FileRule, NAME_BYTES, modes};

use super::floor::Floor;

/// A set of rules. The empty set forbids everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileRules {
    objects: BTreeMap<(u32, u64), FileRule>,
    names: BTreeMap<(u32, u64, [u8; NAME_BYTES]), u32>,
}

/// What may be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access(u32);

impl Access {
    /// Open for reading, and map as code.
    pub const READ: Self = Self(modes::READ | modes::MAP);
    /// Change, make and rename.
    pub const WRITE: Self = Self(modes::WRITE | modes::CREATE | modes::RENAME);
    /// Remove.
    pub const DELETE: Self = Self(modes::DELETE);
    /// Run.
    pub const EXEC: Self = Self(modes::EXEC | modes::READ | modes::MAP);
    /// Connect to a unix socket.
    pub const CONNECT: Self = Self(modes::CONNECT);

    /// Both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// How far a rule reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// The file or directory itself, which need not exist yet.
    This,
    /// What lies directly in the directory.
    Children,
    /// The directory and everything below.
    Tree,
}

impl FileRules {
    /// Allows something. Symbolic links are followed now; the rule holds for what they lead to.
    ///
    /// Only a rule for [`Reach::This`] may name what does not exist; its directory must.
    pub fn allow(&mut self, path: &Path, access: Access, reach: Reach) -> io::Result<()> {
        match fs::metadata(path) {
            Ok(metadata) => {
                let rule = self.objects.entry(identity(&metadata)).or_default();
                match reach {
                    Reach::This => rule.own |= access.0,
                    Reach::Children => rule.children |= access.0,
                    Reach::Tree => rule.tree |= access.0,
                }
                // What replaces it under its name counts as it, when that is to be expected.
                let replaced = modes::CREATE | modes::CONNECT;
                if reach == Reach::This && access.0 & replaced != 0 {
                    self.allow_name(path, access)?;
                }
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && reach == Reach::This => {
                self.allow_name(path, access)
            }
            Err(error) => Err(error),
        }
    }

    /// The rules of a floor. What does not exist opens nothing.
    pub fn of(floor: &Floor) -> io::Result<Self> {
        let mut rules = Self::default();
        let change = Access::WRITE.and(Access::DELETE);
        let wanted = [
            (&floor.read, Access::READ, Reach::Tree),
            // Which directories lead to what may be written is not known to a rule: the top is listed.
            (&floor.list, Access::READ, Reach::This),
            (&floor.write, change, Reach::Tree),
            (&floor.run, Access::EXEC, Reach::Tree),
        ];
        for (paths, access, reach) in wanted {
            for path in paths {
                match rules.allow(path, access, reach) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {
                        tracing::warn!(path = %path.display(), "effects.enforce: no such file");
                    }
                    allowed => allowed?,
                }
            }
        }
        Ok(rules)
    }

    fn allow_name(&mut self, path: &Path, access: Access) -> io::Result<()> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Ok(());
        };
        let (dev, ino) = identity(&fs::metadata(parent)?);
        let rule = self.objects.entry((dev, ino)).or_default();
        let mut padded = [0; NAME_BYTES];
        match padded.get_mut(..name.len()) {
            Some(place) if name.len() < NAME_BYTES => {
                place.copy_from_slice(name.as_bytes());
                rule.named = 1;
                *self.names.entry((dev, ino, padded)).or_default() |= access.0;
            }
            // Too long to be looked up: the whole directory stands for it.
            _ => rule.children |= access.0,
        }
        Ok(())
    }

    /// The rules on objects, as the kernel has them.
    pub(super) fn objects(&self, generation: u32) -> impl Iterator<Item = ([u8; 16], [u32; 4])> {
        self.objects.iter().map(move |(&(dev, ino), rule)| {
            (FileKey { generation, dev, ino }.to_bytes(), rule.to_words())
        })
    }

    /// The rules on names.
    pub(super) fn names(&self, generation: u32) -> impl Iterator<Item = ([u8; 80], u32)> {
        self.names.iter().map(move |(&(dev, ino, name), &granted)| {
            let directory = FileKey { generation, dev, ino };
            (FileNameKey { directory, name }.to_bytes(), granted)
        })
    }
}

/// Device, in the kernel's encoding (`include/linux/kdev_t.h`), and inode number.
fn identity(metadata: &fs::Metadata) -> (u32, u64) {
    let dev = metadata.dev();
    (libc::major(dev) << 20 | libc::minor(dev), metadata.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_does_not_exist_is_a_name_in_its_directory() {
        let directory = tempfile::tempdir().unwrap();
        let mut rules = FileRules::default();
        rules.allow(&directory.path().join("new"), Access::WRITE, Reach::This).unwrap();
        let objects: Vec<_> = rules.objects(7).map(|(_, rule)| rule).collect();
        assert_eq!(objects, [[0, 0, 0, 1]]);
        assert_eq!(rules.names(7).count(), 1);
    }

    #[test]
    fn a_long_name_stands_for_its_directory() {
        let directory = tempfile::tempdir().unwrap();
        let mut rules = FileRules::default();
        let long = directory.path().join("n".repeat(NAME_BYTES));
        rules.allow(&long, Access::READ, Reach::This).unwrap();
        let objects: Vec<_> = rules.objects(7).map(|(_, rule)| rule).collect();
        assert_eq!(objects, [[0, Access::READ.0, 0, 0]]);
    }

    #[test]
    fn a_floor_opens_what_exists() {
        let directory = tempfile::tempdir().unwrap();
        let floor = Floor {
            read: vec![directory.path().to_owned(), directory.path().join("none")],
            ..Floor::default()
        };
        let rules = FileRules::of(&floor).unwrap();
        let objects: Vec<_> = rules.objects(7).map(|(_, rule)| rule).collect();
        assert_eq!(objects, [[0, 0, Access::READ.0, 0]]);
    }

    #[test]
    fn a_tree_that_does_not_exist_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let mut rules = FileRules::default();
        let missing = directory.path().join("none");
        assert!(rules.allow(&missing, Access::READ, Reach::Tree).is_err());
        assert_eq!(rules, FileRules::default());
    }
}
