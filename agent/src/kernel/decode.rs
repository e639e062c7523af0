//! Records of the event ring to [`Effect`]s. Pure, and total: whatever the bytes are, the result is
//! effects or `None`.
#![forbid(unsafe_code)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use warrantd_common::{EventHeader, EventKind, FileEvent, NetworkEvent, flags};

use crate::warrant::{Effect, EffectKind, FileTarget, Outcome, Peer, Process, Protocol, Target};

/// `FMODE_…` bits of `struct file` (include/linux/fs.h, the same since 4.19).
const FMODE_CREATED: u32 = 0x10_0000;

/// Device and inode number, as the kernel encodes them: what a file is, whatever it is called.
pub(super) type FileId = (u32, u64);

/// A record, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decoded {
    /// What the event means; an open for reading and writing means two things, `O_PATH` nothing.
    pub(super) effects: Vec<Effect>,
    /// The executable and its path, when the event is an exec.
    pub(super) program: Option<(FileId, String)>,
}

/// The session that a record belongs to, and the record's header.
pub(super) fn header(record: &[u8]) -> Option<EventHeader> {
    EventHeader::parse(record)
}

/// Reads a record. `seq` is its number in the session; `name_of` knows executables by identity.
pub(super) fn decode(
    record: &[u8],
    seq: u64,
    name_of: impl Fn(FileId) -> Option<String>,
) -> Option<Decoded> {
    let header = EventHeader::parse(record)?;
    match EventKind::from_raw(header.kind)? {
        EventKind::Open => {
            let (event, path) = FileEvent::parse(record)?;
            let target = file_target(&event, path);
            let effects = access(&event)
                .map(|kind| effect(kind, &header, seq, Target::File(target.clone()), &name_of))
                .collect();
            Some(Decoded { effects, program: None })
        }
        EventKind::Exec => {
            let (event, path) = FileEvent::parse(record)?;
            let target = file_target(&event, path);
            let id = (event.dev, event.ino);
            let program = target.path.clone();
            let own_name =
                |asked: FileId| if asked == id { Some(program.clone()) } else { name_of(asked) };
            let effects =
                vec![effect(EffectKind::Exec, &header, seq, Target::File(target), own_name)];
            Some(Decoded { effects, program: Some((id, program)) })
        }
        EventKind::Connect => network(EffectKind::Connect, record, seq, name_of),
        EventKind::Send => network(EffectKind::Send, record, seq, name_of),
        // A socket that may not exist is refused before it has a peer: the packets it would have sent.
        EventKind::Packet | EventKind::Socket => network(EffectKind::Packet, record, seq, name_of),
    }
}

fn network(
    kind: EffectKind,
    record: &[u8],
    seq: u64,
    name_of: impl Fn(FileId) -> Option<String>,
) -> Option<Decoded> {
    let event = NetworkEvent::parse(record)?;
    let address = Ipv6Addr::from(event.address);
    let unspecified = event.header.kind == EventKind::Socket as u8 && event.family != AF_INET6;
    let ip = match address.to_ipv4_mapped() {
        Some(v4) => IpAddr::V4(v4),
        None if unspecified => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        None => IpAddr::V6(address),
    };
    let protocol = match event.protocol {
        6 | 262 => Protocol::Tcp,
        17 => Protocol::Udp,
        other => Protocol::Other(u8::try_from(other).unwrap_or(u8::MAX)),
    };
    let target =
        Target::Peer(Peer { peer: SocketAddr::new(ip, event.port), protocol, names: Vec::new() });
    Some(Decoded {
        effects: vec![effect(kind, &event.header, seq, target, name_of)],
        program: None,
    })
}

const AF_INET6: u16 = 10;

fn effect(
    kind: EffectKind,
    header: &EventHeader,
    seq: u64,
    target: Target,
    name_of: impl Fn(FileId) -> Option<String>,
) -> Effect {
    let outcome = if header.outcome == warrantd_common::Outcome::Allowed as u8 {
        Outcome::Allowed
    } else {
        Outcome::Denied
    };
    let exe = name_of((header.exe_dev, header.exe_ino)).unwrap_or_else(|| {
        let comm = header.comm.split(|&byte| byte == 0).next().unwrap_or_default();
        format!("[{}]", String::from_utf8_lossy(comm))
    });
    Effect {
        kind,
        outcome,
        target,
        process: Process { pid: header.pid, tid: header.tid, uid: header.uid, exe },
        seq,
        boot_ns: header.boot_ns,
    }
}

/// What an open allows to do.
fn access(event: &FileEvent) -> impl Iterator<Item = EffectKind> + use<> {
    // The flags of the kernel's own architecture are those of this program.
    let open_flags = event.open_flags.cast_signed();
    let vanished = event.header.flags & flags::VANISHED != 0;
    let path_only = open_flags & libc::O_PATH != 0 && !vanished;
    let mode = open_flags & libc::O_ACCMODE;
    // The fourth value asks for both rights and grants neither; it counts as both.
    let reads = mode != libc::O_WRONLY;
    let created =
        event.mode & FMODE_CREATED != 0 || open_flags & libc::O_TMPFILE == libc::O_TMPFILE;
    let writes = mode != libc::O_RDONLY || event.header.flags & flags::EMPTIED != 0;
    let change = match (created, writes) {
        (true, _) => Some(EffectKind::FileCreate),
        (false, true) => Some(EffectKind::FileWrite),
        (false, false) => None,
    };
    let read = reads.then_some(EffectKind::FileRead);
    read.into_iter().chain(change).filter(move |_| !path_only)
}

fn file_target(event: &FileEvent, path: &[u8]) -> FileTarget {
    let bits = event.header.flags;
    let (mut text, whole) = join(path, event.components, bits);
    if bits & flags::UNLINKED != 0 && whole {
        // As d_path writes it: a name that leads elsewhere or nowhere now.
        text.push_str(" (deleted)");
    }
    FileTarget { path: text, dev: device(event.dev), ino: event.ino, truncated: !whole }
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
#[path = "decode_tests.rs"]
mod tests;
