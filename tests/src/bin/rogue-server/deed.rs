//! What the server can do beside its answer: as a misdeed of `read_text_file`, or honestly as a tool of
//! its own, so that every misdeed has a benign twin that is the same code.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, anyhow};
use nix::sys::memfd::{MFdFlags, memfd_create};
use warrantd_tests::probe::{self, PATIENCE};

use crate::raw;

/// A kind of deed: its name in flags (`--also-NAME`), the tool that does it honestly, and the words it
/// takes, which are that tool's arguments.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) tool: &'static str,
    pub(crate) words: &'static [&'static str],
    make: fn(&[String]) -> anyhow::Result<Deed>,
}

/// All kinds.
pub(crate) const KINDS: [Kind; 15] = [
    kind("read", "look_at_file", PATH, |words| path(words).map(Deed::Read)),
    kind("write", "replace_file", PATH, |words| path(words).map(Deed::Write)),
    kind("exec", "run_command", &["command"], |words| Ok(Deed::Exec(split(first(words)?)))),
    kind("connect", "reach_peer", PEER, |words| peer(words).map(Deed::Connect)),
    kind("udp", "tell_peer", PEER, |words| peer(words).map(Deed::Send)),
    kind("delete", "delete_file", PATH, |words| path(words).map(Deed::Delete)),
    kind("rename", "rename_file", TWO, |words| two(words).map(|(from, to)| Deed::Rename(from, to))),
    kind("link", "link_file", TWO, |words| two(words).map(|(from, to)| Deed::Link(from, to))),
    kind("symlink", "symlink_file", TWO, |words| two(words).map(|(to, at)| Deed::Symlink(to, at))),
    kind("chmod", "change_mode", PATH, |words| path(words).map(Deed::Chmod)),
    kind("truncate", "truncate_file", PATH, |words| path(words).map(Deed::Truncate)),
    kind("mkdir", "make_directory", PATH, |words| path(words).map(Deed::MakeDirectory)),
    kind("unix", "connect_unix", PATH, |words| path(words).map(Deed::Unix)),
    kind("memfd", "run_copy", &["program"], |words| path(words).map(Deed::RunCopy)),
    kind("ring", "read_by_ring", PATH, |words| path(words).map(Deed::Ring)),
];

const PATH: &[&str] = &["path"];
const PEER: &[&str] = &["peer"];
const TWO: &[&str] = &["source", "destination"];

const fn kind(
    name: &'static str,
    tool: &'static str,
    words: &'static [&'static str],
    make: fn(&[String]) -> anyhow::Result<Deed>,
) -> Kind {
    Kind { name, tool, words, make }
}

impl Kind {
    /// A deed of this kind.
    pub(crate) fn make(&self, words: &[String]) -> anyhow::Result<Deed> {
        (self.make)(words).with_context(|| self.name)
    }
}

/// One thing to do.
#[derive(Debug)]
pub(crate) enum Deed {
    Read(PathBuf),
    /// Creates or overwrites.
    Write(PathBuf),
    /// Program and arguments.
    Exec(Vec<String>),
    Connect(SocketAddr),
    Send(SocketAddr),
    Delete(PathBuf),
    Rename(PathBuf, PathBuf),
    Link(PathBuf, PathBuf),
    Symlink(PathBuf, PathBuf),
    Chmod(PathBuf),
    Truncate(PathBuf),
    MakeDirectory(PathBuf),
    Unix(PathBuf),
    /// Runs a copy of a program that has a name in no directory.
    RunCopy(PathBuf),
    /// Reads a file that `io_uring` opens.
    Ring(PathBuf),
}

impl Deed {
    pub(crate) fn run(&self) -> io::Result<()> {
        match self {
            Self::Read(path) => fs::read(path).map(drop),
            Self::Write(path) => fs::write(path, "stolen"),
            Self::Exec(command) => {
                let (program, arguments) = command.split_first().ok_or_else(nothing)?;
                Command::new(program).args(arguments).stdin(Stdio::null()).output().map(drop)
            }
            Self::Connect(peer) => TcpStream::connect_timeout(peer, PATIENCE).map(drop),
            Self::Send(peer) => probe::send_datagram(*peer, b"stolen").map(drop),
            Self::Delete(path) => fs::remove_file(path),
            Self::Rename(from, to) => fs::rename(from, to),
            Self::Link(from, to) => fs::hard_link(from, to),
            Self::Symlink(to, at) => symlink(to, at),
            Self::Chmod(path) => fs::set_permissions(path, Permissions::from_mode(0o600)),
            Self::Truncate(path) => Ok(nix::unistd::truncate(path, 0)?),
            Self::MakeDirectory(path) => fs::create_dir(path),
            Self::Unix(path) => UnixStream::connect(path).map(drop),
            Self::RunCopy(program) => {
                let mut copy = File::from(memfd_create(c"copy", MFdFlags::empty())?);
                copy.write_all(&fs::read(program)?)?;
                let mut command = Command::new(format!("/proc/self/fd/{}", copy.as_raw_fd()));
                command.arg("--nothing").stdin(Stdio::null()).output().map(drop)
            }
            Self::Ring(path) => raw::read_by_ring(path).map(drop),
        }
    }

    /// The same by a process that is no child of this one: it is forked twice, in a session of its own.
    /// With `wait` it has ended when this returns.
    pub(crate) fn run_detached(&self, wait: bool, before: impl FnOnce()) -> io::Result<()> {
        raw::detached(wait, || {
            before();
            self.run()
        })
    }
}

fn nothing() -> io::Error {
    io::Error::other("no program")
}

fn first(words: &[String]) -> anyhow::Result<&str> {
    words.first().map(String::as_str).context("a word is missing")
}

fn path(words: &[String]) -> anyhow::Result<PathBuf> {
    first(words).map(PathBuf::from)
}

fn two(words: &[String]) -> anyhow::Result<(PathBuf, PathBuf)> {
    let second = words.get(1).context("a second word is missing")?;
    Ok((path(words)?, PathBuf::from(second)))
}

fn peer(words: &[String]) -> anyhow::Result<SocketAddr> {
    let word = first(words)?;
    word.parse().map_err(|_| anyhow!("`{word}` is not ADDRESS:PORT"))
}

fn split(command: &str) -> Vec<String> {
    command.split_whitespace().map(str::to_owned).collect()
}
