//! The path of a file, walked from kernel objects as `d_path` does (fs/d_path.c, `prepend_path`).
//!
//! The walk takes no locks: a rename in another thread can show either name. Device and inode number,
//! which every event carries, cannot be fooled.

use aya_ebpf::helpers::generated;
use warrantd_common::{PATH_COMPONENTS, flags};

use crate::grants;
use crate::kernel::{Address, Head, Object, Pointer, layout};
use crate::maps::{SCRATCH, SCRATCH_SLOTS};
use crate::name::{self, SHORT_BYTES};
use crate::path::Place;
use crate::process;
use crate::report::{Scratch, load, store};

/// What a step of a walk comes to.
const GOES_ON: u32 = 0;
const AT_TOP: u32 = 1;
/// The root of something that is mounted nowhere: a memfd, pipe or socket.
const DETACHED_TREE: u32 = 2;
const CUT: u32 = 3;

/// Writes the components of a path to the scratch, leaf first, and their length and number to its
/// event. Returns bits of [`flags`]. With a generation of rules, gathers what those on the way grant.
#[inline(always)]
pub fn walk<P: Climb>(place: Place<P>, rules: u32, out: &mut Scratch) -> u16 {
    out.event.path_len = 0;
    out.event.components = 0;
    store(&raw mut out.level, 0);
    store(&raw mut out.granted, 0);
    store(&raw mut out.rules, rules);
    store(&raw mut out.unhashed, 0);
    out.leaf = place.dentry.raw();
    out.dentry = out.leaf;
    if !enter(Address::new(place.mount.raw()).container(layout!(mount_mnt)), out) {
        return flags::TRUNCATED;
    }
    let owner = load(&raw const out.owner);
    let mut come_to = place.dentry.climb(out);
    for _ in P::STEPS..PATH_COMPONENTS {
        if come_to != GOES_ON {
            break;
        }
        come_to = path_step(owner);
    }
    match come_to {
        AT_TOP => path_end(owner) as u16,
        DETACHED_TREE => flags::PATHLESS,
        _ => flags::TRUNCATED,
    }
}

/// The first steps of a walk.
pub trait Climb: Pointer {
    /// How many steps at most.
    const STEPS: usize;

    /// Takes them; says what they come to.
    fn climb(self, out: &mut Scratch) -> u32;
}

impl Climb for Address {
    const STEPS: usize = 0;

    #[inline(always)]
    fn climb(self, _: &mut Scratch) -> u32 {
        GOES_ON
    }
}

impl Climb for Object {
    /// More than most paths have; each is verified anew in every program that knows types.
    const STEPS: usize = 12;

    /// To the root of the first mount, above which the verifier knows no types.
    #[inline(always)]
    fn climb(self, out: &mut Scratch) -> u32 {
        let unhashed = self.read::<u64>(layout!(dentry_hash_pprev)) == Some(0);
        note_leaf(unhashed, self.read(layout!(dentry_parent)).unwrap_or(0), out);
        let mut entry = self;
        for _ in 0..Self::STEPS {
            if load(&raw const out.rules) != 0
                && let Some(inode) = entry.follow(layout!(dentry_inode))
            {
                grants::consult(inode, out);
            }
            if entry.raw() == load_word(&raw const out.root) {
                return leave_mount(out);
            }
            let Some(parent) = entry.follow(layout!(dentry_parent)) else {
                return CUT;
            };
            if !append(entry, out) {
                return CUT;
            }
            if parent.raw() == entry.raw() {
                return DETACHED_TREE;
            }
            entry = parent;
            store(&raw mut out.level, load(&raw const out.level).wrapping_add(1));
        }
        out.dentry = entry.raw();
        GOES_ON
    }
}

/// Appends the name of an entry; false when it does not fit or cannot be read.
#[inline(always)]
fn append(entry: Object, out: &mut Scratch) -> bool {
    let (Some(length), Some(name)) =
        (entry.read(layout!(dentry_name_len)), entry.read(layout!(dentry_name)))
    else {
        return false;
    };
    let short = layout!(dentry_short);
    let within = name == entry.raw().wrapping_add(u64::from(short));
    name::append(length, name, out, within, |index| entry.read(short + index * 8).unwrap_or(0))
}

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
    let is_root = out.dentry == out.root;
    let is_leaf = out.dentry == out.leaf;
    if is_root && !is_leaf && out.rules == 0 {
        return leave_mount(out);
    }
    if !look(out) {
        return CUT;
    }
    let parent = part(layout!(dentry_parent), out);
    if is_leaf {
        note_leaf(part(layout!(dentry_hash_pprev), out) == 0, parent, out);
    }
    let inode = Address::new(part(layout!(dentry_inode), out));
    // A name that does not exist yet has no identity.
    if out.rules != 0 && !inode.is_null() {
        grants::consult(inode, out);
    }
    if is_root {
        return leave_mount(out);
    }
    if !append_seen(out) {
        return CUT;
    }
    if out.dentry == parent {
        return DETACHED_TREE;
    }
    out.dentry = parent;
    out.level = out.level.wrapping_add(1);
    GOES_ON
}

