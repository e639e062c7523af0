//! Archives in the format that the kernel unpacks as its first file system (`newc` of cpio, described in
//! the kernel's Documentation/driver-api/early-userspace/buffer-format.rst).

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, bail};

/// What is at one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Entry {
    Directory { mode: u32 },
    File { mode: u32, content: Vec<u8> },
    Link { target: String },
    CharacterDevice { mode: u32, major: u32, minor: u32 },
}

/// A file tree owned by root. Directories on the way to an entry are made with it.
#[derive(Debug, Default)]
pub(super) struct Tree {
    entries: BTreeMap<String, Entry>,
    under: Option<PathBuf>,
}

impl Tree {
    /// A tree that lies over the one in this archive: what is at the same path replaces what is there.
    pub(super) fn over(archive: PathBuf) -> Self {
        Self { entries: BTreeMap::new(), under: Some(archive) }
    }

    /// Puts an entry at an absolute path without `..`. A later entry replaces an earlier one.
    pub(super) fn put(&mut self, path: &str, entry: Entry) -> anyhow::Result<()> {
        let name = name(path)?;
        for (at, _) in name.match_indices('/') {
            self.entries.entry(name[..at].to_owned()).or_insert(Entry::Directory { mode: 0o755 });
        }
        self.entries.insert(name, entry);
        Ok(())
    }

    /// Whether something is at this path.
    pub(super) fn has(&self, path: &str) -> bool {
        name(path).is_ok_and(|name| self.entries.contains_key(&name))
    }

    /// Whether there is a tree under it, with libraries of its own.
    pub(super) fn lies_over(&self) -> bool {
        self.under.is_some()
    }

    /// Writes a file that the kernel unpacks: archives one after the other.
    pub(super) fn write(&self, to: &Path) -> anyhow::Result<()> {
        let place = || to.display().to_string();
        let mut file = File::create(to).with_context(place)?;
        if let Some(under) = &self.under {
            let mut under = File::open(under).with_context(|| under.display().to_string())?;
            std::io::copy(&mut under, &mut file).with_context(place)?;
        }
        file.write_all(&self.archive()?).with_context(place)
    }

    /// The archive. Entries are sorted, so directories come before what is in them.
    fn archive(&self) -> anyhow::Result<Vec<u8>> {
        let mut archive = Vec::new();
        for (number, (name, entry)) in (1u32..).zip(&self.entries) {
            member(&mut archive, number, name, entry)?;
        }
        let end = Entry::File { mode: 0, content: Vec::new() };
        member(&mut archive, 0, "TRAILER!!!", &end)?;
        Ok(archive)
    }
}

/// The path as archives have it, without the first slash.
fn name(path: &str) -> anyhow::Result<String> {
    let mut parts = Vec::new();
    for component in Path::new(path).components() {
        match component {
            Component::RootDir => {}
            Component::Normal(part) => parts.push(part.to_str().context("a path is UTF-8")?),
            _ => bail!("`{path}` is no plain path"),
        }
    }
    if !path.starts_with('/') || parts.is_empty() {
        bail!("`{path}` is not an absolute path of a file");
    }
    Ok(parts.join("/"))
}

fn member(archive: &mut Vec<u8>, number: u32, name: &str, entry: &Entry) -> anyhow::Result<()> {
    const DIRECTORY: u32 = 0o040_000;
    const FILE: u32 = 0o100_000;
    const LINK: u32 = 0o120_000;
    const CHARACTER_DEVICE: u32 = 0o020_000;
    let (mode, device, content): (u32, (u32, u32), &[u8]) = match entry {
        Entry::Directory { mode } => (DIRECTORY | mode, (0, 0), &[]),
        Entry::File { mode: 0, content } => (0, (0, 0), content),
        Entry::File { mode, content } => (FILE | mode, (0, 0), content),
        Entry::Link { target } => (LINK | 0o777, (0, 0), target.as_bytes()),
        Entry::CharacterDevice { mode, major, minor } => {
            (CHARACTER_DEVICE | mode, (*major, *minor), &[])
        }
    };
    let size = u32::try_from(content.len()).with_context(|| format!("`{name}` is too large"))?;
    let name_size = u32::try_from(name.len() + 1)?;
    // Number, mode, uid, gid, links, time, size, device (two), device it is (two), name's size, no checksum.
    let fields =
        [number, mode, 0, 0, 1, 0, size, 0, 0, device.0, device.1, name_size, 0].into_iter();
    archive.extend(b"070701");
    fields.for_each(|field| archive.extend(format!("{field:08x}").bytes()));
    archive.extend(name.bytes());
    archive.push(0);
    pad(archive);
    archive.extend(content);
    pad(archive);
    Ok(())
}

