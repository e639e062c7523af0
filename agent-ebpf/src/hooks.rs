//! The same hooks for two program types: BPF LSM, which refuses, and fentry on the functions that call the
//! LSMs, which looks on where BPF is no active LSM. One of the two sets is loaded.

use aya_ebpf::EbpfContext;
use aya_ebpf::macros::{fentry, lsm};
use aya_ebpf::programs::{FEntryContext, LsmContext};
use warrantd_common::{EventKind, modes};

use crate::deed::Power;
use crate::file;
use crate::kernel::{Address, Object, Pointer, layout};
use crate::unix;

/// What a refused hook returns.
const EPERM: i32 = 1;

/// Declares both programs of a hook. `arg!(n)` is its n-th argument as an address.
macro_rules! hook {
    ($(#[$doc:meta])* $lsm:ident = $hook:literal, $fentry:ident = $function:literal,
     |$power:ident, $arg:ident| $body:expr) => {
        $(#[$doc])*
        #[lsm(hook = $hook)]
        pub fn $lsm(ctx: LsmContext) -> i32 {
            // SAFETY: the verifier knows the arguments of hooks.
            let $arg = |index: usize| unsafe { Object::argument(ctx.arg(index)) };
            let $power = Power::Refuse;
            if $body { 0 } else { -EPERM }
        }

        $(#[$doc])*
        #[fentry(function = $function)]
        pub fn $fentry(ctx: FEntryContext) -> i32 {
            // SAFETY: the verifier knows the arguments of hooks.
            let $arg = |index: usize| unsafe { Object::argument(ctx.arg(index)) };
            let $power = Power::Watch;
            let _ = $body;
            0
        }
    };
}

hook! {
    /// A file is opened.
    lsm_file_open = "file_open", fentry_file_open = "security_file_open",
    |power, arg| file::opened(power, arg(0))
}
hook! {
    /// A descriptor arrives from another process.
    lsm_file_receive = "file_receive", fentry_file_receive = "security_file_receive",
    |power, arg| file::received(power, arg(0))
}
hook! {
    /// Memory that shows a file becomes code.
    lsm_file_mprotect = "file_mprotect", fentry_file_mprotect = "security_file_mprotect",
    |power, arg| {
        let protection = arg(2).raw();
        // Whatever does not become code is passed at once.
        !file::is_code(protection) || {
            match arg(0).follow(layout!(vma_file)) {
                Some(file) => file::mapped(power, file, protection),
                None => true,
            }
        }
    }
}
hook! {
    /// A program is about to run.
    lsm_bprm_check = "bprm_check_security", fentry_bprm_check = "security_bprm_check",
    |power, arg| file::about_to_run(power, arg(0))
}
hook! {
    /// A file loses a name.
    lsm_path_unlink = "path_unlink", fentry_path_unlink = "security_path_unlink",
    |power, arg| file::named(power, EventKind::Delete, modes::DELETE, arg(0), arg(1))
}
hook! {
    /// A directory goes.
    lsm_path_rmdir = "path_rmdir", fentry_path_rmdir = "security_path_rmdir",
    |power, arg| file::named(power, EventKind::Delete, modes::DELETE, arg(0), arg(1))
}
hook! {
    /// A directory is made.
    lsm_path_mkdir = "path_mkdir", fentry_path_mkdir = "security_path_mkdir",
    |power, arg| file::named(power, EventKind::Create, modes::CREATE, arg(0), arg(1))
}
hook! {
    /// A file, socket, pipe or device is made.
    lsm_path_mknod = "path_mknod", fentry_path_mknod = "security_path_mknod",
    |power, arg| file::made_node(power, arg(0), arg(1), arg(2).raw())
}
hook! {
    /// A symbolic link is made.
    lsm_path_symlink = "path_symlink", fentry_path_symlink = "security_path_symlink",
    |power, arg| file::named(power, EventKind::Create, modes::CREATE, arg(0), arg(1))
}
hook! {
    /// A file gets another name. The old one has no mount of its own; both lie on the same.
    lsm_path_link = "path_link", fentry_path_link = "security_path_link",
    |power, arg| {
        // Whoever may link a file can do to it under the new name what that name allows.
        let old = file::named(power, EventKind::Link, modes::WRITE, arg(1), arg(0));
        old & file::named(power, EventKind::Create, modes::CREATE, arg(1), arg(2))
    }
}
hook! {
    /// A name changes.
    lsm_path_rename = "path_rename", fentry_path_rename = "security_path_rename",
    |power, arg| {
        let from = file::named(power, EventKind::Rename, modes::RENAME, arg(0), arg(1));
        from & file::named(power, EventKind::Rename, modes::RENAME, arg(2), arg(3))
    }
}
hook! {
    /// A file is cut.
    lsm_path_truncate = "path_truncate", fentry_path_truncate = "security_path_truncate",
    |power, arg| file::cut(power, arg(0))
}
hook! {
    /// Permissions change.
    lsm_path_chmod = "path_chmod", fentry_path_chmod = "security_path_chmod",
    |power, arg| file::placed(power, EventKind::Attributes, modes::WRITE, arg(0))
}
hook! {
    /// The owner changes.
    lsm_path_chown = "path_chown", fentry_path_chown = "security_path_chown",
    |power, arg| file::placed(power, EventKind::Attributes, modes::WRITE, arg(0))
}
hook! {
    /// Something is mounted.
    lsm_sb_mount = "sb_mount", fentry_sb_mount = "security_sb_mount",
    |power, arg| file::placed(power, EventKind::Mount, modes::NEVER, arg(1))
}
hook! {
    /// A mount moves.
    lsm_move_mount = "move_mount", fentry_move_mount = "security_move_mount",
    |power, arg| file::placed(power, EventKind::Mount, modes::NEVER, arg(1))
}
hook! {
    /// A unix stream is connected.
    lsm_unix_connect = "unix_stream_connect", fentry_unix_connect = "security_unix_stream_connect",
    |power, arg| unix::connected(power, arg(1).address())
}
hook! {
    /// A unix datagram is sent, or its sender connected.
    lsm_unix_send = "unix_may_send", fentry_unix_send = "security_unix_may_send",
    |power, arg| {
        let other = arg(1).address().follow(layout!(socket_sk)).unwrap_or(Address::new(0));
        unix::connected(power, other)
    }
}

/// A file is mapped; here the arguments differ.
#[lsm(hook = "mmap_file")]
pub fn lsm_mmap_file(ctx: LsmContext) -> i32 {
    // file, reqprot, prot, flags
    // SAFETY: the verifier knows the arguments of hooks.
    let file = unsafe { Object::argument(ctx.arg(0)) };
    let protection = ctx.arg::<u64>(2);
    let passes = !file::is_code(protection) || anonymous(file, &ctx);
    if passes || file::mapped(Power::Refuse, file, protection) { 0 } else { -EPERM }
}

/// As [`lsm_mmap_file`].
#[fentry(function = "security_mmap_file")]
pub fn fentry_mmap_file(ctx: FEntryContext) -> i32 {
    // file, prot, flags
    // SAFETY: the verifier knows the arguments of hooks.
    let file = unsafe { Object::argument(ctx.arg(0)) };
    let protection = ctx.arg::<u64>(1);
    let passes = !file::is_code(protection) || anonymous(file, &ctx);
    let _ = passes || file::mapped(Power::Watch, file, protection);
    0
}

/// Whether memory is mapped that shows no file. Verifiers of 6.2 and some later kernels do not know of that:
/// they take the argument for a file and leave out a comparison with null. So it is compared once more, as
/// the number that a helper reads.
#[inline(always)]
fn anonymous(file: Object, ctx: &impl EbpfContext) -> bool {
    file.is_null() || Address::new(ctx.as_ptr() as u64).follow(0).is_none()
}
