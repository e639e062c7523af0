//! Paths from what the kernel walked: components from the leaf to the root.
#![forbid(unsafe_code)]

use warrantd_common::{FileEvent, flags};

use crate::warrant::FileTarget;

/// The file that an event is about. The tail counts when it is a name that the caller gave.
pub(super) fn target(event: &FileEvent, path: &[u8], tail: &[u8]) -> FileTarget {
    let bits = event.header.flags;
    if bits & flags::CLAIMED != 0 {
        return claimed(event, path, tail);
    }
    let (mut text, whole) = join(path, event.components, bits);
    if bits & flags::UNLINKED != 0 && whole {
        // As d_path writes it: a name that leads elsewhere or nowhere now.
        text.push_str(" (deleted)");
    }
    FileTarget { path: text, dev: device(event.dev), ino: event.ino, truncated: !whole }
}

/// The socket that an event is about. An abstract name is the tail, written with `@` and with its zeros
/// and other unprintable bytes escaped.
pub(super) fn socket(event: &FileEvent, path: &[u8], tail: &[u8]) -> FileTarget {
    if event.header.flags & flags::PATHLESS == 0 {
        return target(event, path, &[]);
    }
    let name = tail.strip_prefix(&[0]).unwrap_or(tail);
    FileTarget { path: format!("@{}", name.escape_ascii()), dev: 0, ino: 0, truncated: false }
}

/// A name that counts from a directory, with its dots resolved by text alone: symbolic links on the way
/// are not followed.
fn claimed(event: &FileEvent, path: &[u8], tail: &[u8]) -> FileTarget {
    let bits = event.header.flags & !flags::CLAIMED;
    let name = String::from_utf8_lossy(tail);
    let (base, known) = if name.starts_with('/') {
        (String::new(), true)
    } else {
        join(path, event.components, bits)
    };
    let whole = known && bits & flags::TAIL_CUT == 0 && !name.is_empty();
    let mut components: Vec<&str> = base.split('/').filter(|part| !part.is_empty()).collect();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                components.pop();
            }
            part => components.push(part),
        }
    }
    let root = if known { "/" } else { "" };
    let path = format!("{root}{}", components.join("/"));
    FileTarget { path, dev: 0, ino: 0, truncated: !whole }
}

/// Turns components, leaf first, into a path, and says whether it is whole.
fn join(path: &[u8], count: u16, bits: u16) -> (String, bool) {
    let mut components = Vec::with_capacity(usize::from(count));
    let mut rest = path;
    while let Some((length, tail)) = rest.split_first_chunk::<2>() {
        let Some((name, tail)) = tail.split_at_checked(usize::from(u16::from_le_bytes(*length)))
        else {
            break;
        };
        components.push(String::from_utf8_lossy(name));
        rest = tail;
    }
    let complete = rest.is_empty() && components.len() == usize::from(count);
    components.reverse();
    let joined = components.join("/");
    if bits & flags::VANISHED != 0 {
        (String::new(), false)
    } else if bits & flags::PATHLESS != 0 {
        // Its name is the creator's choice; without the slash it cannot pass for a path.
        let name = joined.trim_start_matches('/');
        let name = if name.is_empty() { "anonymous" } else { name };
        (name.to_owned(), complete)
    } else if bits & (flags::TRUNCATED | flags::DETACHED) != 0 || !complete {
        (format!(".../{joined}"), false)
    } else {
        (format!("/{joined}"), true)
    }
}

/// The kernel's device number (`include/linux/kdev_t.h`) as `st_dev` shows it.
pub(super) fn device(dev: u32) -> u64 {
    libc::makedev(dev >> 20, dev & 0xf_ffff)
}

#[cfg(test)]
mod tests {
    use warrantd_common::EventHeader;

    use super::*;

    fn claim(base: &[&[u8]], name: &[u8], bits: u16) -> (String, bool) {
        let mut path = Vec::new();
        for component in base {
            path.extend(u16::try_from(component.len()).unwrap().to_le_bytes());
            path.extend(*component);
        }
        let header = EventHeader { flags: flags::CLAIMED | bits, ..EventHeader::default() };
        let components = u16::try_from(base.len()).unwrap();
        let event = FileEvent { header, components, ..FileEvent::default() };
        let target = target(&event, &path, name);
        (target.path, target.truncated)
    }

    #[test]
    fn a_claimed_name_counts_from_its_directory() {
        let base: [&[u8]; 2] = [b"data", b"srv"];
        assert_eq!(claim(&base, b"a.txt", 0), ("/srv/data/a.txt".into(), false));
        assert_eq!(claim(&base, b"../x/./y", 0), ("/srv/x/y".into(), false));
        assert_eq!(claim(&base, b"/etc/passwd", flags::TRUNCATED), ("/etc/passwd".into(), false));
        assert_eq!(claim(&base, b"../../../..", 0), ("/".into(), false));
    }

    #[test]
    fn a_claimed_name_that_is_not_known_whole_is_cut() {
        let base: [&[u8]; 1] = [b"data"];
        assert!(claim(&base, b"a", flags::TRUNCATED).1);
        assert!(claim(&base, b"a", flags::TAIL_CUT).1);
        assert!(claim(&base, b"", 0).1);
    }

    #[test]
    fn an_abstract_socket_cannot_pass_for_a_path() {
        let header = EventHeader { flags: flags::PATHLESS, ..EventHeader::default() };
        let event = FileEvent { header, ..FileEvent::default() };
        assert_eq!(socket(&event, &[], b"\0/run/x").path, "@/run/x");
        assert_eq!(socket(&event, &[], b"\0\0a").path, "@\\x00a");
    }
}
