//! Runs that the kernel left out.
//!
//! A tracepoint program is skipped while its processor is inside an operation on a BPF map, its own task's
//! or that of a task it preempted (`trace_call_bpf` in `kernel/trace/bpf_trace.c`); a tracing program, while
//! another task that was preempted there is inside the same program (`kernel/bpf/trampoline.c`). Kernels
//! from 5.12 on (tracepoints: 6.7) count that in the program's `recursion_misses`. Older ones skip
//! silently, but only kernels that preempt themselves in the middle of a program get there.

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};

use aya::programs::{ProgramError, ProgramFd};
use nix::sys::utsname::uname;

/// `BPF_OBJ_GET_INFO_BY_FD` (include/uapi/linux/bpf.h).
const GET_INFO: libc::c_long = 15;
/// Words of `struct bpf_prog_info` up to the one we want; later kernels have more and fill in these.
const INFO_WORDS: usize = 27;
/// Which word of it is `recursion_misses`.
const MISSES_WORD: usize = 26;

/// Whether programs of BPF LSM may be left out, so that they have to be asked: from 6.2 on they never are
/// (`bpf_prog_check_recur` in `include/linux/bpf_verifier.h`).
pub(super) fn lsm_is_left_out() -> bool {
    let Ok(kernel) = uname() else { return true };
    version(&kernel.release().to_string_lossy()).is_none_or(|version| version < (6, 2))
}

/// The first two numbers of a kernel's release, `6.12.9+deb13-amd64`.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// The counts of all programs that observe.
#[derive(Default)]
pub(super) struct Misses {
    /// Each with its count when it was added.
    programs: Vec<(OwnedFd, u64)>,
}

/// The attributes of the call.
#[repr(C)]
struct Request {
    descriptor: u32,
    length: u32,
    info: u64,
}

impl Misses {
    /// Begins to count for a program that is loaded.
    pub(super) fn add(
        &mut self,
        program: Result<&ProgramFd, ProgramError>,
    ) -> Result<(), ProgramError> {
        let program = program?.as_fd().try_clone_to_owned().map_err(ProgramError::IOError)?;
        let at_start = read(&program).unwrap_or(0);
        self.programs.push((program, at_start));
        Ok(())
    }

    /// Runs left out since. A kernel that does not tell counts none.
    pub(super) fn count(&self) -> u64 {
        let missed = |(program, at_start): &(OwnedFd, u64)| {
            read(program).unwrap_or(*at_start).saturating_sub(*at_start)
        };
        self.programs.iter().map(missed).sum()
    }
}

fn read(program: &OwnedFd) -> io::Result<u64> {
    let mut info = [0u64; INFO_WORDS];
    let request = Request {
        descriptor: u32::try_from(program.as_raw_fd()).unwrap_or(u32::MAX),
        length: u32::try_from(size_of_val(&info)).unwrap_or(0),
        info: info.as_mut_ptr() as u64,
    };
    // SAFETY: the request names a buffer of the length it says, which outlives the call; zeros in it ask
    // for no further data to be written anywhere.
    let status = unsafe {
        libc::syscall(libc::SYS_bpf, GET_INFO, &raw const request, size_of_val(&request))
    };
    if status == 0 { Ok(info[MISSES_WORD]) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_read_and_what_is_none_is_not() {
        assert_eq!(version("6.12.9+deb13-amd64"), Some((6, 12)));
        assert_eq!(version("5.10.0-34"), Some((5, 10)));
        assert_eq!(version("7.2-rc1"), Some((7, 2)));
        for none in ["", "linux", "6", "6.x"] {
            assert_eq!(version(none), None, "{none}");
        }
    }
}
