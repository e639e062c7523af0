//! Records of the event ring: a header, then what the kind of event adds.

/// How many bytes of a path, lengths included, one event can carry.
pub const PATH_BYTES: usize = 4096;

/// How many steps (components and mount crossings) the path walk takes before it gives up.
pub const PATH_COMPONENTS: usize = 96;

/// How many bytes may follow the path: arguments of a program, or a name that the caller gave.
pub const TAIL_BYTES: usize = 1024;

/// Bits of [`EventHeader::flags`].
pub mod flags {
    /// The path is cut: it has more components or bytes than an event can carry, or a read failed.
    pub const TRUNCATED: u16 = 1 << 0;
    /// The file had no name any more when it was reported.
    pub const UNLINKED: u16 = 1 << 1;
    /// The object is not part of any directory tree (memfd, pipe); the path is its name alone.
    pub const PATHLESS: u16 = 1 << 2;
    /// The descriptor was closed or replaced before the file could be read from it.
    pub const VANISHED: u16 = 1 << 3;
    /// The path does not lead to the root of the mount namespace of the process.
    pub const DETACHED: u16 = 1 << 4;
    /// The process fields describe whoever ran on the processor, not the owner of the socket, and
    /// have been left empty.
    pub const NO_PROCESS: u16 = 1 << 5;
    /// The open asked to cut the file to nothing (`O_TRUNC`), whatever its access mode.
    pub const EMPTIED: u16 = 1 << 6;
    /// The tail holds a name from the caller's memory, which counts from the directory that the path
    /// names. Another thread can have changed it after the kernel read it.
    pub const CLAIMED: u16 = 1 << 7;
    /// The tail is cut.
    pub const TAIL_CUT: u16 = 1 << 8;
    /// The packet belongs to a connection that began when its peer was open to the session.
    pub const LATE: u16 = 1 << 9;
}

/// What an event reports; the discriminants are those of [`EventHeader::kind`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum EventKind {
    /// A file was opened: [`FileEvent`].
    Open = 1,
    /// A program was started: [`FileEvent`], with its arguments in the tail.
    Exec = 2,
    /// `connect` was called: [`NetworkEvent`].
    Connect = 3,
    /// A datagram was sent to an address of its own: [`NetworkEvent`].
    Send = 4,
    /// A packet left that no connect or send hook had judged: [`NetworkEvent`].
    Packet = 5,
    /// A socket of a refused kind was asked for: [`NetworkEvent`] without an address.
    Socket = 6,
    /// A local port was asked for: [`NetworkEvent`] with the local address.
    Bind = 7,
    /// A unix socket was connected or sent to: [`FileEvent`]; an abstract name has no path.
    Unix = 8,
    /// A directory, link, socket or device was made: [`FileEvent`].
    Create = 9,
    /// A name was removed: [`FileEvent`].
    Delete = 10,
    /// A name was given up or taken by a rename, one event each: [`FileEvent`].
    Rename = 11,
    /// A file got another name, which a [`EventKind::Create`] reports: [`FileEvent`].
    Link = 12,
    /// A file was cut by its path: [`FileEvent`].
    Truncate = 13,
    /// Mode or owner were changed: [`FileEvent`].
    Attributes = 14,
    /// Something was mounted or moved there: [`FileEvent`].
    Mount = 15,
    /// A file was mapped as code: [`FileEvent`].
    Map = 16,
    /// A descriptor came through a unix socket: [`FileEvent`].
    Receive = 17,
    /// A process was moved out of its cgroup: [`FileEvent`] without a path.
    Leave = 18,
}

impl EventKind {
    /// Every kind, in the order of the discriminants, which count from 1.
    pub const ALL: [Self; 18] = [
        Self::Open,
        Self::Exec,
        Self::Connect,
        Self::Send,
        Self::Packet,
        Self::Socket,
        Self::Bind,
        Self::Unix,
        Self::Create,
        Self::Delete,
        Self::Rename,
        Self::Link,
        Self::Truncate,
        Self::Attributes,
        Self::Mount,
        Self::Map,
        Self::Receive,
        Self::Leave,
    ];

