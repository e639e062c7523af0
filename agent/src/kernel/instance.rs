//! Instances on this host: which are alive, and what dead ones left behind.
//!
//! Layout under the pin root, all on bpffs:
//! ```text
//! <pin root>/<instance>/owner_<pid>_<start time>/   an empty directory that names the owner
//! <pin root>/<instance>/object_<hash>/               the same, for the object that the pins are of
//! <pin root>/<instance>/link_…                      attachments: enforcement lasts as long as these
//! <pin root>/<instance>/link_attached_<cgroup id>_… the same, to cgroups that are not warrantd's
//! <pin root>/<instance>/attached_<cgroup id>_<name>/ the names of the sessions there
//! <pin root>/<instance>/map_…                       the maps
//! <pin root>/<instance>/cgroup                       a link to the instance's cgroup
//! <pin root>/<instance>/session_<cgroup id>_<name>/  the sessions, `.` in names written `:`
//! ```
//! The cgroup of an instance is where [`super::delegation`] says, its sessions are the directories below. A service
//! manager may have removed both before the next start, so their names are among the pins, too.
//! The owner is written before the cgroup is made and removed after it, so a cgroup with processes
//! always has an owner on record.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use aya::programs::links::{FdLink, PinnedLink};
use nix::fcntl::{Flock, FlockArg};

use super::attachment;
use super::cgroup::Cgroup;
use super::gap::{self, Found, Gap};
use super::process::Identity;
use super::{KernelError, KernelOptions, object};

/// The link among the pins to the instance's cgroup.
const CGROUP: &str = "cgroup";
/// Prefix of the directories among the pins that name sessions.
const SESSIONS: &str = "session_";

/// An instance's place in both trees. Dropped, everything in it is killed and removed.
#[derive(Debug)]
pub(super) struct Instance {
    pins: PathBuf,
    cgroup: Cgroup,
    cgroup_path: PathBuf,
    /// Whether something among the pins outlives the instance.
    leaves: AtomicBool,
}

/// A program that a dead instance had attached to a cgroup that is not warrantd's. Dropped, it decides no more.
pub(super) struct Held {
    /// The cgroup.
    pub(super) cgroup_id: u64,
    _link: FdLink,
}

impl Instance {
    /// Cleans up after dead instances, tells what they had not told, and claims the name. What they had attached
    /// to cgroups that are not warrantd's is kept: those who live there have not ended.
    pub(super) fn claim(
        options: &KernelOptions,
        cgroup_root: &Path,
    ) -> Result<(Self, Vec<Gap>, Vec<Held>), KernelError> {
        let (pin_root, name) = (options.pin_root.as_path(), options.instance.as_str());
        check_name(name)?;
        let (mut gaps, mut held) = (Vec::new(), Vec::new());
        let directory = File::open(pin_root).map_err(KernelError::file("opening", pin_root))?;
        // Held while instances are inspected, so that nobody removes one that is being made.
        let _lock = Flock::lock(directory, FlockArg::LockExclusive)
            .map_err(|(_, errno)| KernelError::file("locking", pin_root)(errno.into()))?;

        for other in names(pin_root)? {
            let pins = pin_root.join(&other);
            match owner(&pins) {
                Some(owner) if owner.is_alive() => {
                    if other == name {
                        return Err(KernelError::InstanceBusy { instance: other, pid: owner.pid });
                    }
                }
                _ if other != name && !(options.cleans_up && is_ours(&pins)) => {}
                dead => {
                    let linked = fs::read_link(pins.join(CGROUP));
                    let cgroup = linked.unwrap_or_else(|_| cgroup_root.join(&other));
                    gaps.push(bury(&pins, &cgroup, &other, dead, &mut held)?);
                }
            }
        }

        let pins = pin_root.join(name);
        make_private(&pins)?;
        let own = Identity::own().ok_or(KernelError::Unsupported {
            feature: "/proc",
            remedy: "mount it: mount -t proc proc /proc".into(),
        })?;
        make_private(&pins.join(format!("owner_{}_{}", own.pid, own.started)))?;
        make_private(&pins.join(gap::stamp()))?;
        let cgroup_path = cgroup_root.join(name);
        // A cgroup without an owner on record: its pins were removed by hand.
        Cgroup::existing(&cgroup_path).destroy()?;
        let link = pins.join(CGROUP);
        symlink(&cgroup_path, &link).map_err(KernelError::file("making", link))?;
        let cgroup = Cgroup::create(&cgroup_path)?;
        Ok((Self { pins, cgroup, cgroup_path, leaves: AtomicBool::new(false) }, gaps, held))
    }

