//! What runs, and what listens (proc(5)).

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Read;
use std::net::SocketAddr;
use std::path::PathBuf;

use nix::unistd::{Uid, User};

use crate::discover::{
    Entry, Listening, Mask, Process, Running, Socket, Transport, listening_tcp, listening_unix,
};

/// Longest command line that is read, in bytes.
const MAX_COMMAND: u64 = 64 << 10;

/// The processes that may be looked at.
#[derive(Debug, Default)]
pub(in crate::cli) struct Processes(BTreeMap<u32, Process>);

impl Processes {
    /// Looks at everything that runs, but for this process and threads of the kernel.
    pub(in crate::cli) fn read() -> Self {
        let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let others = pids.filter(|pid| *pid != std::process::id());
        Self(others.filter_map(|pid| Some((pid, process(pid)?))).collect())
    }

    pub(in crate::cli) fn all(&self) -> impl Iterator<Item = &Process> {
        self.0.values()
    }

    pub(super) fn get(&self, pid: u32) -> Option<&Process> {
        self.0.get(&pid)
    }

    /// The processes that run what an entry names. A script's interpreter comes before it.
    pub(super) fn of_entry(&self, entry: &Entry) -> Vec<u32> {
        let Transport::Stdio { command, .. } = &entry.transport else { return Vec::new() };
        let runs = |process: &&Process| {
            let words = &process.command;
            words == command || words.get(1..).is_some_and(|rest| rest == command.as_slice())
        };
        self.all().filter(runs).map(|process| process.pid).collect()
    }

    /// The sockets on which these processes listen.
    pub(super) fn listening(&self, pids: &BTreeSet<u32>, mask: &Mask) -> Vec<Listening> {
        let mut found: BTreeMap<String, Listening> = BTreeMap::new();
        for pid in pids {
            let inodes = sockets(*pid);
            if inodes.is_empty() {
                continue;
            }
            // As the process sees them: it may have a network namespace of its own.
            let net = |name: &str| {
                fs::read_to_string(format!("/proc/{pid}/net/{name}")).unwrap_or_default()
            };
            let tcp = [listening_tcp(&net("tcp")), listening_tcp(&net("tcp6"))].concat();
            let tcp = tcp.into_iter().filter(|socket| inodes.contains(&socket.inode));
            let tcp =
                tcp.map(|socket| (socket.address.to_string(), !socket.address.ip().is_loopback()));
            let unix = listening_unix(&net("unix")).into_iter();
            let unix = unix.filter(|socket| inodes.contains(&socket.inode));
            for (address, exposed) in tcp.chain(unix.map(|socket| (socket.address, false))) {
                let listening = found.entry(address.clone()).or_insert_with(|| Listening {
                    address,
                    pids: Vec::new(),
                    command: self.get(*pid).map_or_else(Vec::new, |p| mask.command(&p.command)),
                    answer: None,
                    exposed,
                });
                listening.pids.push(*pid);
            }
        }
        found.into_values().collect()
    }

    /// All listening TCP sockets of this network namespace, and who listens.
    pub(super) fn tcp(&self) -> Vec<(SocketAddr, Vec<u32>)> {
        let net =
            |name: &str| fs::read_to_string(format!("/proc/self/net/{name}")).unwrap_or_default();
        let all: Vec<Socket<SocketAddr>> =
            [listening_tcp(&net("tcp")), listening_tcp(&net("tcp6"))].concat();
        let mut holders: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
        for pid in self.0.keys() {
            for inode in sockets(*pid) {
                holders.entry(inode).or_default().push(*pid);
            }
        }
        let with_holders = |socket: Socket<SocketAddr>| {
            (socket.address, holders.get(&socket.inode).cloned().unwrap_or_default())
        };
        all.into_iter().map(with_holders).collect()
    }
}

/// What may be known of a process; nothing when it ends meanwhile.
fn process(pid: u32) -> Option<Process> {
    let dir = PathBuf::from(format!("/proc/{pid}"));
    let mut line = Vec::new();
    File::open(dir.join("cmdline")).ok()?.take(MAX_COMMAND).read_to_end(&mut line).ok()?;
    let line = line.strip_suffix(b"\0").unwrap_or(&line);
    if line.is_empty() {
        return None;
    }
    let words = line.split(|byte| *byte == 0);
    let command = words.map(|word| String::from_utf8_lossy(word).into_owned()).collect();
    let status = fs::read_to_string(dir.join("status")).ok()?;
    let number = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key))?;
        line.split_ascii_whitespace().next()?.parse().ok()
    };
    let cgroup = fs::read_to_string(dir.join("cgroup")).unwrap_or_default();
    let cgroup = cgroup.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or_default();
    let is_pipe = |descriptor: &str| {
        let target = fs::read_link(dir.join("fd").join(descriptor)).unwrap_or_default();
        let target = target.to_string_lossy();
        target.starts_with("pipe:") || target.starts_with("socket:")
    };
    Some(Process {
        pid,
        parent: number("PPid:")?,
        uid: number("Uid:")?,
        command,
        cgroup: cgroup.to_owned(),
        piped: is_pipe("0") && is_pipe("1"),
    })
}

/// The sockets that a process has open, by inode.
fn sockets(pid: u32) -> BTreeSet<u64> {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let inode = |descriptor: fs::DirEntry| {
        let target = fs::read_link(descriptor.path()).ok()?;
        target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
    };
    descriptors.filter_map(inode).collect()
}

/// A process as it may be shown.
pub(super) fn shown(process: &Process, why: String, mask: &Mask) -> Running {
    let name = User::from_uid(Uid::from_raw(process.uid)).ok().flatten().map(|user| user.name);
    Running {
        pid: process.pid,
        user: name.unwrap_or_else(|| process.uid.to_string()),
        command: mask.command(&process.command),
        why,
        behind_warrantd: process.cgroup.split('/').any(|part| part == "warrantd"),
    }
}
