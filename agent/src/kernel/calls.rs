//! Which system calls change names, and where their arguments are (syscalls(2)).
#![forbid(unsafe_code)]

use libc::c_long;
use warrantd_common::EventKind::{Attributes, Create, Delete, Link, Rename, Truncate};
use warrantd_common::{CallShape, NamedArgument as Name};

/// A call: its name among the tracepoints, its number, and what it does.
pub(super) struct Call {
    pub(super) name: &'static str,
    pub(super) number: c_long,
    pub(super) shape: CallShape,
}

const fn one(name: &'static str, number: c_long, first: Name) -> Call {
    two(name, number, first, Name::NONE)
}

const fn two(name: &'static str, number: c_long, first: Name, second: Name) -> Call {
    Call { name, number, shape: CallShape { names: [first, second] } }
}

/// Calls of every architecture.
const COMMON: [Call; 13] = [
    one("unlinkat", libc::SYS_unlinkat, Name::at(Delete, 0, 1)),
    two("renameat2", libc::SYS_renameat2, Name::at(Rename, 0, 1), Name::at(Rename, 2, 3)),
    one("mkdirat", libc::SYS_mkdirat, Name::at(Create, 0, 1)),
    one("mknodat", libc::SYS_mknodat, Name::at(Create, 0, 1)),
    one("symlinkat", libc::SYS_symlinkat, Name::at(Create, 1, 2)),
    two("linkat", libc::SYS_linkat, Name::at(Link, 0, 1), Name::at(Create, 2, 3)),
    one("truncate", libc::SYS_truncate, Name::plain(Truncate, 0)),
    one("ftruncate", libc::SYS_ftruncate, Name::descriptor(Truncate, 0)),
    one("fchmod", libc::SYS_fchmod, Name::descriptor(Attributes, 0)),
    one("fchmodat", libc::SYS_fchmodat, Name::at(Attributes, 0, 1)),
    one("fchown", libc::SYS_fchown, Name::descriptor(Attributes, 0)),
    one("fchownat", libc::SYS_fchownat, Name::at(Attributes, 0, 1)),
    // Since 6.6.
    one("fchmodat2", 452, Name::at(Attributes, 0, 1)),
];

/// Older forms, which some architectures keep.
#[cfg(target_arch = "x86_64")]
const OLDER: [Call; 11] = [
    one("unlink", libc::SYS_unlink, Name::plain(Delete, 0)),
    one("rmdir", libc::SYS_rmdir, Name::plain(Delete, 0)),
    two("rename", libc::SYS_rename, Name::plain(Rename, 0), Name::plain(Rename, 1)),
    two("renameat", libc::SYS_renameat, Name::at(Rename, 0, 1), Name::at(Rename, 2, 3)),
    one("mkdir", libc::SYS_mkdir, Name::plain(Create, 0)),
    one("mknod", libc::SYS_mknod, Name::plain(Create, 0)),
    one("symlink", libc::SYS_symlink, Name::plain(Create, 1)),
    two("link", libc::SYS_link, Name::plain(Link, 0), Name::plain(Create, 1)),
    one("chmod", libc::SYS_chmod, Name::plain(Attributes, 0)),
    one("chown", libc::SYS_chown, Name::plain(Attributes, 0)),
    one("lchown", libc::SYS_lchown, Name::plain(Attributes, 0)),
];
/// See above.
#[cfg(not(target_arch = "x86_64"))]
const OLDER: [Call; 0] = [];

/// All calls, with whether the kernel must have them.
pub(super) fn all() -> impl Iterator<Item = (Call, bool)> {
    COMMON.into_iter().chain(OLDER).map(|call| {
        let since_5_10 = call.name != "fchmodat2";
        (call, since_5_10)
    })
}
