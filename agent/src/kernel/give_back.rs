//! Memory that only a start needs is given back.
//!
//! To load the programs, the kernel's types are read, tens of times what is kept of them, and most of the daemon's code
//! that ever runs runs then. The allocator would hold on to the one; pages of the other would stay mapped, where they
//! count as the daemon's although the page cache has them anyway. It is for when a start has settled: at each touch
//! kernels map many pages, from 6.18 on whole folios, so that twenty touches of what ends a start are 8 MiB.

use std::ffi::c_void;
use std::ptr::{NonNull, with_exposed_provenance_mut};

use nix::sys::mman::{MmapAdvise, madvise};

/// Gives back what is not needed now. What is needed again is had from the page cache.
pub fn give_back_memory() {
    let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap_or_else(|error| {
        tracing::debug!("memory of the program is kept: /proc/self/smaps: {error}");
        String::new()
    });
    for mapping in unchanged(&smaps) {
        let Some(start) = NonNull::new(with_exposed_provenance_mut::<c_void>(mapping.start)) else {
            continue;
        };
        // SAFETY: the mapping is private, of a file, cannot be written, and has no page that differs from the file's: what is
        // read there next is what was there before.
        if let Err(error) = unsafe { madvise(start, mapping.length, MmapAdvise::MADV_DONTNEED) } {
            tracing::debug!("memory of the program is kept: {error}");
        }
    }
    #[cfg(target_env = "gnu")]
    // SAFETY: the call has no preconditions and may be made from any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Mapping {
    start: usize,
    length: usize,
}

/// The mappings of files that cannot be written and are as the file is (`proc_pid_smaps(5)`). What was relocated at the
/// start and cannot be written since is not among them, be it in memory or swapped out.
fn unchanged(smaps: &str) -> impl Iterator<Item = Mapping> {
    let mut of_file = None;
    smaps.lines().filter_map(move |line| {
        if let Some((mapping, wanted)) = head(line) {
            of_file = wanted.then_some(mapping);
        } else if let Some(changed) = line.strip_prefix("Anonymous:") {
            of_file = of_file.take().filter(|_| changed.trim() == "0 kB");
        } else if let Some(changed) = line.strip_prefix("Swap:") {
            return of_file.take().filter(|_| changed.trim() == "0 kB");
        }
        None
    })
}

/// Of a mapping's first line, the mapping, and whether it is private, of a file and cannot be written.
fn head(line: &str) -> Option<(Mapping, bool)> {
    let mut words = line.split_ascii_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    let number = |text| usize::from_str_radix(text, 16).ok();
    let (start, end) = (number(start)?, number(end)?);
    let rights = words.next()?;
    let inode = words.nth(2)?;
    let wanted = rights.starts_with('r') && rights.ends_with('p') && !rights.contains('w');
    Some((Mapping { start, length: end.saturating_sub(start) }, wanted && inode != "0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMAPS: &str = "\
55d0c0000000-55d0c0300000 r--p 00000000 fe:00 1001                       /usr/sbin/warrantd
Rss:                3072 kB
Anonymous:             0 kB
Swap:                  0 kB
55d0c0300000-55d0c1a00000 r-xp 00300000 fe:00 1001                       /usr/sbin/warrantd
Anonymous:             0 kB
Swap:                  0 kB
VmFlags: rd ex mr mw me
55d0c1a00000-55d0c1ab0000 r--p 01a00000 fe:00 1001                       /usr/sbin/warrantd
Anonymous:           704 kB
Swap:                  0 kB
55d0c1ab0000-55d0c1ac0000 rw-p 01ab0000 fe:00 1001                       /usr/sbin/warrantd
Anonymous:             0 kB
Swap:                  0 kB
55d0c2000000-55d0c2200000 rw-p 00000000 00:00 0                          [heap]
Anonymous:          2048 kB
Swap:                  0 kB
7f0000000000-7f0000401000 r--s 00001000 00:10 1038                       anon_inode:bpf-map
Anonymous:             0 kB
Swap:                  0 kB
7f0000800000-7f0000900000 r--p 00100000 fe:00 1002                       /usr/lib/libc.so.6
Anonymous:             0 kB
Swap:                 16 kB
7ffd00000000-7ffd00002000 r-xp 00000000 00:00 0                          [vdso]
Anonymous:             0 kB
Swap:                  0 kB
";

    #[test]
    fn only_what_is_as_the_file_is_may_go() {
        let found: Vec<_> = unchanged(SMAPS).collect();
        let expected = [
            Mapping { start: 0x55d0_c000_0000, length: 0x30_0000 },
            Mapping { start: 0x55d0_c030_0000, length: 0x170_0000 },
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn the_process_goes_on() {
        static SAID: &str = "as before";
        give_back_memory();
        assert_eq!(format!("{SAID} {}", f64::from(3).sqrt()), "as before 1.7320508075688772");
    }
}
