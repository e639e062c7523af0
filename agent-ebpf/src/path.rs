//! The path of a file, walked from kernel objects as `d_path` does (fs/d_path.c, `prepend_path`).
//!
//! The walk takes no locks: a rename in another thread can show either name. Device and inode number,
//! which every event carries, cannot be fooled.

use aya_ebpf::helpers::generated;
use warrantd_common::{PATH_BYTES, PATH_COMPONENTS, flags};

use crate::grants;
use crate::kernel::{Address, Plain, layout, opaque};
use crate::report::{Scratch, load, store};

const NAME_MAX: u32 = 255;
const LENGTH_BYTES: u32 = 2;

/// A name in the tree: a dentry and the mount it is seen through.
#[derive(Clone, Copy)]
pub struct Place {
    /// Its `struct vfsmount`.
    pub mount: Address,
    /// Its `struct dentry`.
    pub dentry: Address,
}

impl Place {
    /// Where a `struct path` leads.
    #[inline(always)]
    pub fn of_path(path: Address) -> Option<Self> {
        Some(Self {
            mount: path.follow(layout!(path_mnt))?,
            dentry: path.follow(layout!(path_dentry))?,
        })
    }

    /// Where an open file lies.
    #[inline(always)]
    pub fn of_file(file: Address) -> Option<Self> {
        Some(Self {
            mount: file.follow(layout!(file_path_mnt))?,
            dentry: file.follow(layout!(file_path_dentry))?,
        })
    }
}

/// Four neighbouring words of a dentry, which one read brings.
#[derive(Clone, Copy)]
#[repr(C)]
struct Links {
    parent: u64,
    /// Hash, then length.
    hash_len: u64,
    name: u64,
    inode: u64,
}

// SAFETY: integers accept every bit pattern.
unsafe impl Plain for Links {}

/// Writes the components of a path to the scratch, leaf first, and their length and number to its
/// event. Returns bits of [`flags`]. With a generation of rules, gathers what those on the way grant.
///
/// The counts live in the scratch while the walk goes on: to the verifier, what comes from memory is
/// unknown, so that the states of all rounds look alike and it stops after a few. Counts in registers
/// would make every round a case of its own.
#[inline(always)]
pub fn walk(task: Address, place: Place, rules: u32, out: &mut Scratch) -> u16 {
    out.event.path_len = 0;
    out.event.components = 0;
    store(&raw mut out.level, 0);
    store(&raw mut out.granted, 0);
    let owner = load(&raw const out.owner);
    let leaf = place.dentry;
    let mut dentry = leaf;
    let mut mount = place.mount.container(layout!(mount_mnt));
    let Some(mut root) = place.mount.follow(layout!(vfsmount_root)) else {
        return flags::TRUNCATED;
    };
    let mut dev = if rules == 0 { 0 } else { grants::device(place.mount) };

    for _ in 0..PATH_COMPONENTS {
        // Somebody else writes here: whatever comes out is not a path.
        if load(&raw const out.owner) != owner {
            return flags::TRUNCATED;
        }
        let Some(links) = dentry.read::<Links>(layout!(dentry_parent)) else {
            return flags::TRUNCATED;
        };
        if rules != 0 {
            grants::consult(rules, dev, Address::new(links.inode), out);
        }
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
            let seen = mount.at(layout!(mount_mnt));
            root = match seen.follow(layout!(vfsmount_root)) {
                Some(root) => root,
                None => return flags::TRUNCATED,
            };
            if rules != 0 {
                dev = grants::device(seen);
            }
            continue;
        }
        if !append(links, out) {
            return flags::TRUNCATED;
        }
        if dentry == Address::new(links.parent) {
            // The root of something that is mounted nowhere: a memfd, pipe or socket.
            return flags::PATHLESS;
        }
        dentry = Address::new(links.parent);
        store(&raw mut out.level, load(&raw const out.level).wrapping_add(1));
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
fn append(links: Links, out: &mut Scratch) -> bool {
    let length = (links.hash_len >> 32) as u32;
    let count = &raw mut out.event.components;
    let total = &raw mut out.event.path_len;
    // SAFETY: a field of the scratch slot that this program holds.
    let used = u32::from(unsafe { total.read_volatile() });
    let after = used + LENGTH_BYTES + length;
    if length > NAME_MAX || after > PATH_BYTES as u32 {
        return false;
    }
    if used == 0 {
        out.leaf_name = links.name;
        out.leaf_len = length;
    }
    // The checks above hold; the masks repeat them in the form the verifier follows.
    let offset = opaque(u64::from(used)) as usize & (PATH_BYTES - 1);
    let length = opaque(u64::from(length)) as u32 & NAME_MAX;
    // SAFETY: `offset` is below PATH_BYTES, and the area is longer than that by more than a name.
    let place = unsafe { (&raw mut out.area).cast::<u8>().add(offset) };
    // SAFETY: as above, two bytes.
    unsafe { place.write(length as u8) };
    // SAFETY: as above, two bytes.
    unsafe { place.add(1).write(0) };
    // SAFETY: as above; the helper checks the source.
    let status = unsafe {
        generated::bpf_probe_read_kernel(
            place.add(LENGTH_BYTES as usize).cast(),
            length,
            links.name as *const _,
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
