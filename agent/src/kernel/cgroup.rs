//! One cgroup directory (Documentation/admin-guide/cgroup-v2.rst).

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::KernelError;

/// How long processes get to disappear after SIGKILL: one that hangs in a device cannot.
const EMPTY_WITHIN: Duration = Duration::from_secs(5);

/// A cgroup that warrantd made or took over.
#[derive(Debug)]
pub(super) struct Cgroup {
    path: PathBuf,
}

impl Cgroup {
    /// Makes the directory, parents included. It must not exist.
    pub(super) fn create(path: &Path) -> Result<Self, KernelError> {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(KernelError::file("making cgroup", parent))?;
        }
        DirBuilder::new()
            .mode(0o755)
            .create(path)
            .map_err(KernelError::file("making cgroup", path))?;
        Ok(Self::existing(path))
    }

    /// Takes over a directory that is there.
    pub(super) fn existing(path: &Path) -> Self {
        Self { path: path.into() }
    }

    /// Forbids cgroups below this one: the programs know a session by its own id only.
    pub(super) fn forbid_children(&self) -> Result<(), KernelError> {
        self.write("cgroup.max.descendants", "0")
    }

    /// The id that programs see: the inode number of the directory (kernfs).
    pub(super) fn id(&self) -> Result<u64, KernelError> {
        let metadata =
            fs::metadata(&self.path).map_err(KernelError::file("reading", &*self.path))?;
        Ok(metadata.ino())
    }

    /// Opens the directory, to attach programs to it.
    pub(super) fn open(&self) -> Result<File, KernelError> {
        File::open(&self.path).map_err(KernelError::file("opening cgroup", &*self.path))
    }

    /// Opens `cgroup.procs`, through which a child moves itself in by writing "0".
    pub(super) fn open_procs(&self) -> Result<File, KernelError> {
        let path = self.path.join("cgroup.procs");
        OpenOptions::new().write(true).open(&path).map_err(KernelError::file("opening", path))
    }

    /// Stops or continues every process.
    pub(super) fn freeze(&self, frozen: bool) -> Result<(), KernelError> {
        self.write("cgroup.freeze", if frozen { "1" } else { "0" })
    }

    /// The processes here, by id.
    pub(super) fn pids(&self) -> Vec<u32> {
        let procs = fs::read_to_string(self.path.join("cgroup.procs")).unwrap_or_default();
        procs.lines().filter_map(|line| line.parse().ok()).collect()
    }

    /// Whether any process lives here or below. A directory that is gone is empty.
    pub(super) fn populated(&self) -> bool {
        fs::read_to_string(self.path.join("cgroup.events"))
            .is_ok_and(|events| events.lines().any(|line| line == "populated 1"))
    }

    /// Kills every process here and below. Returns when the signals are sent, not when all are gone.
    pub(super) fn kill(&self) -> Result<(), KernelError> {
        match self.write("cgroup.kill", "1") {
            // Kernels before 5.14 do not have the file.
            Err(KernelError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                self.kill_each()
            }
            other => other,
        }
    }

    /// Waits until no process is left; false when time runs out.
    pub(super) fn wait_empty(&self) -> bool {
        let deadline = Instant::now() + EMPTY_WITHIN;
        let mut pause = Duration::from_micros(200);
        while self.populated() {
            if Instant::now() > deadline {
                return false;
            }
            thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(20));
        }
        true
    }

    /// Kills everything, waits, and removes the directory with those below it.
    pub(super) fn destroy(&self) -> Result<(), KernelError> {
        if !self.path.exists() {
            return Ok(());
        }
        // Frozen processes die too, but older kernels let them thaw first.
        let _ = self.freeze(false);
        self.kill()?;
        self.wait_empty();
        remove_tree(&self.path).map_err(KernelError::file("removing cgroup", &*self.path))
    }

    /// Signals process after process until none is left, because killed ones may have forked meanwhile.
    fn kill_each(&self) -> Result<(), KernelError> {
        let deadline = Instant::now() + EMPTY_WITHIN;
        self.freeze(true)?;
        while self.populated() && Instant::now() < deadline {
            for directory in tree(&self.path) {
                let members =
                    fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
                for pid in
                    members.lines().filter_map(|line| line.parse().ok()).filter(|pid| *pid > 0)
                {
                    // One that is gone already is what we want.
                    let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
                }
            }
            self.freeze(false)?;
            thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    fn write(&self, file: &str, value: &str) -> Result<(), KernelError> {
        let path = self.path.join(file);
        // Never with O_CREAT, which a cgroup refuses with another error than "no such file".
        let written = OpenOptions::new()
            .write(true)
            .open(&path)
            .and_then(|mut file| file.write_all(value.as_bytes()));
        written.map_err(KernelError::file("writing", path))
    }
}

/// The directory and all below it, deepest first.
fn tree(path: &Path) -> Vec<PathBuf> {
    let children = fs::read_dir(path).into_iter().flatten().flatten();
    let mut found: Vec<_> = children
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .flat_map(|entry| tree(&entry.path()))
        .collect();
    found.push(path.into());
    found
}

/// Removes the directories. Cgroup files go with theirs; a kernel that is still dismantling says EBUSY.
fn remove_tree(path: &Path) -> io::Result<()> {
    for directory in tree(path) {
        let deadline = Instant::now() + Duration::from_millis(500);
        loop {
            match fs::remove_dir(&directory) {
                Ok(()) => break,
                Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                Err(error)
                    if error.raw_os_error() == Some(libc::EBUSY) && Instant::now() < deadline =>
                {
                    thread::sleep(Duration::from_millis(2));
                }
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}
