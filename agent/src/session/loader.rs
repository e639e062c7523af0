//! The loader that a program asks for: to run the program, the kernel runs it first (elf(5), `PT_INTERP`).

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Program headers that are looked at; real programs have a dozen.
const MOST_HEADERS: u64 = 64;
/// Bytes of a program header, and of a path, at most.
const HEADER: usize = 56;
const LONGEST: u64 = 4096;
/// `PT_INTERP`.
const INTERPRETER: u32 = 3;

/// The loader of a 64-bit program; `None` for scripts and programs that are linked statically.
pub(super) fn loader(program: &Path) -> Option<PathBuf> {
    let file = File::open(program).ok()?;
    let mut start = [0; 64];
    file.read_exact_at(&mut start, 0).ok()?;
    // Of this host's byte order, which is little on every architecture that is built for.
    let is_ours = start.starts_with(b"\x7fELF") && start[4] == 2 && start[5] == 1;
    let headers = word(&start, 32).filter(|_| is_ours)?;
    let size = u64::from(half(&start, 54)?);
    for index in 0..u64::from(half(&start, 56)?).min(MOST_HEADERS) {
        let mut header = [0; HEADER];
        let place = headers.checked_add(index.checked_mul(size)?)?;
        file.read_exact_at(&mut header, place).ok()?;
        if header.first_chunk().map(|kind| u32::from_le_bytes(*kind)) != Some(INTERPRETER) {
            continue;
        }
        let (place, length) = (word(&header, 8)?, word(&header, 32)?);
        let length = usize::try_from(length).ok().filter(|_| length <= LONGEST)?;
        let mut path = vec![0; length];
        file.read_exact_at(&mut path, place).ok()?;
        let path = String::from_utf8(path).ok()?;
        return Some(PathBuf::from(path.trim_end_matches('\0')));
    }
    None
}

fn word(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_names_its_loader_and_a_text_has_none() {
        let loader_of_sh = loader(Path::new("/bin/sh")).expect("a loader");
        assert!(loader_of_sh.is_absolute() && loader_of_sh.exists(), "{loader_of_sh:?}");
        let text = tempfile::NamedTempFile::new().expect("a file");
        assert_eq!(loader(text.path()), None);
        std::fs::write(text.path(), [b"\x7fELF\x02\x01".as_slice(), &[0xff; 200]].concat())
            .expect("written");
        assert_eq!(loader(text.path()), None, "nonsense is no program");
        assert_eq!(loader(Path::new("/no/such/program")), None);
    }
}
