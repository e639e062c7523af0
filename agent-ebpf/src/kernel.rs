//! Reading kernel memory at offsets that user space has looked up.

use core::arch::asm;
use core::mem::MaybeUninit;

use aya_ebpf::helpers::generated;
use warrantd_common::Layout;

/// The offsets. User space overrides the zeros before load; the verifier then sees constants.
#[unsafe(no_mangle)]
static LAYOUT: Layout = Layout::ZERO;

/// An offset or number from [`LAYOUT`], by field name.
macro_rules! layout {
    ($field:ident) => {
        $crate::kernel::load(&raw const $crate::kernel::layout_ptr().$field)
    };
}
pub(crate) use layout;

/// The table itself, for [`layout!`].
#[inline(always)]
pub fn layout_ptr() -> &'static Layout {
    &LAYOUT
}

/// Reads one entry; volatile, because the compiler would fold the zero it sees.
#[inline(always)]
pub fn load(field: *const u32) -> u32 {
    // SAFETY: callers pass a field of the static LAYOUT.
    unsafe { field.read_volatile() }
}

/// The same number, of which the compiler knows nothing more: it would leave out bounds that it has proved
/// in a way the verifier does not follow.
#[inline(always)]
pub fn opaque(mut value: u64) -> u64 {
    // An assignment to itself: without any instruction, the line information would name the next one twice.
    // SAFETY: changes nothing.
    unsafe { asm!("{value} = {value}", value = inout(reg) value, options(nomem, preserves_flags)) };
    value
}

/// Something in kernel memory whose members can be read.
pub trait Pointer: Copy {
    /// Reads a plain value at `offset`; `None` when the memory is not readable.
    fn read<T: Plain>(self, offset: u32) -> Option<T>;

    /// Follows the pointer at `offset`; `None` when it is null or not readable.
    fn follow(self, offset: u32) -> Option<Self>;

    /// Follows the pointer at one offset and reads the word at another; `None` when either cannot be done.
    #[inline(always)]
    fn follow_and_read(self, pointer: u32, word: u32) -> Option<(Self, u64)> {
        Some((self.follow(pointer)?, self.read(word)?))
    }

    /// The address as a number.
    fn raw(self) -> u64;
}

/// An object whose type the verifier knows, because the kernel has handed it to the program or another such
/// object points to it. Its members are read by plain instructions, some twenty times faster than by
/// the helper: the verifier checks each against the kernel's own types, and memory that is not there
/// reads as zero (Documentation/bpf/btf.rst; `BPF_PROBE_MEM` in kernel/bpf/verifier.c).
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Object(*const u8);

impl Object {
    /// The running task, with [`Layout::task_helper`] alone: where the helper is missing, the branch that
    /// calls it is dead and the verifier does not look at it.
    #[inline(always)]
    pub fn current_task() -> Self {
        // SAFETY: the helper takes no arguments and returns the running task.
        Self(unsafe { generated::bpf_get_current_task_btf() }.cast())
    }

    /// The user registers of the running task, with [`Layout::regs_helper`] alone.
    #[inline(always)]
    pub fn current_registers() -> Self {
        let task = Self::current_task();
        // SAFETY: the task is the running one.
        Self(unsafe { generated::bpf_task_pt_regs(task.0.cast_mut().cast()) } as *const u8)
    }

    /// An argument of the hook that the program is attached to.
    ///
    /// # Safety
    /// The verifier must know the type of the argument, as it does in the contexts of BPF LSM and fentry.
    #[inline(always)]
    pub const unsafe fn argument(pointer: *const u8) -> Self {
        Self(pointer)
    }

    /// Whether this is the null pointer.
    #[inline(always)]
    pub fn is_null(self) -> bool {
        self.0.is_null()
    }

    /// The same, as far as the verifier knows nothing of its type.
    #[inline(always)]
    pub fn address(self) -> Address {
        Address::new(self.raw())
    }
}

impl Pointer for Object {
    #[inline(always)]
    fn read<T: Plain>(self, offset: u32) -> Option<T> {
        // SAFETY: the verifier has checked that there is such a member, and provides for a fault.
        Some(unsafe { self.0.add(offset as usize).cast::<T>().read_volatile() })
    }

