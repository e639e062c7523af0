//! The pseudo file systems the kernel layer needs: cgroup2 is found, bpffs is mounted where missing.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use nix::mount::{MsFlags, mount};
use nix::sys::statfs::{BPF_FS_MAGIC, statfs};

use super::KernelError;

/// Where systems mount bpffs.
const BPFFS: &str = "/sys/fs/bpf";
/// Where systems mount tracefs.
const TRACEFS: &str = "/sys/kernel/tracing";

/// The mount point of the unified cgroup hierarchy, wherever it is.
pub(super) fn cgroup2() -> Result<PathBuf, KernelError> {
    let path = Path::new("/proc/self/mountinfo");
    let table = fs::read(path).map_err(KernelError::file("reading", path))?;
    find_cgroup2(&table).ok_or_else(|| KernelError::Unsupported {
        feature: "a mounted cgroup2 hierarchy",
        remedy: "mount it: mount -t cgroup2 none /sys/fs/cgroup".into(),
    })
}

/// Makes sure that `pin_root` exists and lies on bpffs.
pub(super) fn prepare_pins(pin_root: &Path) -> Result<(), KernelError> {
    if pin_root.starts_with(BPFFS) && !on_bpffs(Path::new(BPFFS)) {
        let flags =
            MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC | MsFlags::MS_RELATIME;
        mount(Some("bpf"), BPFFS, Some("bpf"), flags, Some("mode=700")).map_err(|errno| {
            KernelError::Mount { kind: "bpffs", path: BPFFS.into(), source: errno.into() }
        })?;
    }
    fs::create_dir_all(pin_root).map_err(KernelError::file("making", pin_root))?;
    if on_bpffs(pin_root) { Ok(()) } else { Err(KernelError::PinRoot { path: pin_root.into() }) }
}

/// Makes sure that tracepoints can be looked up by name.
pub(super) fn prepare_tracepoints() -> Result<(), KernelError> {
    let is_there = |path: &str| Path::new(path).join("events/syscalls/sys_exit_openat/id").exists();
    if is_there(TRACEFS) || is_there("/sys/kernel/debug/tracing") {
        return Ok(());
    }
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC | MsFlags::MS_RELATIME;
    mount(Some("tracefs"), TRACEFS, Some("tracefs"), flags, None::<&str>).map_err(|errno| {
        KernelError::Mount { kind: "tracefs", path: TRACEFS.into(), source: errno.into() }
    })?;
    if is_there(TRACEFS) {
        return Ok(());
    }
    Err(KernelError::Unsupported {
        feature: "system call tracepoints",
        remedy: "use a kernel built with CONFIG_FTRACE_SYSCALLS".into(),
    })
}

fn on_bpffs(path: &Path) -> bool {
    statfs(path).is_ok_and(|stat| stat.filesystem_type() == BPF_FS_MAGIC)
}

/// The first cgroup2 mount point in a mountinfo table whose root is the root of the hierarchy or, in a
/// container, whatever it is (`proc_pid_mountinfo(5)`).
fn find_cgroup2(table: &[u8]) -> Option<PathBuf> {
    table.split(|&byte| byte == b'\n').find_map(|line| {
        let fields: Vec<_> = line.split(|&byte| byte == b' ').collect();
        let separator = fields.iter().position(|field| *field == b"-")?;
        (fields.get(separator + 1)? == b"cgroup2").then_some(())?;
        Some(PathBuf::from(OsString::from_vec(unescape(fields.get(4)?))))
    })
}

/// Mountinfo writes space, tab, newline and backslash as three octal digits.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, tail)) = rest.split_first() {
        if first == b'\\'
            && let Some(digits) = tail.get(..3)
            && let Some(byte) = std::str::from_utf8(digits)
                .ok()
                .and_then(|digits| u8::from_str_radix(digits, 8).ok())
        {
            bytes.push(byte);
            rest = &tail[3..];
        } else {
            bytes.push(first);
            rest = tail;
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_cgroup2_among_others() {
        let table = b"31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw\n\
            37 31 0:34 / /sys/fs/cgroup/freezer rw shared:3 - cgroup cgroup rw,freezer\n\
            41 31 0:38 / /sys/fs/cgroup/the\\040one rw,relatime shared:4 master:2 - cgroup2 cgroup2 rw\n";
        assert_eq!(find_cgroup2(table), Some(PathBuf::from("/sys/fs/cgroup/the one")));
    }

    #[test]
    fn finds_none_in_other_tables() {
        assert_eq!(find_cgroup2(b"1 2 0:3 / /cgroup2 rw - tmpfs cgroup2 rw\n\n 5\n"), None);
        assert_eq!(find_cgroup2(b""), None);
    }
}