    /// The kind with this discriminant, if there is one.
    #[must_use]
    pub const fn from_raw(raw: u8) -> Option<Self> {
        if raw == 0 || raw as usize > Self::ALL.len() {
            return None;
        }
        Some(Self::ALL[raw as usize - 1])
    }
}

/// Whether the kernel let it happen; the discriminants are those of [`EventHeader::outcome`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Outcome {
    /// It happened.
    Allowed = 0,
    /// It was refused.
    Denied = 1,
}

/// What every event begins with.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
pub struct EventHeader {
    /// Nanoseconds since boot, suspend included (`bpf_ktime_get_boot_ns`).
    pub boot_ns: u64,
    /// Cgroup id of the session.
    pub cgroup_id: u64,
    /// Policy generation of the session when the verdict was made.
    pub generation: u32,
    /// Process id (thread group id) in the initial pid namespace.
    pub pid: u32,
    /// Thread id.
    pub tid: u32,
    /// User id in the initial user namespace.
    pub uid: u32,
    /// An [`EventKind`].
    pub kind: u8,
    /// An [`Outcome`].
    pub outcome: u8,
    /// Bits of [`flags`].
    pub flags: u16,
    /// Device of the executable in the kernel's encoding: major shifted left by 20, or minor.
    pub exe_dev: u32,
    /// Inode number of the executable of the process, 0 when unknown.
    pub exe_ino: u64,
    /// Short name of the thread, padded with zeros.
    pub comm: [u8; 16],
}

/// Something done to a file. The path follows the struct: [`FileEvent::components`] components from the
/// leaf to the root, each a little-endian 16-bit length and as many bytes. Then follows the tail.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
pub struct FileEvent {
    /// What every event has.
    pub header: EventHeader,
    /// Inode number.
    pub ino: u64,
    /// Device of the file system in the kernel's encoding: major shifted left by 20, or minor.
    pub dev: u32,
    /// `file->f_flags`: the `O_…` flags that outlive the open.
    pub open_flags: u32,
    /// `file->f_mode`: the kernel's `FMODE_…` bits.
    pub mode: u32,
    /// Bytes of path after the struct.
    pub path_len: u16,
    /// Components in those bytes.
    pub components: u16,
    /// Bytes of tail after the path; see [`flags::CLAIMED`] and [`EventKind::Exec`].
    pub tail_len: u16,
    /// Zero.
    pub reserved: [u16; 3],
}

/// A connection, datagram, packet, local port or refused socket.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
pub struct NetworkEvent {
    /// What every event has.
    pub header: EventHeader,
    /// The destination, or local address, in network byte order; IPv4 as `::ffff:a.b.c.d`.
    pub address: [u8; 16],
    /// Destination port, 0 where the protocol has none.
    pub port: u16,
    /// IP protocol number, or 262 for MPTCP.
    pub protocol: u16,
    /// Address family of the socket or packet.
    pub family: u16,
    /// Socket type for [`EventKind::Socket`], else 0.
    pub socket_type: u16,
}

/// Reads numbers in host byte order one after the other; `None` at the end of the bytes.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take().map(u8::from_ne_bytes)
    }

    fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_ne_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_ne_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_ne_bytes)
    }

    fn header(&mut self) -> Option<EventHeader> {
        Some(EventHeader {
            boot_ns: self.u64()?,
            cgroup_id: self.u64()?,
            generation: self.u32()?,
            pid: self.u32()?,
            tid: self.u32()?,
            uid: self.u32()?,
            kind: self.u8()?,
            outcome: self.u8()?,
            flags: self.u16()?,
            exe_dev: self.u32()?,
            exe_ino: self.u64()?,
            comm: self.take()?,
        })
    }
}