/// Reads what is wanted of the entry that the walk has come to.
#[inline(always)]
fn look(out: &mut Scratch) -> bool {
    let from = Address::new(out.dentry).at(layout!(dentry_entry));
    let size = size_of_val(&out.entry) as u32;
    let entry = &raw mut out.entry;
    // SAFETY: the helper writes exactly as many bytes as there are, and checks the source.
    let status =
        unsafe { generated::bpf_probe_read_kernel(entry.cast(), size, from.raw() as *const _) };
    status == 0
}

/// A word of what was read.
#[inline(always)]
fn part(place: u32, out: &Scratch) -> u64 {
    let entry = (&raw const out.entry).cast::<u8>();
    let within = place.wrapping_sub(layout!(dentry_entry)) as usize;
    // SAFETY: user space has seen that all members lie within; the verifier checks it.
    unsafe { entry.add(within).cast::<u64>().read_volatile() }
}

/// Appends the name of the entry that was read.
#[inline(always)]
fn append_seen(out: &mut Scratch) -> bool {
    // Behind the hash, in the same word.
    let length = (part(layout!(dentry_name_len) - 4, out) >> 32) as u32;
    let name = part(layout!(dentry_name), out);
    let short = layout!(dentry_short);
    let within = name == out.dentry.wrapping_add(u64::from(short));
    let entry = &raw const out.entry;
    let within_entry = short.wrapping_sub(layout!(dentry_entry));
    name::append(length, name, out, within, |index| {
        let place = (within_entry + index * 8) as usize;
        // SAFETY: as in `part`.
        unsafe { entry.cast::<u8>().add(place).cast::<u64>().read_volatile() }
    })
}

/// Notes whether the leaf has lost its name: one that has been removed is unhashed (d_unlinked in
/// include/linux/dcache.h); so is the root of a file system, which never had one.
#[inline(always)]
fn note_leaf(unhashed: bool, parent: u64, out: &mut Scratch) {
    let removed = unhashed && parent != out.leaf;
    store(&raw mut out.unhashed, u32::from(removed));
}

/// Goes on in a `struct mount`; false when it cannot be read.
#[inline(always)]
fn enter(mount: Address, out: &mut Scratch) -> bool {
    /// Parent, place there, and the root and super block of the `struct vfsmount` that follows.
    type Middle = Head<4>;
    let first = layout!(mount_parent);
    let place = layout!(mount_mountpoint).wrapping_sub(first);
    let root = layout!(mount_mnt).wrapping_sub(first).wrapping_add(layout!(vfsmount_root));
    out.mount = mount.raw();
    if Middle::holds(place) && Middle::holds(root) {
        let Some(middle) = mount.read::<Middle>(first) else {
            return false;
        };
        out.above = middle.word(0);
        out.mountpoint = middle.word(place);
        out.root = middle.word(root);
    } else {
        let seen = mount.at(layout!(mount_mnt));
        out.above = mount.read(first).unwrap_or(0);
        out.mountpoint = mount.read(layout!(mount_mountpoint)).unwrap_or(0);
        out.root = seen.read(layout!(vfsmount_root)).unwrap_or(0);
    }
    if load(&raw const out.rules) != 0 {
        let super_block = mount.at(layout!(mount_mnt)).follow(layout!(vfsmount_sb));
        out.dev = super_block.map_or(0, grants::device);
    }
    out.above != 0 && out.mountpoint != 0 && out.root != 0
}

/// At the root of a mount: goes on where it is mounted.
#[inline(always)]
fn leave_mount(out: &mut Scratch) -> u32 {
    let above = load_word(&raw const out.above);
    if above == load_word(&raw const out.mount) {
        return AT_TOP;
    }
    out.dentry = out.mountpoint;
    if enter(Address::new(above), out) { GOES_ON } else { CUT }
}

/// Reads a word that the steps have written.
#[inline(always)]
fn load_word(field: *const u64) -> u64 {
    // SAFETY: callers pass a field of the scratch slot.
    unsafe { field.read_volatile() }
}

/// What remains to be said of a path that has led to the top: bits of [`flags`]. A function of its own for the same
/// reason as [`path_step`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn path_end(owner: u32) -> u32 {
    let Some(out) = SCRATCH.get_ptr_mut(owner & (SCRATCH_SLOTS - 1)) else {
        return u32::from(flags::TRUNCATED);
    };
    // SAFETY: the pointer is a value of this processor's own map element.
    let out = unsafe { &*out };
    let top = if layout!(task_helper) != 0 {
        namespace_root(Object::current_task())
    } else {
        namespace_root(process::current())
    };
    let mut bits = 0;
    // Not compared as options: the compiler would compare first and look afterwards whether there is one.
    if top.unwrap_or(0) != load_word(&raw const out.mount) {
        bits |= flags::DETACHED;
    }
    if load(&raw const out.unhashed) != 0 {
        bits |= flags::UNLINKED;
    }
    u32::from(bits)
}

/// The mount at the top of the mount namespace of a task.
#[inline(always)]
fn namespace_root(task: impl Pointer) -> Option<u64> {
    let namespace = task.follow(layout!(task_nsproxy))?.follow(layout!(nsproxy_mnt_ns))?;
    namespace.read(layout!(mnt_namespace_root))
}

const _: () = assert!(SHORT_BYTES % 8 == 0);