    /// Keeps the pins when the instance ends, for the next one of this name.
    pub(super) fn leave_behind(&self) {
        self.leaves.store(true, Ordering::Relaxed);
    }

    /// Where links and maps are pinned.
    pub(super) fn pins(&self) -> &Path {
        &self.pins
    }

    /// The directory in which this instance's cgroup and those of others like it are.
    pub(super) fn home(&self) -> &Path {
        self.cgroup_path.parent().unwrap_or(&self.cgroup_path)
    }

    /// The parent of the sessions' cgroups.
    pub(super) fn cgroup(&self) -> &Cgroup {
        &self.cgroup
    }

    /// Makes the cgroup of a session.
    pub(super) fn session_cgroup(&self, id: &str) -> Result<Cgroup, KernelError> {
        check_session_name(id)?;
        let cgroup = Cgroup::create(&self.cgroup_path.join(id))?;
        cgroup.forbid_children()?;
        let pin = self.session_pin(cgroup.id()?, id);
        fs::create_dir(&pin).map_err(KernelError::file("making", pin))?;
        Ok(cgroup)
    }

    /// Forgets a session whose cgroup is gone.
    pub(super) fn forget_session(&self, cgroup_id: u64, id: &str) {
        let _ = fs::remove_dir(self.session_pin(cgroup_id, id)); // What is left is removed with the instance.
    }

    fn session_pin(&self, cgroup_id: u64, id: &str) -> PathBuf {
        // bpffs refuses dots, and no session has a colon in its name.
        self.pins.join(format!("{SESSIONS}{cgroup_id}_{}", id.replace('.', ":")))
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let done = if self.leaves.load(Ordering::Relaxed) {
            self.cgroup.destroy()
        } else {
            remove(&self.pins, &self.cgroup)
        };
        if let Err(error) = done {
            tracing::warn!(%error, "the instance could not be removed; the next start will try again");
        }
    }
}

/// Ends what a dead instance left running, and reads what is left to read before it is removed.
fn bury(
    pins: &Path,
    cgroup_path: &Path,
    name: &str,
    owner: Option<Identity>,
    held: &mut Vec<Held>,
) -> Result<Gap, KernelError> {
    let mut found = sessions(cgroup_path);
    for session in removed(pins) {
        if found.iter().all(|found| found.cgroup_id != session.cgroup_id) {
            found.push(session);
        }
    }
    found.extend(attached(pins));
    hold(pins, held)?;
    let cgroup = Cgroup::existing(cgroup_path);
    cgroup.destroy()?;
    let gap = gap::read(pins, name, owner.map(|owner| owner.pid), &found);
    // Said here as well: a start that fails later has nobody left to tell.
    tracing::warn!(
        instance = name,
        ?owner,
        sessions = found.len(),
        "cleaned up after a dead instance"
    );
    remove(pins, &cgroup)?;
    Ok(gap)
}

/// The sessions of an instance, by their cgroups.
fn sessions(instance: &Path) -> Vec<Found> {
    let entries = fs::read_dir(instance).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .filter_map(|entry| {
            let cgroup = Cgroup::existing(&entry.path());
            Some(Found {
                name: entry.file_name().to_string_lossy().into_owned(),
                cgroup_id: cgroup.id().ok()?,
                populated: cgroup.populated(),
            })
        })
        .collect()
}

/// The sessions whose cgroups a service manager may have removed.
fn removed(pins: &Path) -> Vec<Found> {
    let entries = fs::read_dir(pins).into_iter().flatten().flatten();
    let session = |name: String| {
        let (id, name) = name.strip_prefix(SESSIONS)?.split_once('_')?;
        let cgroup_id = id.parse().ok()?;
        Some(Found { name: name.replace(':', "."), cgroup_id, populated: false })
    };
    entries.filter_map(|entry| session(entry.file_name().into_string().ok()?)).collect()
}

