//! Names on the way from a file to the root, put one behind the other; see [`warrantd_common::FileEvent`].

use core::arch::asm;

use aya_ebpf::helpers::generated;
use warrantd_common::PATH_BYTES;

use crate::kernel::opaque;
use crate::report::Scratch;

/// Bytes of a name that lies in its directory entry, with the zero that ends it: the least of all kernels
/// (`DNAME_INLINE_LEN` in include/linux/dcache.h).
pub const SHORT_BYTES: u32 = 32;

const NAME_MAX: u32 = 255;
const LENGTH_BYTES: u32 = 2;

/// Appends a name of this length at this address, or, when it lies `within` its entry, what `word` reads
/// there, word for word. False when it does not fit or cannot be read.
#[inline(always)]
pub fn append(
    length: u32,
    name: u64,
    out: &mut Scratch,
    within: bool,
    word: impl Fn(u32) -> u64,
) -> bool {
    let count = &raw mut out.event.components;
    let total = &raw mut out.event.path_len;
    // SAFETY: a field of the scratch slot that this program holds.
    let used = u32::from(unsafe { total.read_volatile() });
    let after = used + LENGTH_BYTES + length;
    if length > NAME_MAX || after > PATH_BYTES as u32 {
        return false;
    }
    if used == 0 {
        out.leaf_name = name;
        out.leaf_len = length;
    }
    // The checks above hold; the masks repeat them in the form the verifier follows.
    let offset = opaque(u64::from(used)) as usize & (PATH_BYTES - 1);
    // SAFETY: `offset` is below PATH_BYTES, and the area is longer than that by more than a name.
    let place = unsafe { (&raw mut out.area).cast::<u8>().add(offset) };
    // SAFETY: as above, two bytes.
    unsafe { place.write(length as u8) };
    // SAFETY: as above, two bytes.
    unsafe { place.add(1).write(0) };
    // SAFETY: as above.
    let place = unsafe { place.add(LENGTH_BYTES as usize) };
    if within && length < SHORT_BYTES {
        for index in 0..SHORT_BYTES / 8 {
            // SAFETY: as above, SHORT_BYTES bytes.
            unsafe { put(place.add(index as usize * 8), word(index)) };
        }
    } else {
        let length = opaque(u64::from(length)) as u32 & NAME_MAX;
        // SAFETY: as above; the helper checks the source.
        let status =
            unsafe { generated::bpf_probe_read_kernel(place.cast(), length, name as *const _) };
        if status != 0 {
            return false;
        }
    }
    // SAFETY: a field of the scratch slot that this program holds.
    unsafe { total.write_volatile(after as u16) };
    // SAFETY: as above.
    unsafe { count.write_volatile(count.read_volatile().wrapping_add(1)) };
    true
}

/// Writes a word at any place: Rust's own would be eight instructions for eight bytes where it does not know
/// that the place is aligned.
///
/// # Safety
/// There must be room for eight bytes.
#[inline(always)]
unsafe fn put(place: *mut u8, word: u64) {
    // SAFETY: the caller has made sure of the room; the processors we build for do not ask for alignment.
    unsafe {
        asm!("*(u64 *)({place} + 0) = {word}", place = in(reg) place, word = in(reg) word);
    }
}
