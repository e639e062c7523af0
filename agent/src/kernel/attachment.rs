//! A cgroup that somebody else made and whose processes somebody else runs: a service of the host's manager, a
//! container. The deciding programs are attached to it beside the instance's own parent cgroup; the observing
//! ones watch the whole host and find it like any session.
//!
//! Nothing in it is killed, frozen, moved or removed. Two things that hold for cgroups of warrantd's own have to
//! be looked at instead, each time when effects are drained: that no cgroup is made below it, whose processes the
//! programs would refuse every connection and otherwise not see; and that the directory is still the same one, as
//! managers make a new one when they start a service again.

use std::fs;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::backend::Backend;
use super::cgroup::Cgroup;
use super::object::Pinned;
use super::runtime::Inner;
use super::{KernelError, mounts};

/// Prefix of the pins of an attached cgroup's links; its id and the program follow.
pub(super) const LINKS: &str = "link_attached_";
/// Prefix of the directory among the pins that names the session; the cgroup's id and the name follow.
pub(super) const NAMES: &str = "attached_";

/// A foreign cgroup.
pub(super) struct Attachment {
    inner: Arc<Inner>,
    cgroup: Cgroup,
    path: PathBuf,
    id: u64,
    /// Directory among the pins that tells the next start what the session was called.
    name_pin: PathBuf,
    links: Mutex<Option<Pinned>>,
}

impl Attachment {
    /// Checks that the cgroup at `path`, from the cgroup mount on, can be one session.
    pub(super) fn new(inner: Arc<Inner>, name: &str, path: &Path) -> Result<Self, KernelError> {
        let refuse = |why: &'static str| KernelError::Attach { path: path.to_owned(), why };
        let mount = mounts::cgroup2()?;
        let full = below(&mount, path).ok_or_else(|| {
            refuse("it must be a path from the cgroup mount on, below its root and without `..`")
        })?;
        let own = inner.instance().home();
        if full.starts_with(mount.join("warrantd")) || full.starts_with(own) {
            return Err(refuse("it belongs to warrantd itself"));
        }
        let cgroup = Cgroup::existing(&full);
        let id = cgroup.id()?;
        if descendants(&full)? > 0 {
            return Err(refuse(
                "there are cgroups below it, whose processes would not be seen: name the one in which \
                 the server runs",
            ));
        }
        let name_pin = inner.instance().pins().join(format!("{NAMES}{id}_{name}"));
        Ok(Self { inner, cgroup, path: full, id, name_pin, links: Mutex::default() })
    }

    pub(super) fn cgroup(&self) -> &Cgroup {
        &self.cgroup
    }

    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// Attaches the deciding programs. What a dead instance had attached there goes on until this has worked.
    pub(super) fn attach(&self) -> Result<(), KernelError> {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        if links.is_some() {
            return Ok(());
        }
        let directory = self.cgroup.open()?;
        let prefix = format!("{LINKS}{}_", self.id);
        let pins = self.inner.instance().pins();
        *links = Some(self.inner.attached().attach_to(&directory, pins, &prefix)?);
        if !self.is_whole() {
            let why = "it was changed while warrantd attached to it; try again";
            return Err(KernelError::Attach { path: self.path.clone(), why });
        }
        fs::create_dir(&self.name_pin).map_err(KernelError::file("making", &*self.name_pin))?;
        self.inner.release_held(self.id);
        if self.inner.attached().backend == Backend::Tracepoint && io_uring_is_open() {
            tracing::warn!(
                cgroup = %self.path.display(),
                "files that the server opens through io_uring are not seen on this kernel; \
                 set kernel.io_uring_disabled=2, or have warrantd run the server"
            );
        }
        Ok(())
    }

    /// Takes the programs away again.
    pub(super) fn detach(&self) {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(links) = links.take() {
            links.unpin();
        }
        let _ = fs::remove_dir(&self.name_pin); // Not there before the programs are attached.
    }

    /// Whether all of it is still seen: the same directory, and none below it.
    pub(super) fn is_whole(&self) -> bool {
        self.cgroup.id().is_ok_and(|id| id == self.id)
            && descendants(&self.path).is_ok_and(|descendants| descendants == 0)
    }
}

/// The cgroup's directory.
fn below(mount: &Path, path: &Path) -> Option<PathBuf> {
    let relative = path.strip_prefix("/").ok()?;
    let plain = relative.components().all(|part| matches!(part, Component::Normal(_)));
    (plain && relative.components().next().is_some()).then(|| mount.join(relative))
}

/// How many cgroups there are below one.
fn descendants(path: &Path) -> Result<u64, KernelError> {
    let file = path.join("cgroup.stat");
    let text = fs::read_to_string(&file).map_err(KernelError::file("reading", &file))?;
    let count = text.lines().find_map(|line| line.strip_prefix("nr_descendants ")?.parse().ok());
    // The kernel has written the line ever since there is the file (4.14).
    Ok(count.unwrap_or(u64::MAX))
}

/// Whether processes may set up `io_uring`, of which the system call tracepoints see nothing.
fn io_uring_is_open() -> bool {
    fs::read_to_string("/proc/sys/kernel/io_uring_disabled").map_or(true, |text| text.trim() != "2")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_below_the_mount() {
        let at = |path: &str| below(Path::new("/sys/fs/cgroup"), Path::new(path));
        assert_eq!(at("/a.slice/b").as_deref(), Some(Path::new("/sys/fs/cgroup/a.slice/b")));
        for outside in ["/", "", "a", "/..", "/a/../../b"] {
            assert_eq!(at(outside), None, "{outside}");
        }
    }
}
