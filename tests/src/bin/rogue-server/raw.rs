//! System calls that no library wraps safely: `io_uring` and fork(2). The only unsafe code of this program.
#![allow(unsafe_code, reason = "what a server can do, a rogue one does")]

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, fork, pipe, setsid, write};
use warrantd_tests::probe;

// From include/uapi/linux/io_uring.h.
const OPENAT: u8 = 18;
const GET_EVENTS: libc::c_uint = 1;
const OFFSET_SUBMISSIONS: libc::off_t = 0;
const OFFSET_COMPLETIONS: libc::off_t = 0x0800_0000;
const OFFSET_ENTRIES: libc::off_t = 0x1000_0000;
/// Where the members of struct `io_uring_params` are, counted in 32-bit words.
const SUBMISSION_TAIL: usize = 11;
const SUBMISSION_ARRAY: usize = 16;
const COMPLETION_TAIL: usize = 21;
const COMPLETION_ENTRIES: usize = 25;

/// More than each ring of one entry takes.
const PAGE: usize = 4096;

/// Reads a file that the kernel opens without an open call of this process.
pub(crate) fn read_by_ring(path: &Path) -> io::Result<Vec<u8>> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut parameters = [0_u32; 30];
    // SAFETY: struct io_uring_params has 120 bytes.
    let ring = own(unsafe { libc::syscall(libc::SYS_io_uring_setup, 1, parameters.as_mut_ptr()) })?;
    let submissions = map(&ring, OFFSET_SUBMISSIONS)?;
    let completions = map(&ring, OFFSET_COMPLETIONS)?;
    let entries = map(&ring, OFFSET_ENTRIES)?;

    let mut entry = [0_u8; 64];
    entry[0] = OPENAT;
    entry[4..8].copy_from_slice(&libc::AT_FDCWD.to_ne_bytes());
    entry[16..24].copy_from_slice(&(path.as_ptr() as u64).to_ne_bytes());
    // SAFETY: the mapping has room for an entry, and the kernel does not read it before it is told to.
    unsafe { ptr::copy_nonoverlapping(entry.as_ptr(), entries, entry.len()) };
    word(submissions, parameters[SUBMISSION_ARRAY]).store(0, Ordering::Relaxed);
    word(submissions, parameters[SUBMISSION_TAIL]).store(1, Ordering::Release);
    // SAFETY: takes numbers and no signal mask; the path of the entry outlives the call, which waits.
    let entered = unsafe {
        libc::syscall(
            libc::SYS_io_uring_enter,
            ring.as_raw_fd(),
            1,
            1,
            GET_EVENTS,
            ptr::null::<libc::sigset_t>(),
            0,
        )
    };
    if entered < 0 {
        return Err(io::Error::last_os_error());
    }
    if word(completions, parameters[COMPLETION_TAIL]).load(Ordering::Acquire) == 0 {
        return Err(io::Error::other("io_uring gave no answer"));
    }
    // The result is behind the 64 bits that name the request.
    let result = word(completions, parameters[COMPLETION_ENTRIES] + 8).load(Ordering::Relaxed);
    let mut text = Vec::new();
    match result.cast_signed() {
        // SAFETY: the kernel opened it for this process, and nobody else knows it.
        descriptor @ 0.. => unsafe { File::from_raw_fd(descriptor) }.read_to_end(&mut text)?,
        error => return Err(io::Error::from_raw_os_error(-error)),
    };
    Ok(text)
}

/// Maps a part of a ring, until the program ends.
fn map(ring: &OwnedFd, offset: libc::off_t) -> io::Result<*mut u8> {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new mapping at a place of the kernel's choice.
    let place = unsafe {
        libc::mmap(ptr::null_mut(), PAGE, protection, libc::MAP_SHARED, ring.as_raw_fd(), offset)
    };
    if place == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(place.cast()) }
}

/// A word of a ring, `offset` bytes from its start as the kernel said.
fn word(ring: *mut u8, offset: u32) -> &'static AtomicU32 {
    // SAFETY: rings of one entry fit into a page, and the kernel's offsets are inside.
    let place = unsafe { ring.add(offset as usize) };
    // SAFETY: mapped until the program ends, aligned as the kernel's own words are.
    unsafe { AtomicU32::from_ptr(place.cast()) }
}

/// Does something in a process that is no child of this one (fork twice, setsid). With `wait` it has
/// ended when this returns, and the result is its own; without, nobody hears of it.
pub(crate) fn detached(wait: bool, act: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    let (mut heard, said) = pipe().map(|(heard, said)| (File::from(heard), said))?;
    // SAFETY: the child only makes system calls until it forks again, and then ends; malloc of the C library
    // works in a child of a program with threads.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => {
            drop(said);
            waitpid(child, None)?;
            let mut outcome = String::new();
            if wait {
                heard.read_to_string(&mut outcome)?;
            }
            if outcome.is_empty() { Ok(()) } else { Err(io::Error::other(outcome)) }
        }
        ForkResult::Child => {
            drop(heard);
            let _ = setsid();
            // SAFETY: as above.
            if matches!(unsafe { fork() }, Ok(ForkResult::Child))
                && let Err(error) = act()
            {
                let _ = write(&said, probe::name(&error).as_bytes());
            }
            // SAFETY: ends this process without running what the parent has registered.
            unsafe { libc::_exit(0) }
        }
    }
}

fn own(result: libc::c_long) -> io::Result<OwnedFd> {
    match i32::try_from(result) {
        // SAFETY: the call that returned it made it, and nobody else knows it.
        Ok(descriptor) if descriptor >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(descriptor) }),
        _ => Err(io::Error::last_os_error()),
    }
}
