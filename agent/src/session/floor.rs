//! The floor under a server's files: what its policy leaves open, and what it needs to run at all.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::install::Install;
use super::loader::loader;
use crate::config::PolicyFile;
use crate::kernel::Floor;
use crate::warrant::Roots;

/// The floor of a server whose root is `root`.
pub(super) fn of(policy: &PolicyFile, root: &str, install: &Install) -> Floor {
    let roots = Roots::of(policy, root);
    let mut run = paths(roots.run.iter().chain(&install.programs));
    // Without its loader a program that may be run cannot be.
    let loaders: Vec<_> =
        run.iter().filter(|path| path.is_file()).filter_map(|p| loader(p)).collect();
    run.extend(loaders);
    let replaced = roots.replace.iter().map(|path| in_which(Path::new(path)));
    Floor {
        read: paths(roots.read.iter().chain(&install.trees)).into_iter().collect(),
        list: paths(roots.list.iter()).into_iter().collect(),
        write: paths(roots.write.iter()).into_iter().chain(replaced).collect(),
        run: run.into_iter().collect(),
    }
}

/// The directory in which a path without wildcards is written.
fn in_which(path: &Path) -> PathBuf {
    if path.is_dir() { path.to_owned() } else { path.parent().unwrap_or(path).to_owned() }
}

fn paths<'a>(texts: impl Iterator<Item = &'a String>) -> BTreeSet<PathBuf> {
    texts.map(|text| Path::new(text).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_is_named_opens_itself_and_a_file_its_directory() {
        let dir = tempfile::tempdir().expect("dir");
        let root = dir.path().canonicalize().expect("real");
        for made in ["out", "notes"] {
            std::fs::create_dir(root.join(made)).expect("made");
        }
        let text = "{constraints: {write_file: {allowed_paths: [out, notes/today.md]}}}";
        let policy: PolicyFile = serde_yaml::from_str(text).expect("a policy");
        let floor = of(&policy, root.to_str().expect("UTF-8"), &Install::default());
        assert!(floor.write.contains(&root.join("out")), "{floor:?}");
        assert!(floor.write.contains(&root.join("notes")), "{floor:?}");
        assert!(!floor.write.contains(&root), "the whole root is open: {floor:?}");
        assert_eq!(floor.list, [root]);
    }
}
