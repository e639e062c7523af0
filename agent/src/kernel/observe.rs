//! Attaches the programs of one [`Backend`].

use std::path::Path;

use aya::Ebpf;
use aya::programs::{FEntry, Lsm, RawTracePoint, TracePoint};

use super::ahead::Types;
use super::backend::Backend;
use super::calls;
use super::misses::{self, Misses};
use super::object::{Pinned, find, pin, refused, unless_loaded};
use super::{KernelError, mounts};

/// The hooks of BPF LSM, by the name they have there and after `lsm_` in the object.
const LSM_HOOKS: [(&str, &str); 19] = [
    ("lsm_file_open", "file_open"),
    ("lsm_file_receive", "file_receive"),
    ("lsm_file_mprotect", "file_mprotect"),
    ("lsm_mmap_file", "mmap_file"),
    ("lsm_bprm_check", "bprm_check_security"),
    ("lsm_path_unlink", "path_unlink"),
    ("lsm_path_rmdir", "path_rmdir"),
    ("lsm_path_mkdir", "path_mkdir"),
    ("lsm_path_mknod", "path_mknod"),
    ("lsm_path_symlink", "path_symlink"),
    ("lsm_path_link", "path_link"),
    ("lsm_path_rename", "path_rename"),
    ("lsm_path_truncate", "path_truncate"),
    ("lsm_path_chmod", "path_chmod"),
    ("lsm_path_chown", "path_chown"),
    ("lsm_sb_mount", "sb_mount"),
    ("lsm_move_mount", "move_mount"),
    ("lsm_unix_connect", "unix_stream_connect"),
    ("lsm_unix_send", "unix_may_send"),
];

/// The functions that call them. Programs that only look on need no check before a program runs: what runs
/// is reported when it does.
const FENTRY_HOOKS: [(&str, &str); 18] = [
    ("fentry_file_open", "security_file_open"),
    ("fentry_file_receive", "security_file_receive"),
    ("fentry_file_mprotect", "security_file_mprotect"),
    ("fentry_mmap_file", "security_mmap_file"),
    ("fentry_path_unlink", "security_path_unlink"),
    ("fentry_path_rmdir", "security_path_rmdir"),
    ("fentry_path_mkdir", "security_path_mkdir"),
    ("fentry_path_mknod", "security_path_mknod"),
    ("fentry_path_symlink", "security_path_symlink"),
    ("fentry_path_link", "security_path_link"),
    ("fentry_path_rename", "security_path_rename"),
    ("fentry_path_truncate", "security_path_truncate"),
    ("fentry_path_chmod", "security_path_chmod"),
    ("fentry_path_chown", "security_path_chown"),
    ("fentry_sb_mount", "security_sb_mount"),
    ("fentry_move_mount", "security_move_mount"),
    ("fentry_unix_connect", "security_unix_stream_connect"),
    ("fentry_unix_send", "security_unix_may_send"),
];

/// Hooks that old kernels cannot offer: before 6.0, arguments that are structs (the owner) stop a program
/// from loading.
const OPTIONAL: [&str; 2] = ["path_chown", "security_path_chown"];

/// Tracepoints that every backend needs.
const RAW_TRACEPOINTS: [(&str, &str); 3] = [
    ("warrantd_exec", "sched_process_exec"),
    ("warrantd_fork", "sched_process_fork"),
    ("warrantd_leave", "cgroup_attach_task"),
];

/// Programs at the exit of system calls: of those that open, that change something by name, that connect.
const OPEN: &str = "warrantd_open";
const CHANGE: &str = "warrantd_change";
const CONNECTED: &str = "warrantd_connected";

/// The system calls that open. Some architectures lack `open` and `creat`; no kernel from 5.10 on lacks
/// the others.
const OPEN_CALLS: [(&str, bool); 5] = [
    ("openat", true),
    ("openat2", true),
    ("open_by_handle_at", true),
    ("open", cfg!(target_arch = "x86_64")),
    ("creat", cfg!(target_arch = "x86_64")),
];

/// The programs that the first of these backends which this kernel may have needs, each with what it hooks, where it has
/// to be loaded for that.
pub(super) fn likely(wanted: &[Backend]) -> Vec<(&'static str, Option<&'static str>)> {
    let likely = wanted.iter().find(|backend| backend.obstacle().is_none());
    let hooked = |hooks: &[(&'static str, &'static str)]| {
        hooks.iter().map(|(name, hook)| (*name, Some(*hook))).collect()
    };
    let mut programs: Vec<_> = match likely {
        Some(Backend::Lsm) => hooked(&LSM_HOOKS),
        Some(Backend::Fentry) => hooked(&FENTRY_HOOKS),
        Some(Backend::Tracepoint) => [OPEN, CHANGE, CONNECTED].map(|name| (name, None)).into(),
        None => Vec::new(),
    };
    programs.extend(RAW_TRACEPOINTS.iter().map(|(name, _)| (*name, None)));
    programs
}