impl EventHeader {
    /// Reads the header of a record; `None` when the record is too short.
    #[must_use]
    pub fn parse(record: &[u8]) -> Option<Self> {
        Reader(record).header()
    }
}

impl FileEvent {
    /// Reads the event, and returns the bytes of path and tail that follow it; `None` when the record is
    /// too short.
    #[must_use]
    pub fn parse(record: &[u8]) -> Option<(Self, &[u8], &[u8])> {
        let mut reader = Reader(record);
        let event = Self {
            header: reader.header()?,
            ino: reader.u64()?,
            dev: reader.u32()?,
            open_flags: reader.u32()?,
            mode: reader.u32()?,
            path_len: reader.u16()?,
            components: reader.u16()?,
            tail_len: reader.u16()?,
            reserved: [reader.u16()?, reader.u16()?, reader.u16()?],
        };
        let (path, rest) = reader.0.split_at_checked(usize::from(event.path_len))?;
        let tail = rest.get(..usize::from(event.tail_len))?;
        Some((event, path, tail))
    }
}

impl NetworkEvent {
    /// Reads the event; `None` when the record is too short.
    #[must_use]
    pub fn parse(record: &[u8]) -> Option<Self> {
        let mut reader = Reader(record);
        Some(Self {
            header: reader.header()?,
            address: reader.take()?,
            port: reader.u16()?,
            protocol: reader.u16()?,
            family: reader.u16()?,
            socket_type: reader.u16()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use core::mem::{align_of, offset_of, size_of};

    use super::*;

    #[test]
    fn header_layout() {
        assert_eq!(size_of::<EventHeader>(), 64);
        assert_eq!(align_of::<EventHeader>(), 8);
        assert_eq!(offset_of!(EventHeader, cgroup_id), 8);
        assert_eq!(offset_of!(EventHeader, generation), 16);
        assert_eq!(offset_of!(EventHeader, pid), 20);
        assert_eq!(offset_of!(EventHeader, tid), 24);
        assert_eq!(offset_of!(EventHeader, uid), 28);
        assert_eq!(offset_of!(EventHeader, kind), 32);
        assert_eq!(offset_of!(EventHeader, outcome), 33);
        assert_eq!(offset_of!(EventHeader, flags), 34);
        assert_eq!(offset_of!(EventHeader, exe_dev), 36);
        assert_eq!(offset_of!(EventHeader, exe_ino), 40);
        assert_eq!(offset_of!(EventHeader, comm), 48);
    }

    #[test]
    fn file_layout() {
        assert_eq!(size_of::<FileEvent>(), 96);
        assert_eq!(offset_of!(FileEvent, ino), 64);
        assert_eq!(offset_of!(FileEvent, dev), 72);
        assert_eq!(offset_of!(FileEvent, open_flags), 76);
        assert_eq!(offset_of!(FileEvent, mode), 80);
        assert_eq!(offset_of!(FileEvent, path_len), 84);
        assert_eq!(offset_of!(FileEvent, components), 86);
        assert_eq!(offset_of!(FileEvent, tail_len), 88);
        assert_eq!(offset_of!(FileEvent, reserved), 90);
    }

    #[test]
    fn network_layout() {
        assert_eq!(size_of::<NetworkEvent>(), 88);
        assert_eq!(offset_of!(NetworkEvent, address), 64);
        assert_eq!(offset_of!(NetworkEvent, port), 80);
        assert_eq!(offset_of!(NetworkEvent, protocol), 82);
        assert_eq!(offset_of!(NetworkEvent, family), 84);
        assert_eq!(offset_of!(NetworkEvent, socket_type), 86);
    }

    #[test]
    fn kinds_round_trip() {
        for raw in 0..=u8::MAX {
            match EventKind::from_raw(raw) {
                Some(kind) => assert_eq!(kind as u8, raw),
                None => assert!(raw == 0 || usize::from(raw) > EventKind::ALL.len()),
            }
        }
    }
}
