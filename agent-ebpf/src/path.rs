//! The path of a file, walked from kernel objects as `d_path` does (fs/d_path.c, `prepend_path`).
//!
//! The walk takes no locks: a rename in another thread can show either name. Device and inode number,
//! which every event carries, cannot be fooled.

use aya_ebpf::helpers::generated;
use warrantd_common::{PATH_BYTES, PATH_COMPONENTS, flags};

use crate::kernel::{Address, layout};
use crate::report::Scratch;

/// Longest name of a directory entry on any ordinary file system (`NAME_MAX`), and its length field.
pub const COMPONENT_BYTES: usize = NAME_MAX as usize + 1 + LENGTH_BYTES;

const NAME_MAX: u32 = 255;
const LENGTH_BYTES: usize = 2;

/// What the walk found out besides the components.
pub struct Walked {
    /// Bytes written.
    pub bytes: usize,
    /// Components written.
    pub components: u16,
    /// Bits of [`flags`].
    pub flags: u16,
}

/// Writes the components of `file`'s path to the scratch, leaf first.
#[inline(always)]
pub fn walk(task: Address, file: Address, out: &mut Scratch) -> Walked {
    let mut walked = Walked { bytes: 0, components: 0, flags: flags::TRUNCATED };
    let (Some(vfsmount), Some(leaf)) =
        (file.follow(layout!(file_path_mnt)), file.follow(layout!(file_path_dentry)))
    else {
        return walked;
    };
    let mut dentry = leaf;
    let mut mount = vfsmount.container(layout!(mount_mnt));

    for _ in 0..PATH_COMPONENTS {
        let (Some(parent), Some(root)) = (
            dentry.follow(layout!(dentry_parent)),
            mount.at(layout!(mount_mnt)).follow(layout!(vfsmount_root)),
        ) else {
            return walked;
        };
        if dentry == root {
            let Some(above) = mount.follow(layout!(mount_parent)) else {
                return walked;
            };
            if above == mount {
                walked.flags &= !flags::TRUNCATED;
                break;
            }
            let Some(mountpoint) = mount.follow(layout!(mount_mountpoint)) else {
                return walked;
            };
            dentry = mountpoint;
            mount = above;
            continue;
        }
        if !append(dentry, out, &mut walked) {
            return walked;
        }
        if dentry == parent {
            // The root of something that is mounted nowhere: a memfd, pipe or socket.
            walked.flags &= !flags::TRUNCATED;
            walked.flags |= flags::PATHLESS;
            return walked;
        }
        dentry = parent;
    }

    if walked.flags & flags::TRUNCATED != 0 {
        return walked;
    }
    if namespace_root(task) != Some(mount) {
        walked.flags |= flags::DETACHED;
    }
    // A name that has been removed is unhashed (d_unlinked in include/linux/dcache.h).
    if walked.components > 0 && leaf.read::<u64>(layout!(dentry_hash_pprev)) == Some(0) {
        walked.flags |= flags::UNLINKED;
    }
    walked
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
fn append(dentry: Address, out: &mut Scratch, walked: &mut Walked) -> bool {
    let (Some(length), Some(name)) =
        (dentry.read::<u32>(layout!(dentry_name_len)), dentry.follow(layout!(dentry_name)))
    else {
        return false;
    };
    if length > NAME_MAX || walked.bytes + LENGTH_BYTES + length as usize > PATH_BYTES {
        return false;
    }
    // The checks above hold; the masks repeat them in the form the verifier follows.
    let offset = walked.bytes & (PATH_BYTES - 1);
    let length = length & NAME_MAX;
    // SAFETY: `offset` is below PATH_BYTES and the area is COMPONENT_BYTES longer than that.
    let place = unsafe { (&raw mut out.path).cast::<u8>().add(offset) };
    // SAFETY: as above, two bytes.
    unsafe { place.write(length as u8) };
    // SAFETY: as above, two bytes.
    unsafe { place.add(1).write(0) };
    // SAFETY: as above; the helper checks the source.
    let status = unsafe {
        generated::bpf_probe_read_kernel(
            place.add(LENGTH_BYTES).cast(),
            length,
            name.raw() as *const _,
        )
    };
    if status != 0 {
        return false;
    }
    walked.bytes += LENGTH_BYTES + length as usize;
    walked.components += 1;
    true
}
