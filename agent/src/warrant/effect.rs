//! Effects: what the kernel saw a server's process do.

use std::fmt;
use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::policy::network::Protocol;

/// One thing that a process of a server did or tried to do, as the kernel saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Effect {
    /// What was done.
    pub kind: EffectKind,
    /// Whether the kernel let it happen.
    pub outcome: Outcome,
    /// To what it was done.
    #[serde(flatten)]
    pub target: Target,
    /// Arguments of a program that was started, the first being its own name; cut after some 500
    /// bytes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub argv: Vec<String>,
    /// There were more arguments, or they could not be read.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub argv_cut: bool,
    /// Who did it.
    #[serde(flatten)]
    pub process: Process,
    /// Position in the session's stream of kernel events, from 1. Two effects of one event
    /// (an open for reading and writing) share it.
    pub seq: u64,
    /// Nanoseconds since boot, suspend included (`CLOCK_BOOTTIME`).
    pub boot_ns: u64,
}

/// In one line for people: `file_read /etc/passwd by /usr/bin/node[71]`.
impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, target, process, .. } = self;
        let denied = if self.outcome == Outcome::Denied { " (denied by the kernel)" } else { "" };
        match target {
            Target::File(file) => write!(f, "{kind} {}", file.path.escape_debug())?,
            Target::Peer(peer) if *kind == EffectKind::Socket => {
                write!(f, "{kind} {}", peer.protocol)?;
            }
            Target::Peer(peer) => {
                write!(f, "{kind} {} {}", peer.protocol, peer.peer)?;
                if let [first, ..] = peer.names.as_slice() {
                    write!(f, " ({first})")?;
                }
            }
        }
        write!(f, "{denied} by {}[{}]", process.exe.escape_debug(), process.pid)
    }
}

impl fmt::Display for EffectKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FileRead => "file_read",
            Self::FileWrite => "file_write",
            Self::FileCreate => "file_create",
            Self::FileDelete => "file_delete",
            Self::FileRename => "file_rename",
            Self::FileLink => "file_link",
            Self::FileAttributes => "file_attributes",
            Self::FileMap => "file_map",
            Self::Mount => "mount",
            Self::Exec => "exec",
            Self::Connect => "connect",
            Self::Send => "send",
            Self::Packet => "packet",
            Self::LatePacket => "late_packet",
            Self::Bind => "bind",
            Self::Socket => "socket",
            Self::ConnectUnix => "connect_unix",
            Self::LeaveCgroup => "leave_cgroup",
        })
    }
}

/// The kinds of effect. The names are those of policies and audit records.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum EffectKind {
    /// A file or directory opened for reading.
    FileRead,
    /// A file that existed, opened for writing or cut.
    FileWrite,
    /// A file, directory, link or device made.
    FileCreate,
    /// A file or directory removed.
    FileDelete,
    /// A name given up or taken by a rename.
    FileRename,
    /// A file that got another name, which is a create of its own.
    FileLink,
    /// Permissions or owner changed.
    FileAttributes,
    /// A file mapped as code.
    FileMap,
    /// Something mounted over a directory.
    Mount,
    /// A program started; the target is its executable.
    Exec,
    /// A socket connected to a peer.
    Connect,
    /// A datagram sent to a peer without a connection.
    Send,
    /// A packet of any protocol that left although no connect or send hook had allowed it.
    Packet,
    /// Data on a connection whose peer was open to the call that began it, and is closed now; always
    /// denied.
    LatePacket,
    /// A socket bound to a local port.
    Bind,
    /// A socket of a kind that no policy can allow.
    Socket,
    /// A unix socket connected or written to; an abstract one is named with `@`.
    ConnectUnix,
    /// A process moved out of the session's cgroup: what it does from then on is not seen.
    LeaveCgroup,
}

/// Whether the kernel let an effect happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It happened.
    Allowed,
    /// It was tried and refused.
    Denied,
}

/// To what an effect was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Target {
    /// A file, directory or program.
    File(FileTarget),
    /// A network address.
    Peer(Peer),
}

/// A file as the kernel identifies it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileTarget {
    /// Absolute path in the mount namespace of the process, resolved from kernel objects. Bytes
    /// that are not UTF-8 appear as U+FFFD. An object without a path (memfd, pipe) has a name
    /// that does not begin with `/`.
    pub path: String,
    /// Device number as `st_dev` reports it.
    pub dev: u64,
    /// Inode number.
    pub ino: u64,
    /// The path could not be read whole. Such a path is never within a warrant.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
}

/// The far end of a network effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Peer {
    /// Address and port; IPv4-mapped IPv6 addresses are reported as IPv4. Port 0 where the
    /// protocol has none.
    pub peer: SocketAddr,
    /// Transport protocol.
    pub protocol: Protocol,
    /// Host names for which the session was told this address. Which of them the server meant, the
    /// kernel does not know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
}

/// The process that caused an effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Process {
    /// Process id (thread group id) in the initial pid namespace.
    pub pid: u32,
    /// Thread id.
    pub tid: u32,
    /// User id the kernel saw.
    pub uid: u32,
    /// Executable of the process, or its short name in brackets when the path is not known.
    pub exe: String,
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An effect on a file by process 7.
    pub(crate) fn file(kind: EffectKind, path: &str) -> Effect {
        let target = FileTarget { path: path.to_owned(), dev: 1, ino: 2, truncated: false };
        effect(kind, Target::File(target))
    }

    /// A network effect by process 7.
    pub(crate) fn peer(kind: EffectKind, address: &str) -> Effect {
        let peer = address.parse().expect("address");
        effect(kind, Target::Peer(Peer { peer, protocol: Protocol::Tcp, names: Vec::new() }))
    }

    fn effect(kind: EffectKind, target: Target) -> Effect {
        let process = Process { pid: 7, tid: 7, uid: 1000, exe: "/usr/bin/server".to_owned() };
        Effect {
            kind,
            outcome: Outcome::Allowed,
            target,
            argv: Vec::new(),
            argv_cut: false,
            process,
            seq: 1,
            boot_ns: 1,
        }
    }

    #[test]
    fn effects_are_flat_objects_in_the_log() {
        let text = serde_json::to_string(&peer(EffectKind::Connect, "192.0.2.1:443"));
        let expected = concat!(
            r#"{"kind":"connect","outcome":"allowed","peer":"192.0.2.1:443","protocol":"tcp","#,
            r#""pid":7,"tid":7,"uid":1000,"exe":"/usr/bin/server","seq":1,"boot_ns":1}"#
        );
        assert_eq!(text.ok().as_deref(), Some(expected));
    }
}
