//! The path of a file, walked from kernel objects as `d_path` does (fs/d_path.c, `prepend_path`).
//!
//! The walk takes no locks: a rename in another thread can show either name. Device and inode number,
//! which every event carries, cannot be fooled.

use aya_ebpf::helpers::generated;
use warrantd_common::{PATH_BYTES, PATH_COMPONENTS, flags};

use crate::grants;
use crate::kernel::{Address, Head, Plain, layout, opaque};
use crate::maps::{SCRATCH, SCRATCH_SLOTS};
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
}

/// What a `struct file` says.
#[derive(Clone, Copy)]
pub struct OpenFile {
    /// Its `f_flags`.
    pub flags: u32,
    /// Its `f_mode`.
    pub mode: u32,
    /// Its `struct inode`.
    pub inode: Address,
    /// Where it lies.
    pub place: Place,
}

impl OpenFile {
    /// Reads it; `None` when it is not readable.
    #[inline(always)]
    pub fn of(file: Address) -> Option<Self> {
        /// All that is wanted lies in the first words, on all kernels known.
        type Beginning = Head<11>;
        let held = Beginning::holds(layout!(file_flags))
            && Beginning::holds(layout!(file_mode))
            && Beginning::holds(layout!(file_inode))
            && Beginning::holds(layout!(file_path_mnt))
            && Beginning::holds(layout!(file_path_dentry));
        if !held {
            return Self::of_parts(file);
        }
        let head = Beginning::read(file, 0)?;
        let place = Place {
            mount: Address::new(head.word(layout!(file_path_mnt))),
            dentry: Address::new(head.word(layout!(file_path_dentry))),
        };
        Some(Self {
            flags: head.half(layout!(file_flags)),
            mode: head.half(layout!(file_mode)),
            inode: Address::new(head.word(layout!(file_inode))),
            place,
        })
    }

    #[inline(always)]
    fn of_parts(file: Address) -> Option<Self> {
        let place = Place {
            mount: file.follow(layout!(file_path_mnt))?,
            dentry: file.follow(layout!(file_path_dentry))?,
        };
        Some(Self {
            flags: file.read(layout!(file_flags))?,
            mode: file.read(layout!(file_mode))?,
            inode: file.follow(layout!(file_inode))?,
            place,
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
#[inline(always)]
pub fn walk(task: Address, place: Place, rules: u32, out: &mut Scratch) -> u16 {
    out.event.path_len = 0;
    out.event.components = 0;
    store(&raw mut out.level, 0);
    store(&raw mut out.granted, 0);
    store(&raw mut out.rules, rules);
    out.dentry = place.dentry.raw();
    if !enter(place.mount.container(layout!(mount_mnt)), out) {
        return flags::TRUNCATED;
    }
    let owner = load(&raw const out.owner);
    for _ in 0..PATH_COMPONENTS {
        match path_step(owner) {
            GOES_ON => {}
            AT_TOP => {
                return finish(task, place.dentry, Address::new(load_word(&raw const out.mount)));
            }
            DETACHED_TREE => return flags::PATHLESS,
            _ => return flags::TRUNCATED,
        }
    }
    flags::TRUNCATED
}

/// What a step of a walk comes to.
const GOES_ON: u32 = 0;
const AT_TOP: u32 = 1;
/// The root of something that is mounted nowhere: a memfd, pipe or socket.
const DETACHED_TREE: u32 = 2;
const CUT: u32 = 3;

/// One step: takes the name of the entry that the walk has come to, and goes to its parent, or out of the
/// mount. The thread id names the scratch slot.
///
/// A function of its own that takes and returns numbers (a "global function",
/// Documentation/bpf/verifier.rst): the verifier looks at it once, not at every step of every program.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn path_step(owner: u32) -> u32 {
    let Some(out) = SCRATCH.get_ptr_mut(owner & (SCRATCH_SLOTS - 1)) else {
        return CUT;
    };
    // SAFETY: the pointer is a value of this processor's own map element.
    let out = unsafe { &mut *out };
    // Somebody else writes here: whatever comes out is not a path.
    if load(&raw const out.owner) != owner {
        return CUT;
    }
    let dentry = Address::new(out.dentry);
    let Some(links) = dentry.read::<Links>(layout!(dentry_parent)) else {
        return CUT;
    };
    if out.rules != 0 {
        grants::consult(Address::new(links.inode), out);
    }
    if dentry.raw() == out.root {
        // Member by member, to keep the stack small: paths cross few mounts.
        let mount = Address::new(out.mount);
        let (Some(above), Some(mountpoint)) =
            (mount.follow(layout!(mount_parent)), mount.follow(layout!(mount_mountpoint)))
        else {
            return CUT;
        };
        if above == mount {
            return AT_TOP;
        }
        out.dentry = mountpoint.raw();
        return if enter(above, out) { GOES_ON } else { CUT };
    }
    if !append(links, out) {
        return CUT;
    }
    if dentry.raw() == links.parent {
        return DETACHED_TREE;
    }
    out.dentry = links.parent;
    out.level = out.level.wrapping_add(1);
    GOES_ON
}

/// Goes on in a mount; false when it cannot be read.
#[inline(always)]
fn enter(mount: Address, out: &mut Scratch) -> bool {
    let seen = mount.at(layout!(mount_mnt));
    let Some(root) = seen.follow(layout!(vfsmount_root)) else {
        return false;
    };
    out.mount = mount.raw();
    out.root = root.raw();
    if load(&raw const out.rules) != 0 {
        out.dev = seen.follow(layout!(vfsmount_sb)).map_or(0, grants::device);
    }
    true
}

/// Reads a word that the steps have written.
#[inline(always)]
fn load_word(field: *const u64) -> u64 {
    // SAFETY: callers pass a field of the scratch slot.
    unsafe { field.read_volatile() }
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
