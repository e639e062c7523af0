//! What the security hooks of the kernel say about files (security/security.c), for both program types
//! that run there.
//!
//! Files are opened far more often than anything else happens to them, and there alone types are made use of: reading
//! without them takes longer when it happens, and with them when the program is loaded.

use warrantd_common::{EventKind, flags, modes};

use crate::deed::{Deed, Power, decide};
use crate::kernel::{Address, Object, Pointer, layout};
use crate::path::{OpenFile, Place};
use crate::registers;

// include/linux/fs.h and include/uapi/asm-generic/fcntl.h, the same on every architecture we build for.
const O_ACCMODE: u32 = 3;
const O_WRONLY: u32 = 1;
const O_TRUNC: u32 = 0o1000;
const O_TMPFILE: u32 = 0o20_000_000;
const FMODE_CREATED: u32 = 0x10_0000;
/// `__FMODE_EXEC`, in the flags of files that are opened to be run.
const FOR_EXEC: u32 = 0x20;
/// include/uapi/asm-generic/mman-common.h.
const PROT_EXEC: u64 = 4;
/// include/uapi/linux/stat.h.
const S_IFMT: u64 = 0o170_000;
const S_IFREG: u64 = 0o100_000;

/// `security_file_open(struct file *file)`.
#[inline(always)]
pub fn opened(power: Power, file: Object) -> bool {
    decide(power, || {
        let file = OpenFile::of(file)?;
        let emptied = if file.flags & O_TRUNC != 0 { flags::EMPTIED } else { 0 };
        Some(Deed { flags: emptied, ..Deed::with(EventKind::Open, needs(&file), file) })
    })
}

/// What an open must be granted.
#[inline(always)]
fn needs(&OpenFile { flags, mode, .. }: &OpenFile<Object>) -> u32 {
    let mut needs = 0;
    if flags & FOR_EXEC != 0 {
        needs |= modes::MAP;
    } else if flags & O_ACCMODE != O_WRONLY {
        needs |= modes::READ;
    }
    if mode & FMODE_CREATED != 0 || flags & O_TMPFILE == O_TMPFILE {
        needs |= modes::CREATE;
    } else if flags & O_ACCMODE != 0 || flags & O_TRUNC != 0 {
        needs |= modes::WRITE;
    }
    needs
}

/// `security_file_receive(struct file *file)`: through a unix socket, or by pidfd_getfd.
#[inline(always)]
pub fn received(power: Power, file: Object) -> bool {
    decide(power, || {
        let file = OpenFile::at(file.address())?;
        let needs = match file.flags & O_ACCMODE {
            0 => modes::READ,
            1 => modes::WRITE,
            _ => modes::READ | modes::WRITE,
        };
        Some(Deed::with(EventKind::Receive, needs, file))
    })
}

/// Whether memory with this protection can be run.
#[inline(always)]
pub const fn is_code(protection: u64) -> bool {
    protection & PROT_EXEC != 0
}

/// `security_mmap_file` and `security_file_mprotect`, with the protection asked for.
#[inline(always)]
pub fn mapped(power: Power, file: Object, protection: u64) -> bool {
    if !is_code(protection) {
        return true;
    }
    decide(power, || Some(Deed::with(EventKind::Map, modes::MAP, OpenFile::at(file.address())?)))
}

/// `security_bprm_check(struct linux_binprm *bprm)`. What goes on to run is reported when it runs.
#[inline(always)]
pub fn about_to_run(power: Power, program: Object) -> bool {
    decide(power, || {
        let file = OpenFile::at(program.address().follow(layout!(binprm_file))?)?;
        Some(Deed { report: false, ..Deed::with(EventKind::Exec, modes::EXEC, file) })
    })
}

/// `security_path_mknod`, which every open that makes a regular file passes, too: that open is reported.
#[inline(always)]
pub fn made_node(power: Power, directory: Object, dentry: Object, mode: u64) -> bool {
    decide(power, || {
        let kind = mode & S_IFMT;
        let by_open = (kind == S_IFREG || kind == 0) && registers::in_open();
        let deed = below(EventKind::Create, modes::CREATE, directory, dentry)?;
        Some(Deed { report: !by_open, ..deed })
    })
}

/// A name in a directory: `security_path_unlink` and its kin.
#[inline(always)]
pub fn named(power: Power, kind: EventKind, needs: u32, directory: Object, dentry: Object) -> bool {
    decide(power, || below(kind, needs, directory, dentry))
}

/// `security_path_truncate`, which before 6.2 every open that cuts its file passes, too: that open says so.
#[inline(always)]
pub fn cut(power: Power, path: Object) -> bool {
    decide(power, || {
        let deed = Deed::on(EventKind::Truncate, modes::WRITE, Place::of_path(path.address())?);
        Some(Deed { report: !registers::in_open(), ..deed })
    })
}

/// A whole path: `security_path_chmod` and its kin.
#[inline(always)]
pub fn placed(power: Power, kind: EventKind, needs: u32, path: Object) -> bool {
    decide(power, || Some(Deed::on(kind, needs, Place::of_path(path.address())?)))
}

#[inline(always)]
fn below(kind: EventKind, needs: u32, directory: Object, dentry: Object) -> Option<Deed<Address>> {
    let mount = directory.address().follow(layout!(path_mnt))?;
    Some(Deed::on(kind, needs, Place { mount, dentry: dentry.address() }))
}