/// The sessions in cgroups that are not warrantd's.
fn attached(pins: &Path) -> Vec<Found> {
    let entries = fs::read_dir(pins).into_iter().flatten().flatten();
    let session = |name: String| {
        let (id, name) = name.strip_prefix(attachment::NAMES)?.split_once('_')?;
        let cgroup_id = id.parse().ok()?;
        Some(Found { name: name.to_owned(), cgroup_id, populated: true })
    };
    entries.filter_map(|entry| session(entry.file_name().into_string().ok()?)).collect()
}

/// Keeps what was attached to cgroups that are not warrantd's when its pins go.
fn hold(pins: &Path, held: &mut Vec<Held>) -> Result<(), KernelError> {
    for entry in fs::read_dir(pins).into_iter().flatten().flatten() {
        let name = entry.file_name().into_string().unwrap_or_default();
        let Some((id, _)) =
            name.strip_prefix(attachment::LINKS).and_then(|rest| rest.split_once('_'))
        else {
            continue;
        };
        let Ok(cgroup_id) = id.parse() else { continue };
        let path = entry.path();
        let link = PinnedLink::from_pin(&path).map_err(object::refused(&name))?;
        let link = link.unpin().map_err(KernelError::file("removing", path))?;
        held.push(Held { cgroup_id, _link: link });
    }
    Ok(())
}

/// Kills and removes the cgroup, then the pins: enforcement lasts until the last process is gone.
fn remove(pins: &Path, cgroup: &Cgroup) -> Result<(), KernelError> {
    cgroup.destroy()?;
    if cgroup.populated() {
        return Ok(());
    }
    // bpffs has directories and pins, no deeper tree than this.
    for entry in fs::read_dir(pins).into_iter().flatten().flatten() {
        let path = entry.path();
        let removed = match entry.file_type() {
            Ok(kind) if kind.is_dir() => fs::remove_dir(&path),
            _ => fs::remove_file(&path),
        };
        removed.map_err(KernelError::file("removing", path))?;
    }
    match fs::remove_dir(pins) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(KernelError::file("removing", pins)(error))
        }
        _ => Ok(()),
    }
}

/// The instances that have pins.
fn names(pin_root: &Path) -> Result<Vec<String>, KernelError> {
    let entries = fs::read_dir(pin_root).map_err(KernelError::file("reading", pin_root))?;
    Ok(entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| check_name(name).is_ok())
        .collect())
}

/// Whether this process may remove the pins: root any, others their own.
fn is_ours(pins: &Path) -> bool {
    let own = nix::unistd::geteuid();
    own.is_root() || fs::metadata(pins).is_ok_and(|pins| pins.uid() == own.as_raw())
}

/// Who owns the instance, by the name of the directory that says so.
fn owner(pins: &Path) -> Option<Identity> {
    fs::read_dir(pins).ok()?.flatten().find_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let (pid, started) = name.strip_prefix("owner_")?.split_once('_')?;
        Some(Identity { pid: pid.parse().ok()?, started: started.parse().ok()? })
    })
}

fn make_private(path: &Path) -> Result<(), KernelError> {
    DirBuilder::new().mode(0o700).create(path).map_err(KernelError::file("making", path))
}

/// The name of an instance becomes a directory on bpffs, which refuses dots.
pub(super) fn check_name(name: &str) -> Result<(), KernelError> {
    if name.contains('.') || name.len() > 64 {
        return Err(KernelError::Name { name: name.into() });
    }
    check_session_name(name)
}

/// The name of a session becomes a directory among the files of its parent cgroup, which are named
/// `cgroup.…` and `memory.…`: a letter, digit, or what stands between them, but no such name.
fn check_session_name(name: &str) -> Result<(), KernelError> {
    let good = name.len() <= 128
        && name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if good { Ok(()) } else { Err(KernelError::Name { name: name.into() }) }
}

#[cfg(test)]
mod tests {
    use super::{check_name, check_session_name};

    #[test]
    fn names_that_could_leave_their_directory_are_refused() {
        for bad in ["", ".", "..", "a/b", "-a", "a\0", "ä", "..a", &"a".repeat(129)] {
            assert!(check_name(bad).is_err(), "{bad:?}");
            assert!(check_session_name(bad).is_err(), "{bad:?}");
        }
        for good in ["run-17", "serve", "0198c_x", &"a".repeat(64)] {
            assert!(check_name(good).is_ok(), "{good:?}");
            assert!(check_session_name(good).is_ok(), "{good:?}");
        }
        assert!(check_name("a.b").is_err());
        assert!(check_session_name("a.b").is_ok());
    }
}
