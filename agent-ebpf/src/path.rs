//! The path of a file, walked from kernel objects as `d_path` does (fs/d_path.c, `prepend_path`).
//!
//! The walk takes no locks: a rename in another thread can show either name. Device and inode number,
//! which every event carries, cannot be fooled.

use aya_ebpf::helpers::generated;
use warrantd_common::{PATH_BYTES, PATH_COMPONENTS, flags};

use crate::kernel::{Address, layout, opaque};
use crate::report::Scratch;

/// Longest name of a directory entry on any ordinary file system (`NAME_MAX`), and its length field.
pub const COMPONENT_BYTES: usize = (NAME_MAX + 1 + LENGTH_BYTES) as usize;

const NAME_MAX: u32 = 255;
const LENGTH_BYTES: u32 = 2;

/// Writes the components of `file`'s path to the scratch, leaf first, and their length and number to its
/// event. Returns bits of [`flags`].
///
/// The counts live in the scratch while the walk goes on: to the verifier, what comes from memory is
/// unknown, so that the states of all rounds look alike and it stops after a few. Counts in registers
/// would make every round a case of its own.
#[inline(always)]
pub fn walk(task: Address, file: Address, out: &mut Scratch) -> u16 {
    out.event.path_len = 0;
    out.event.components = 0;
    let (Some(vfsmount), Some(leaf)) =
        (file.follow(layout!(file_path_mnt)), file.follow(layout!(file_path_dentry)))
    else {
        return flags::TRUNCATED;
    };
    let mut dentry = leaf;
    let mut mount = vfsmount.container(layout!(mount_mnt));

    for _ in 0..PATH_COMPONENTS {
        let (Some(parent), Some(root)) = (
            dentry.follow(layout!(dentry_parent)),
            mount.at(layout!(mount_mnt)).follow(layout!(vfsmount_root)),
        ) else {
            return flags::TRUNCATED;
        };
        if dentry == root {
            let (Some(above), Some(mountpoint)) =
                (mount.follow(layout!(mount_parent)), mount.follow(layout!(mount_mountpoint)))
            else {
                return flags::TRUNCATED;
            };
            if above == mount {
                return finish(task, leaf, mount);
            }
            dentry = mountpoint;
            mount = above;
            continue;
        }
        if !append(dentry, out) {
            return flags::TRUNCATED;
        }
        if dentry == parent {
            // The root of something that is mounted nowhere: a memfd, pipe or socket.
            return flags::PATHLESS;
        }
        dentry = parent;
    }
    flags::TRUNCATED
}

/// What remains to be said of a path that has led to the top.
#[inline(always)]
fn finish(task: Address, leaf: Address, mount: Address) -> u16 {
    let mut bits = 0;
    if namespace_root(task) != Some(mount) {
        bits |= flags::DETACHED;
    }
    // A name that has been removed is unhashed (d_unlinked in include/linux/dcache.h); so is the root of
    // a file system, which never had one.
    let hashed = leaf.read::<u64>(layout!(dentry_hash_pprev)) != Some(0);
    if !hashed && leaf.follow(layout!(dentry_parent)) != Some(leaf) {
        bits |= flags::UNLINKED;
    }
    bits
}

/// The mount at the top of the mount namespace of `task`.
#[inline(always)]
fn namespace_root(task: Address) -> Option<Address> {
    task.follow(layout!(task_nsproxy))?
        .follow(layout!(nsproxy_mnt_ns))?
        .follow(layout!(mnt_namespace_root))
}

/// Appends the name of one directory entry; false when it does not fit or cannot be read.
#[inline(always)]
fn append(dentry: Address, out: &mut Scratch) -> bool {
    let (Some(length), Some(name)) =
        (dentry.read::<u32>(layout!(dentry_name_len)), dentry.follow(layout!(dentry_name)))
    else {
        return false;
    };
    let count = &raw mut out.event.components;
    let total = &raw mut out.event.path_len;
    // SAFETY: a field of the scratch slot that this program holds.
    let used = u32::from(unsafe { total.read_volatile() });
    let after = used + LENGTH_BYTES + length;
    if length > NAME_MAX || after > PATH_BYTES as u32 {
        return false;
    }
    // The checks above hold; the masks repeat them in the form the verifier follows.
    let offset = opaque(u64::from(used)) as usize & (PATH_BYTES - 1);
    let length = opaque(u64::from(length)) as u32 & NAME_MAX;
    // SAFETY: `offset` is below PATH_BYTES and the area is COMPONENT_BYTES longer than that.
    let place = unsafe { (&raw mut out.path).cast::<u8>().add(offset) };
    // SAFETY: as above, two bytes.
    unsafe { place.write(length as u8) };
    // SAFETY: as above, two bytes.
    unsafe { place.add(1).write(0) };
    // SAFETY: as above; the helper checks the source.
    let status = unsafe {
        generated::bpf_probe_read_kernel(
            place.add(LENGTH_BYTES as usize).cast(),
            length,
            name.raw() as *const _,
        )
    };
    if status != 0 {
        return false;
    }
    // SAFETY: a field of the scratch slot that this program holds.
    unsafe { total.write_volatile(after as u16) };
    // SAFETY: as above.
    unsafe { count.write_volatile(count.read_volatile().wrapping_add(1)) };
    true
}
