//! Directories for one test, readable by the user that servers run as.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use tempfile::TempDir;

use crate::places;

/// Two temporary directories, removed when dropped: one for data, one for programs. They are apart
/// because a server may always read the tree that it is installed in.
#[derive(Debug)]
pub struct Scratch {
    data: TempDir,
    programs: TempDir,
}

impl Scratch {
    /// Two empty directories that everybody can read.
    pub fn new() -> anyhow::Result<Self> {
        Ok(Self { data: public_directory("data")?, programs: public_directory("programs")? })
    }

    /// A path in the data directory, without symbolic links.
    pub fn path(&self, relative: &str) -> anyhow::Result<PathBuf> {
        let dir = self.data.path();
        let dir = dir.canonicalize().with_context(|| format!("{}", dir.display()))?;
        Ok(dir.join(relative))
    }

    /// Writes a file of the data directory that everybody can read, with its directories.
    pub fn file(&self, relative: &str, content: impl AsRef<[u8]>) -> anyhow::Result<PathBuf> {
        let path = self.path(relative)?;
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).with_context(|| format!("{}", parent.display()))?;
        }
        fs::write(&path, content).with_context(|| format!("{}", path.display()))?;
        fs::set_permissions(&path, Permissions::from_mode(0o644))?;
        Ok(path)
    }

    /// Makes a directory of the data directory that everybody can write to.
    pub fn writable_directory(&self, relative: &str) -> anyhow::Result<PathBuf> {
        let path = self.path(relative)?;
        fs::create_dir_all(&path).with_context(|| format!("{}", path.display()))?;
        fs::set_permissions(&path, Permissions::from_mode(0o777))?;
        Ok(path)
    }

    /// A copy of a program of this workspace where everybody can run it: the build directory may
    /// be one that only its owner can enter.
    pub fn program(&self, name: &str) -> anyhow::Result<PathBuf> {
        let copy = self.programs.path().canonicalize()?.join(name).join(name);
        if !copy.exists() {
            // By another process: a program that this one had open for writing could not be run
            // while a child that another thread forked meanwhile still holds the descriptor.
            let mut install = Command::new("install");
            install.args(["-D", "-m", "0755", "--"]).arg(places::program(name)?).arg(&copy);
            let done = install.status().context("running `install`")?;
            ensure!(done.success(), "{install:?}: {done}");
        }
        Ok(copy)
    }

    /// Keeps the data directory and says where it is.
    pub fn keep(self) -> anyhow::Result<PathBuf> {
        let path = self.path("")?;
        let _ = self.data.keep();
        Ok(path)
    }
}

fn public_directory(purpose: &str) -> anyhow::Result<TempDir> {
    let dir = tempfile::Builder::new()
        .prefix(&format!("warrantd-{purpose}-"))
        .tempdir()
        .context("a temporary directory")?;
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755))?;
    Ok(dir)
}

/// A path as text. Paths of tests are.
pub fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