    #[inline(always)]
    fn follow(self, offset: u32) -> Option<Self> {
        // SAFETY: as above; a pointer that does not lead anywhere reads as zeros.
        let target = unsafe { self.0.add(offset as usize).cast::<*const u8>().read_volatile() };
        if target.is_null() { None } else { Some(Self(target)) }
    }

    #[inline(always)]
    fn raw(self) -> u64 {
        self.0 as u64
    }
}

/// An address in kernel memory, not checked in any way.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct Address(u64);

impl Address {
    /// Address of an object that a helper or a program context names.
    #[inline(always)]
    pub const fn new(address: u64) -> Self {
        Self(address)
    }

    /// Whether this is the null pointer.
    #[inline(always)]
    pub const fn is_null(self) -> bool {
        self.0 == 0
    }

    /// Address of a member.
    #[inline(always)]
    pub const fn at(self, offset: u32) -> Self {
        Self(self.0.wrapping_add(offset as u64))
    }

    /// Address of the struct whose member at `offset` this is.
    #[inline(always)]
    pub const fn container(self, offset: u32) -> Self {
        Self(self.0.wrapping_sub(offset as u64))
    }
}

impl Pointer for Address {
    #[inline(always)]
    fn read<T: Plain>(self, offset: u32) -> Option<T> {
        let mut value = MaybeUninit::<T>::uninit();
        // SAFETY: the helper checks the source address and writes exactly size_of::<T>() bytes.
        let status = unsafe {
            generated::bpf_probe_read_kernel(
                value.as_mut_ptr().cast(),
                size_of::<T>() as u32,
                self.at(offset).0 as *const _,
            )
        };
        if status != 0 {
            return None;
        }
        // SAFETY: the helper succeeded, and every bit pattern is a valid Plain value.
        Some(unsafe { value.assume_init() })
    }

    #[inline(always)]
    fn follow(self, offset: u32) -> Option<Self> {
        let target = Self(self.read::<u64>(offset)?);
        if target.is_null() { None } else { Some(target) }
    }

    /// In one read, where the word is a little behind the pointer.
    #[inline(always)]
    fn follow_and_read(self, pointer: u32, word: u32) -> Option<(Self, u64)> {
        type Stretch = Head<4>;
        let between = word.wrapping_sub(pointer);
        if !Stretch::holds(between) {
            return Some((self.follow(pointer)?, self.read(word)?));
        }
        let stretch: Stretch = self.read(pointer)?;
        let target = Self(stretch.word(0));
        if target.is_null() { None } else { Some((target, stretch.word(between))) }
    }

    #[inline(always)]
    fn raw(self) -> u64 {
        self.0
    }
}

/// The beginning of a struct, of which several members are wanted: one read is cheaper than one for each.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Head<const WORDS: usize>([u64; WORDS]);

impl<const WORDS: usize> Head<WORDS> {
    /// Whether a word at this place lies within. To the verifier the answer is a constant, so that it does
    /// not look at the branch that is not taken.
    #[inline(always)]
    pub const fn holds(place: u32) -> bool {
        place <= (WORDS as u32 - 1) * 8
    }

    /// The word at this place, which must be [held](Self::holds) and a multiple of eight.
    #[inline(always)]
    pub fn word(&self, place: u32) -> u64 {
        let words: *const u8 = self.0.as_ptr().cast();
        // SAFETY: callers have asked whether the head holds the place.
        unsafe { words.add(place as usize).cast::<u64>().read_volatile() }
    }

    /// The half word at this place, which must be held and a multiple of four.
    #[inline(always)]
    pub fn half(&self, place: u32) -> u32 {
        let words: *const u8 = self.0.as_ptr().cast();
        // SAFETY: as above.
        unsafe { words.add(place as usize).cast::<u32>().read_volatile() }
    }
}

/// Types for which every bit pattern is a value.
///
/// # Safety
/// Implementors have no padding and no invalid bit patterns.
pub unsafe trait Plain: Copy {}

// SAFETY: integers and arrays of bytes accept every bit pattern.
unsafe impl Plain for u32 {}
// SAFETY: as above.
unsafe impl Plain for i32 {}
// SAFETY: as above.
unsafe impl Plain for u64 {}
// SAFETY: as above.
unsafe impl<const WORDS: usize> Plain for Head<WORDS> {}