/// Headers and contents begin at multiples of four.
fn pad(archive: &mut Vec<u8>) {
    archive.resize(archive.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_has_the_directories_on_the_way() {
        let mut tree = Tree::default();
        let file = Entry::File { mode: 0o644, content: b"hello".to_vec() };
        tree.put("/a/b/c", file).unwrap();
        tree.put("/a", Entry::Directory { mode: 0o700 }).unwrap();
        let names: Vec<_> = tree.entries.keys().map(String::as_str).collect();
        assert_eq!(names, ["a", "a/b", "a/b/c"]);
        assert_eq!(tree.entries["a"], Entry::Directory { mode: 0o700 });
        assert!(tree.has("/a/b") && !tree.has("/b"));
    }

    #[test]
    fn paths_are_absolute_and_plain() {
        let mut tree = Tree::default();
        for path in ["a", "", "/", "/a/../b", "./a"] {
            assert!(tree.put(path, Entry::Directory { mode: 0o755 }).is_err(), "{path}");
        }
    }

    #[test]
    fn an_archive_is_as_the_format_says() {
        let mut tree = Tree::default();
        tree.put("/f", Entry::File { mode: 0o600, content: b"12345".to_vec() }).unwrap();
        tree.put("/console", Entry::CharacterDevice { mode: 0o600, major: 5, minor: 1 }).unwrap();
        let archive = tree.archive().unwrap();
        let header = |fields: &str, name: &str| format!("070701{fields}{name}");
        let console = header(
            "0000000100002180000000000000000000000001000000000000000000000000000000000000000500000001\
             0000000800000000",
            "console\0",
        );
        // 110 bytes and 8 of the name, padded to 120.
        assert_eq!(archive[..118], *console.as_bytes());
        assert_eq!(archive[118..120], [0, 0]);
        let file = header(
            "0000000200008180000000000000000000000001000000000000000500000000000000000000000000000000\
             0000000200000000",
            "f\0",
        );
        assert_eq!(archive[120..232], *file.as_bytes());
        assert_eq!(archive[232..240], *b"12345\0\0\0");
        assert!(archive[240..].starts_with(b"070701") && archive.len() % 4 == 0);
    }

    #[test]
    fn a_tree_over_another_comes_after_it() {
        let scratch = tempfile::tempdir().unwrap();
        let (under, whole) = (scratch.path().join("under"), scratch.path().join("whole"));
        let file = || Entry::File { mode: 0o644, content: b"hello".to_vec() };
        let mut first = Tree::default();
        first.put("/a", file()).unwrap();
        first.write(&under).unwrap();
        let mut second = Tree::over(under);
        second.put("/b", file()).unwrap();
        second.write(&whole).unwrap();
        let mut expected = first.archive().unwrap();
        expected.extend(second.archive().unwrap());
        assert_eq!(std::fs::read(whole).unwrap(), expected);
    }

    /// The programs of the distribution read what is written here.
    #[test]
    fn another_implementation_reads_it() {
        use std::io::Write as _;
        use std::process::{Command, Stdio};
        let mut tree = Tree::default();
        tree.put("/d/file", Entry::File { mode: 0o644, content: vec![b'x'; 4099] }).unwrap();
        tree.put("/d/link", Entry::Link { target: "file".into() }).unwrap();
        let started = Command::new("cpio")
            .args(["--list", "--quiet"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        // Where there is no cpio, the kernel reads the archives of the virtual machines all the same.
        let Ok(mut cpio) = started else { return };
        cpio.stdin.take().unwrap().write_all(&tree.archive().unwrap()).unwrap();
        let listed = cpio.wait_with_output().unwrap();
        assert_eq!(String::from_utf8(listed.stdout).unwrap(), "d\nd/file\nd/link\n");
    }
}
