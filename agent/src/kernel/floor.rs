//! A floor under a server's files that holds whatever the programs see: Landlock
//! (Documentation/userspace-api/landlock.rst), fixed when the server starts.
//!
//! The ruleset is prepared in the parent. The child needs a single system call to put itself and all its
//! descendants under it, after `no_new_privs`. What is not below a root is refused with EACCES; a rename
//! or link between two roots that the kernel cannot check fails with EXDEV.

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, BitFlags, PathBeneath, PathFd, Ruleset, RulesetAttr as _,
    RulesetCreatedAttr as _, make_bitflags,
};
use nix::errno::Errno;

use super::KernelError;

/// The rights that are judged. Later ones are about sockets, which the programs judge.
const JUDGED: ABI = ABI::V5;
/// `LANDLOCK_CREATE_RULESET_VERSION` (include/uapi/linux/landlock.h).
const VERSION: libc::c_long = 1;

/// What a server may reach: files, or directories with all that is below them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Floor {
    /// Files to read, and directories to read and list.
    pub read: Vec<PathBuf>,
    /// Directories to list, with all below them.
    pub list: Vec<PathBuf>,
    /// Files to write and cut; directories below which to do that and to make, remove and rename.
    pub write: Vec<PathBuf>,
    /// Programs to run, and by that to read.
    pub run: Vec<PathBuf>,
}

/// Whether the running kernel has Landlock: what it cannot refuse, a line each, or why there is none.
pub fn floor_shortcomings() -> Result<Vec<&'static str>, KernelError> {
    let abi = abi().map_err(|errno| KernelError::Unsupported {
        feature: "Landlock, which effects.landlock asks for",
        remedy: match errno {
            Errno::EOPNOTSUPP => {
                "add `landlock` to the lsm= list of the kernel command line".into()
            }
            _ => {
                "use a kernel from 5.13 on that is built with CONFIG_SECURITY_LANDLOCK, or remove \
                  the key"
                    .into()
            }
        },
    })?;
    Ok(said_of(abi))
}

/// What Landlock of this version cannot refuse.
fn said_of(abi: i32) -> Vec<&'static str> {
    let all = [
        (2, "renames and links between directories are always refused, even below a root (5.19)"),
        (3, "truncate(2) of files outside the roots is not refused (6.2)"),
        (5, "ioctl(2) on devices outside the roots is not refused (6.10)"),
    ];
    all.into_iter().filter(|(since, _)| abi < *since).map(|(_, text)| text).collect()
}

/// The version of Landlock.
fn abi() -> Result<i32, Errno> {
    // SAFETY: asked for the version, the call takes no attributes.
    let version = unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<u8>(), 0_usize, VERSION)
    };
    Errno::result(version).map(|version| i32::try_from(version).unwrap_or(i32::MAX))
}

/// Prepares the ruleset of a floor. A root that does not exist opens nothing, and is named in the log.
pub(super) fn ruleset(floor: &Floor) -> io::Result<OwnedFd> {
    abi()?;
    let read = make_bitflags!(AccessFs::{ReadFile | ReadDir});
    let write = AccessFs::from_write(JUDGED) & !devices();
    // The kernel opens a program for reading before it runs it.
    let run = make_bitflags!(AccessFs::{ReadFile | Execute});
    let mut ruleset = Ruleset::default()
        .handle_access(AccessFs::from_all(JUDGED))
        .and_then(Ruleset::create)
        .map_err(io::Error::other)?;
    let wanted = [
        (&floor.read, read),
        (&floor.list, AccessFs::ReadDir.into()),
        (&floor.write, write),
        (&floor.run, run),
    ];
    for (roots, access) in wanted {
        for root in roots {
            let Some((fd, access)) = open(root, access)? else {
                tracing::warn!(root = %root.display(), "landlock: no such file; nothing is opened for it");
                continue;
            };
            ruleset = ruleset.add_rule(PathBeneath::new(fd, access)).map_err(io::Error::other)?;
        }
    }
    // There is none only when the kernel lost Landlock since it was asked.
    Option::<OwnedFd>::from(ruleset).ok_or_else(|| io::Error::from(Errno::EOPNOTSUPP))
}

/// A root and the rights that make sense for what it is; `None` when it does not exist.
fn open(
    root: &Path,
    access: BitFlags<AccessFs>,
) -> io::Result<Option<(PathFd, BitFlags<AccessFs>)>> {
    let metadata = match std::fs::metadata(root) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let is_device = root.starts_with("/dev");
    let access = if is_device { access | devices() } else { access };
    let access = if metadata.is_dir() { access } else { access & AccessFs::from_file(JUDGED) };
    let fd = PathFd::new(root).map_err(io::Error::other)?;
    Ok((!access.is_empty()).then_some((fd, access)))
}

/// What a device needs beside reading and writing: libraries ask whether it is a terminal.
fn devices() -> BitFlags<AccessFs> {
    AccessFs::IoctlDev.into()
}

/// Puts the calling process under the ruleset (`landlock_restrict_self(2)`). Async-signal-safe.
pub(super) fn restrict_self(ruleset: BorrowedFd<'_>) -> Result<(), Errno> {
    // SAFETY: takes numbers only.
    let status = unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset.as_raw_fd(), 0) };
    Errno::result(status).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_older_kernels_cannot_do_is_said() {
        assert_eq!(said_of(1).len(), 3);
        assert_eq!(said_of(2).len(), 2);
        assert!(said_of(4)[0].contains("ioctl"));
        assert!(said_of(5).is_empty() && said_of(10).is_empty());
    }
}
