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
    Floor {
        read: paths(roots.read.iter().chain(&install.trees)).into_iter().collect(),
        list: paths(roots.list.iter()).into_iter().collect(),
        write: paths(roots.write.iter()).into_iter().collect(),
        run: run.into_iter().collect(),
    }
}

fn paths<'a>(texts: impl Iterator<Item = &'a String>) -> BTreeSet<PathBuf> {
    texts.map(|text| Path::new(text).to_owned()).collect()
}
