//! Where warrantd's cgroups are.
//!
//! The cgroup tree belongs to the service manager, and what it has not delegated is not to be changed under it
//! (systemd, `CGROUP_DELEGATION.md`). A daemon whose unit has `Delegate=yes` works in its own part:
//!
//! ```text
//! warrantd.service/daemon                the daemon itself: a cgroup with others below it holds no processes
//! warrantd.service/warrantd/serve/<id>   its sessions
//! ```
//!
//! There the service's limits hold for the servers, too, and the manager's end of the service is their end. What has
//! no such place, like a `warrantd run` in a terminal, uses `warrantd/<instance>/<id>` at the top of the tree, which
//! no service manager claims.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::KernelError;

/// The directory of all instances.
const OWN: &str = "warrantd";
/// Where the daemon goes itself.
const DAEMON: &str = "daemon";
/// What systemd sets on a cgroup that it has delegated; the second since version 251, readable by everyone.
const MARKS: [&std::ffi::CStr; 2] = [c"user.delegate", c"trusted.delegate"];

/// The directory of all instances' cgroups. `service` says that this process is a service's main one, if a service
/// manager started it; it moves to a cgroup of its own where that is delegated.
pub(super) fn home(mount: &Path, service: bool) -> Result<PathBuf, KernelError> {
    match delegated(mount).filter(|_| service && is_main_process()) {
        None => Ok(mount.join(OWN)),
        Some(service) => {
            let own = service.join(DAEMON);
            fs::create_dir_all(&own).map_err(KernelError::file("making cgroup", &*own))?;
            let procs = own.join("cgroup.procs");
            fs::write(&procs, "0").map_err(KernelError::file("writing", procs))?;
            Ok(service.join(OWN))
        }
    }
}

/// Whether systemd started this very process (`$SYSTEMD_EXEC_PID` in systemd.exec(5), since version 248): a shell
/// below one may not rearrange its cgroup.
fn is_main_process() -> bool {
    let pid = std::env::var("SYSTEMD_EXEC_PID").ok();
    pid.and_then(|pid| pid.parse().ok()) == Some(std::process::id())
}

/// The cgroup of this process's service, if it was delegated.
fn delegated(mount: &Path) -> Option<PathBuf> {
    let table = fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = mount.join(unified(&table)?);
    // After a move by an earlier start, or by `DelegateSubgroup=`, it is the one above.
    let above = own.parent().filter(|_| own.ends_with(DAEMON)).map(Path::to_owned);
    std::iter::once(own).chain(above).find(|path| is_marked(path))
}

/// The path in the unified hierarchy, without its first slash (`cgroups(7)`).
fn unified(table: &str) -> Option<&str> {
    let path = table.lines().find_map(|line| line.strip_prefix("0::/"))?;
    // What lies outside a cgroup namespace begins with `..`.
    (!path.is_empty() && !path.starts_with("..")).then_some(path)
}

fn is_marked(cgroup: &Path) -> bool {
    let Ok(path) = CString::new(cgroup.as_os_str().as_bytes()) else { return false };
    MARKS.iter().any(|mark| read_mark(&path, mark).is_ok_and(|value| value == b'1'))
}

/// The first byte of an extended attribute.
fn read_mark(path: &CString, name: &std::ffi::CStr) -> io::Result<u8> {
    let mut value = [0u8; 8];
    // SAFETY: both names end in a zero byte, and the buffer is as long as it is said to be.
    let read = unsafe {
        libc::getxattr(path.as_ptr(), name.as_ptr(), value.as_mut_ptr().cast(), value.len())
    };
    if read < 1 { Err(io::Error::last_os_error()) } else { Ok(value[0]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unified_hierarchy_is_found_beside_others() {
        let table = "5:cpu:/a\n1:name=systemd:/b\n0::/system.slice/warrantd.service\n";
        assert_eq!(unified(table), Some("system.slice/warrantd.service"));
        for none in ["", "0::/\n", "0::/../a\n", "1:cpu:/a\n"] {
            assert_eq!(unified(none), None, "{none}");
        }
    }

    #[test]
    fn without_a_service_manager_the_top_of_the_tree_is_used() {
        let mount = Path::new("/nowhere");
        assert_eq!(home(mount, false).expect("a home"), mount.join("warrantd"));
        assert_eq!(home(mount, true).expect("a home"), mount.join("warrantd"));
    }
}
