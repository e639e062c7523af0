//! What the rules on the way from a file to the root allow; see [`warrantd_common::FileRule`].

use aya_ebpf::helpers::generated;
use warrantd_common::{FileKey, NAME_BYTES};

use crate::kernel::{Pointer, layout, opaque};
use crate::maps::{FILE_NAMES, FILES};
use crate::report::{Scratch, load, store, zero};

/// Device of the file system whose `struct super_block` this is; 0, which is none, when it cannot be read.
#[inline(always)]
pub fn device(super_block: impl Pointer) -> u32 {
    super_block.read(layout!(super_block_dev)).unwrap_or(0)
}

/// Adds what the rule on one object of the path grants.
#[inline(always)]
pub fn consult(inode: impl Pointer, out: &mut Scratch) {
    let Some(ino) = inode.read::<u64>(layout!(inode_ino)) else {
        return;
    };
    let key = FileKey { generation: out.rules, dev: out.dev, ino };
    // SAFETY: the map does not preallocate, so the element outlives this program run.
    let Some(rule) = (unsafe { FILES.get(key) }) else {
        return;
    };
    let level = load(&raw const out.level);
    let mut granted = load(&raw const out.granted) | rule.tree;
    if level == 0 {
        granted |= rule.own;
    } else if level == 1 {
        granted |= rule.children;
        if rule.named != 0 {
            granted |= by_name(key, out);
        }
    }
    store(&raw mut out.granted, granted);
}

/// What the rule on the leaf's name in this directory grants.
#[inline(always)]
fn by_name(directory: FileKey, out: &mut Scratch) -> u32 {
    out.key.directory = directory;
    zero((&raw mut out.key.name).cast(), NAME_BYTES / 8);
    if out.leaf_len >= NAME_BYTES as u32 {
        return 0;
    }
    let length = opaque(u64::from(out.leaf_len)) as u32 & (NAME_BYTES as u32 - 1);
    // SAFETY: `length` is below the size of the name; the helper checks the source.
    let status = unsafe {
        generated::bpf_probe_read_kernel(
            (&raw mut out.key.name).cast(),
            length,
            out.leaf_name as *const _,
        )
    };
    if status != 0 {
        return 0;
    }
    // SAFETY: the map does not preallocate, so the element outlives this program run.
    unsafe { FILE_NAMES.get(&out.key) }.copied().unwrap_or(0)
}
