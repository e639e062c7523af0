//! Records of the event ring: a header, then what the kind of event adds.

/// How many bytes of a path, lengths included, one event can carry.
pub const PATH_BYTES: usize = 4096;

/// How many steps (components and mount crossings) the path walk takes before it gives up.
pub const PATH_COMPONENTS: usize = 96;

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
}

/// What an event reports; the discriminants are those of [`EventHeader::kind`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum EventKind {
    /// A file was opened: [`FileEvent`].
    Open = 1,
    /// A program was started: [`FileEvent`].
    Exec = 2,
    /// `connect` was called: [`NetworkEvent`].
    Connect = 3,
    /// A datagram was sent to an address of its own: [`NetworkEvent`].
    Send = 4,
    /// A packet left that no connect or send hook had judged: [`NetworkEvent`].
    Packet = 5,
    /// A socket of a refused kind was asked for: [`NetworkEvent`] without an address.
    Socket = 6,
}

impl EventKind {
    /// The kind with this discriminant, if there is one.
    #[must_use]
    pub const fn from_raw(raw: u8) -> Option<Self> {
        Some(match raw {
            1 => Self::Open,
            2 => Self::Exec,
            3 => Self::Connect,
            4 => Self::Send,
            5 => Self::Packet,
            6 => Self::Socket,
            _ => return None,
        })
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
    /// Process id of the parent.
    pub ppid: u32,
    /// User id in the initial user namespace.
    pub uid: u32,
    /// An [`EventKind`].
    pub kind: u8,
    /// An [`Outcome`].
    pub outcome: u8,
    /// Bits of [`flags`].
    pub flags: u16,
    /// Inode number of the executable of the process, 0 when unknown.
    pub exe_ino: u64,
    /// Device of the executable in the kernel's encoding: major shifted left by 20, or minor.
    pub exe_dev: u32,
    /// Zero.
    pub reserved: u32,
    /// Short name of the thread, padded with zeros.
    pub comm: [u8; 16],
}

/// An open or exec. The path follows the struct: [`FileEvent::components`] components from the leaf to
/// the root, each a little-endian 16-bit length and as many bytes.
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
}

/// A connection, datagram, packet or refused socket.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
pub struct NetworkEvent {
    /// What every event has.
    pub header: EventHeader,
    /// The destination in network byte order; IPv4 as `::ffff:a.b.c.d`.
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
            ppid: self.u32()?,
            uid: self.u32()?,
            kind: self.u8()?,
            outcome: self.u8()?,
            flags: self.u16()?,
            exe_ino: self.u64()?,
            exe_dev: self.u32()?,
            reserved: self.u32()?,
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
    /// Reads the event, and returns the path bytes that follow it; `None` when the record is too short.
    #[must_use]
    pub fn parse(record: &[u8]) -> Option<(Self, &[u8])> {
        let mut reader = Reader(record);
        let event = Self {
            header: reader.header()?,
            ino: reader.u64()?,
            dev: reader.u32()?,
            open_flags: reader.u32()?,
            mode: reader.u32()?,
            path_len: reader.u16()?,
            components: reader.u16()?,
        };
        let path = reader.0.get(..usize::from(event.path_len))?;
        Some((event, path))
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
        assert_eq!(size_of::<EventHeader>(), 72);
        assert_eq!(align_of::<EventHeader>(), 8);
        assert_eq!(offset_of!(EventHeader, cgroup_id), 8);
        assert_eq!(offset_of!(EventHeader, generation), 16);
        assert_eq!(offset_of!(EventHeader, pid), 20);
        assert_eq!(offset_of!(EventHeader, tid), 24);
        assert_eq!(offset_of!(EventHeader, ppid), 28);
        assert_eq!(offset_of!(EventHeader, uid), 32);
        assert_eq!(offset_of!(EventHeader, kind), 36);
        assert_eq!(offset_of!(EventHeader, outcome), 37);
        assert_eq!(offset_of!(EventHeader, flags), 38);
        assert_eq!(offset_of!(EventHeader, exe_ino), 40);
        assert_eq!(offset_of!(EventHeader, exe_dev), 48);
        assert_eq!(offset_of!(EventHeader, reserved), 52);
        assert_eq!(offset_of!(EventHeader, comm), 56);
    }

    #[test]
    fn file_layout() {
        assert_eq!(size_of::<FileEvent>(), 96);
        assert_eq!(offset_of!(FileEvent, ino), 72);
        assert_eq!(offset_of!(FileEvent, dev), 80);
        assert_eq!(offset_of!(FileEvent, open_flags), 84);
        assert_eq!(offset_of!(FileEvent, mode), 88);
        assert_eq!(offset_of!(FileEvent, path_len), 92);
        assert_eq!(offset_of!(FileEvent, components), 94);
    }

    #[test]
    fn network_layout() {
        assert_eq!(size_of::<NetworkEvent>(), 96);
        assert_eq!(offset_of!(NetworkEvent, address), 72);
        assert_eq!(offset_of!(NetworkEvent, port), 88);
        assert_eq!(offset_of!(NetworkEvent, protocol), 90);
        assert_eq!(offset_of!(NetworkEvent, family), 92);
        assert_eq!(offset_of!(NetworkEvent, socket_type), 94);
    }

    #[test]
    fn kinds_round_trip() {
        for raw in 0..=u8::MAX {
            match EventKind::from_raw(raw) {
                Some(kind) => assert_eq!(kind as u8, raw),
                None => assert!(raw == 0 || raw > 6),
            }
        }
    }
}
