//! Records of the event ring to [`Effect`]s. Pure, and total: whatever the bytes are, the result is
//! effects or `None`.
#![forbid(unsafe_code)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use warrantd_common::{EventHeader, EventKind, FileEvent, NetworkEvent, flags};

use crate::warrant::{Effect, EffectKind, Outcome, Peer, Process, Protocol, Target};

use super::path;

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
    let one = |kind| file(kind, record, seq, &name_of);
    match EventKind::from_raw(header.kind)? {
        EventKind::Open | EventKind::Receive => {
            let (event, path, tail) = FileEvent::parse(record)?;
            let target = path::target(&event, path, tail);
            let effects = access(&event)
                .map(|kind| effect(kind, &header, seq, Target::File(target.clone()), &name_of))
                .collect();
            Some(Decoded { effects, program: None })
        }
        EventKind::Exec => exec(record, seq, name_of),
        EventKind::Create => one(EffectKind::FileCreate),
        EventKind::Delete => one(EffectKind::FileDelete),
        EventKind::Rename => one(EffectKind::FileRename),
        EventKind::Link => one(EffectKind::FileLink),
        EventKind::Truncate => one(EffectKind::FileWrite),
        EventKind::Attributes => one(EffectKind::FileAttributes),
        EventKind::Map => one(EffectKind::FileMap),
        EventKind::Mount => one(EffectKind::Mount),
        EventKind::Unix => one(EffectKind::ConnectUnix),
        EventKind::Leave => one(EffectKind::LeaveCgroup),
        EventKind::Connect => network(EffectKind::Connect, record, seq, name_of),
        EventKind::Send => network(EffectKind::Send, record, seq, name_of),
        EventKind::Bind => network(EffectKind::Bind, record, seq, name_of),
        EventKind::Packet if header.flags & flags::LATE != 0 => {
            network(EffectKind::LatePacket, record, seq, name_of)
        }
        EventKind::Packet => network(EffectKind::Packet, record, seq, name_of),
        EventKind::Socket => network(EffectKind::Socket, record, seq, name_of),
    }
}

/// One thing done to one file.
fn file(
    kind: EffectKind,
    record: &[u8],
    seq: u64,
    name_of: impl Fn(FileId) -> Option<String>,
) -> Option<Decoded> {
    let (event, path, tail) = FileEvent::parse(record)?;
    let target = match kind {
        EffectKind::ConnectUnix => path::socket(&event, path, tail),
        _ => path::target(&event, path, tail),
    };
    let effects = vec![effect(kind, &event.header, seq, Target::File(target), name_of)];
    Some(Decoded { effects, program: None })
}

/// A program that started, or was refused.
fn exec(record: &[u8], seq: u64, name_of: impl Fn(FileId) -> Option<String>) -> Option<Decoded> {
    let (event, path, tail) = FileEvent::parse(record)?;
    let target = path::target(&event, path, &[]);
    let id = (event.dev, event.ino);
    let runs = event.header.outcome == warrantd_common::Outcome::Allowed as u8;
    let program = runs.then(|| (id, target.path.clone()));
    let name = target.path.clone();
    let own_name = |asked: FileId| {
        if runs && asked == id { Some(name.clone()) } else { name_of(asked) }
    };
    let mut started = effect(EffectKind::Exec, &event.header, seq, Target::File(target), own_name);
    started.argv = arguments(tail);
    started.argv_cut = event.header.flags & flags::TAIL_CUT != 0;
    Some(Decoded { effects: vec![started], program })
}

/// The arguments of a program, each ended by a zero but for one that was cut.
fn arguments(tail: &[u8]) -> Vec<String> {
    let whole = tail.strip_suffix(&[0]).unwrap_or(tail);
    if whole.is_empty() {
        return Vec::new();
    }
    whole.split(|&byte| byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect()
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
        argv: Vec::new(),
        argv_cut: false,
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

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