/// Loads and attaches a backend's programs, and what every backend needs. On a failure nothing stays
/// attached.
pub(super) fn attach(
    ebpf: &mut Ebpf,
    backend: Backend,
    types: &mut Types,
    pins: &Path,
) -> Result<(Pinned, Misses), KernelError> {
    let (mut pinned, mut misses) = (Pinned::default(), Misses::default());
    match attach_all(ebpf, backend, types, pins, &mut pinned, &mut misses) {
        Ok(()) => Ok((pinned, misses)),
        Err(error) => {
            pinned.unpin();
            Err(error)
        }
    }
}

fn attach_all(
    ebpf: &mut Ebpf,
    backend: Backend,
    types: &mut Types,
    pins: &Path,
    pinned: &mut Pinned,
    misses: &mut Misses,
) -> Result<(), KernelError> {
    match backend {
        Backend::Lsm => {
            let counted = misses::lsm_is_left_out();
            for (name, hook) in LSM_HOOKS {
                let program: &mut Lsm = find(ebpf, name)?;
                match unless_loaded(program.fd().is_ok(), || program.load(hook, types.get()?)) {
                    Err(_) if OPTIONAL.contains(&hook) => {
                        pinned.lack(hook);
                        continue;
                    }
                    loaded => loaded.map_err(refused(name))?,
                }
                let id = program.attach().map_err(refused(name))?;
                if counted {
                    misses.add(program.fd()).map_err(refused(name))?;
                }
                pinned.keep(pin(program.take_link(id), pins, name)?);
            }
        }
        Backend::Fentry => {
            for (name, function) in FENTRY_HOOKS {
                let program: &mut FEntry = find(ebpf, name)?;
                match unless_loaded(program.fd().is_ok(), || program.load(function, types.get()?)) {
                    Err(_) if OPTIONAL.contains(&function) => {
                        pinned.lack(function);
                        continue;
                    }
                    loaded => loaded.map_err(refused(name))?,
                }
                let id = program.attach().map_err(refused(name))?;
                misses.add(program.fd()).map_err(refused(name))?;
                pinned.keep(pin(program.take_link(id), pins, name)?);
            }
        }
        Backend::Tracepoint => system_calls(ebpf, pins, pinned, misses)?,
    }
    for (name, tracepoint) in RAW_TRACEPOINTS {
        let program: &mut RawTracePoint = find(ebpf, name)?;
        unless_loaded(program.fd().is_ok(), || program.load()).map_err(refused(name))?;
        let id = program.attach(tracepoint).map_err(refused(name))?;
        misses.add(program.fd()).map_err(refused(name))?;
        pinned.keep(pin(program.take_link(id), pins, name)?);
    }
    Ok(())
}

/// The tracepoints at the exit of system calls. Their links can be pinned from 5.15 on; before, what
/// happens between a crash and the next start is refused as ever, but not seen.
fn system_calls(
    ebpf: &mut Ebpf,
    pins: &Path,
    pinned: &mut Pinned,
    misses: &mut Misses,
) -> Result<(), KernelError> {
    mounts::prepare_tracepoints()?;
    let opens = OPEN_CALLS.iter().filter(|(_, exists)| *exists).map(|(call, _)| (*call, true));
    attach_exits(ebpf, OPEN, opens, pins, pinned, misses)?;
    let changes = calls::all().map(|(call, required)| (call.name, required));
    attach_exits(ebpf, CHANGE, changes, pins, pinned, misses)?;
    attach_exits(ebpf, CONNECTED, [("connect", true)], pins, pinned, misses)
}

fn attach_exits(
    ebpf: &mut Ebpf,
    name: &'static str,
    calls: impl IntoIterator<Item = (&'static str, bool)>,
    pins: &Path,
    pinned: &mut Pinned,
    misses: &mut Misses,
) -> Result<(), KernelError> {
    let program: &mut TracePoint = find(ebpf, name)?;
    unless_loaded(program.fd().is_ok(), || program.load()).map_err(refused(name))?;
    for (call, required) in calls {
        let tracepoint = format!("sys_exit_{call}");
        let id = match program.attach("syscalls", &tracepoint) {
            Ok(id) => id,
            Err(_) if !required => continue,
            Err(error) => return Err(refused(&tracepoint)(error)),
        };
        match pin(program.take_link(id), pins, &format!("exit_{call}")) {
            Ok(link) => pinned.keep(link),
            // The attempt has taken it off; attached anew, it stays with the program.
            Err(KernelError::Unsupported { .. }) => {
                program.attach("syscalls", &tracepoint).map_err(refused(&tracepoint))?;
            }
            Err(error) => return Err(error),
        }
    }
    misses.add(program.fd()).map_err(refused(name))
}
