//! What actors can do.
//!
//! Tests are not part of the library, whose rule on unsafe code they keep in spirit: only this file has any,
//! for system calls that no library wraps.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::Duration;

use nix::fcntl::{OFlag, open as nix_open, openat};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::stat::{Mode, mkdirat};
use warrantd::kernel::Kernel;
use warrantd::policy::network::Table;

use crate::{actor, support};

pub(crate) fn read_many(path: &str, times: u32) -> io::Result<()> {
    let path = CString::new(path)?;
    for _ in 0..times {
        nix_open(path.as_c_str(), OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?;
    }
    Ok(())
}

/// The old call, which libraries no longer use.
pub(crate) fn open(path: &str, flags: i32) -> io::Result<()> {
    let path = CString::new(path)?;
    // SAFETY: the path is a C string.
    own(unsafe { libc::syscall(libc::SYS_open, path.as_ptr(), flags, 0o644) }).map(drop)
}

pub(crate) fn openat2(path: &str, flags: u64) -> io::Result<()> {
    let path = CString::new(path)?;
    let how = [flags, if flags & 0o100 == 0 { 0 } else { 0o644 }, 0];
    let size = size_of_val(&how);
    // SAFETY: the path is a C string and `how` is a struct open_how of the size given.
    let result = unsafe {
        libc::syscall(libc::SYS_openat2, libc::AT_FDCWD, path.as_ptr(), how.as_ptr(), size)
    };
    own(result).map(drop)
}

pub(crate) fn creat(path: &str) -> io::Result<()> {
    let path = CString::new(path)?;
    // SAFETY: the path is a C string.
    own(unsafe { libc::syscall(libc::SYS_creat, path.as_ptr(), 0o644) }).map(drop)
}

/// Makes directories of this name inside each other, and a file at the bottom, without ever using a path
/// that is too long for the kernel.
pub(crate) fn descend(path: &str, name: &str, depth: u32) -> io::Result<()> {
    let directory = OFlag::O_DIRECTORY | OFlag::O_PATH;
    let mut here = nix_open(path, directory, Mode::empty())?;
    for _ in 0..depth {
        mkdirat(&here, name, Mode::S_IRWXU)?;
        here = openat(&here, name, directory, Mode::empty())?;
    }
    openat(&here, "bottom", OFlag::O_CREAT | OFlag::O_WRONLY, Mode::S_IRUSR)?;
    Ok(())
}

pub(crate) fn reopen_deleted(path: &str) -> io::Result<()> {
    let file = File::create_new(path)?;
    fs::remove_file(path)?;
    File::open(format!("/proc/self/fd/{}", file.as_raw_fd())).map(drop)
}

pub(crate) fn reopen_memfd() -> io::Result<()> {
    let file = memfd_create(c"/etc/passwd", MFdFlags::empty())?;
    File::open(format!("/proc/self/fd/{}", file.as_raw_fd())).map(drop)
}

/// Runs a copy of a program that has no name in any directory.
pub(crate) fn run_memfd(program: &str) -> io::Result<()> {
    let mut copy = File::from(memfd_create(c"copy", MFdFlags::empty())?);
    copy.write_all(&fs::read(program)?)?;
    let status = Command::new(format!("/proc/self/fd/{}", copy.as_raw_fd())).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(status.to_string())) }
}

pub(crate) fn tcp(peer: &str) -> io::Result<()> {
    TcpStream::connect_timeout(&address(peer), Duration::from_secs(5)).map(drop)
}

/// Connects by sending (`MSG_FASTOPEN`), never calling `connect`.
pub(crate) fn tcp_fast_open(peer: &str) -> io::Result<()> {
    let socket = socket(libc::AF_INET, libc::SOCK_STREAM, 0)?;
    let SocketAddr::V4(peer) = address(peer) else { return Err(io::Error::other("IPv4 only")) };
    let name = nix::sys::socket::SockaddrIn::from(peer);
    let flags = nix::sys::socket::MsgFlags::from_bits_retain(libc::MSG_FASTOPEN);
    nix::sys::socket::sendto(socket.as_raw_fd(), b"x", &name, flags)?;
    Ok(())
}

pub(crate) fn mptcp(peer: &str) -> io::Result<()> {
    let socket = socket(libc::AF_INET, libc::SOCK_STREAM, libc::IPPROTO_MPTCP)?;
    let SocketAddr::V4(peer) = address(peer) else { return Err(io::Error::other("IPv4 only")) };
    nix::sys::socket::connect(socket.as_raw_fd(), &nix::sys::socket::SockaddrIn::from(peer))?;
    Ok(())
}

pub(crate) fn udp(peer: &str) -> io::Result<()> {
    UdpSocket::bind(any(peer))?.send_to(b"x", address(peer)).map(drop)
}

pub(crate) fn udp_connected(peer: &str) -> io::Result<()> {
    let socket = UdpSocket::bind(any(peer))?;
    socket.connect(address(peer))?;
    socket.send(b"x").map(drop)
}

/// Connects and sends, waits for a word on standard input, and sends again.
pub(crate) fn udp_twice(peer: &str) -> io::Result<()> {
    let socket = UdpSocket::bind(any(peer))?;
    socket.connect(address(peer))?;
    socket.send(b"x")?;
    println!("sent");
    io::stdout().flush()?;
    io::stdin().read_exact(&mut [0])?;
    socket.send(b"x").map(drop)
}

pub(crate) fn socket(family: i32, kind: i32, protocol: i32) -> io::Result<OwnedFd> {
    // SAFETY: takes numbers only.
    own(i64::from(unsafe { libc::socket(family, kind, protocol) }))
}

pub(crate) fn io_uring() -> io::Result<()> {
    let parameters = [0u8; 120];
    // SAFETY: struct io_uring_params has 120 bytes.
    own(unsafe { libc::syscall(libc::SYS_io_uring_setup, 1, parameters.as_ptr()) }).map(drop)
}

pub(crate) fn user_namespace() -> io::Result<()> {
    Ok(nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWUSER)?)
}

pub(crate) fn trace_parent() -> io::Result<()> {
    Ok(nix::sys::ptrace::attach(nix::unistd::getppid())?)
}

pub(crate) fn become_root() -> io::Result<()> {
    Ok(nix::unistd::setuid(nix::unistd::Uid::from_raw(0))?)
}

/// What is open, by number, without the descriptor that lists it.
pub(crate) fn descriptors() -> String {
    let mut numbers: Vec<String> = fs::read_dir("/proc/self/fd")
        .expect("/proc is there")
        .flatten()
        .filter(|entry| {
            fs::read_link(entry.path()).is_ok_and(|target| !target.starts_with("/proc"))
        })
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    numbers.sort();
    numbers.join(" ")
}

/// What the kernel says of this process.
pub(crate) fn status() -> String {
    let status = fs::read_to_string("/proc/self/status").expect("/proc is there");
    let session = nix::unistd::getsid(None).expect("there is a session");
    let (_, files) = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE)
        .expect("limits can be read");
    let environment: Vec<String> =
        std::env::vars().map(|(key, value)| format!("{key}={value}")).collect();
    format!(
        "{status}Leader:\t{}\nFiles:\t{files}\nEnvironment:\t{}\nDirectory:\t{}",
        session == nix::unistd::getpid(),
        environment.join(","),
        std::env::current_dir().expect("there is a directory").display(),
    )
}

/// A warrantd of its own, with a server that lingers; runs until it is killed.
pub(crate) fn run_instance(name: &str, log: &str, peer: &str) {
    let kernel = Kernel::start(&support::options(name)).expect("a second instance starts");
    let session = kernel.open_session("server", &Table::default()).expect("a session opens");
    let _runtime = support::runtime().enter();
    let child = session.spawn(&support::spec(actor::command(&["linger", log, peer])));
    let child = child.expect("a server starts");
    println!("{}", child.id().expect("the server has a pid"));
    let _ = io::stdout().flush();
    std::thread::sleep(Duration::from_secs(60));
}

/// A server whose own child insists.
pub(crate) fn linger(log: &str, peer: &str) {
    let mut command = Command::new("/proc/self/exe");
    let child = command.args([actor::MARK, "insist", log, peer]).process_group(0).spawn();
    // Ends when the child does, or when its own end comes first.
    let _ = child.expect("a child starts").wait();
}

/// Tries the peer again and again, and notes each outcome.
pub(crate) fn insist(log: &str, peer: &str) {
    for _ in 0..3000 {
        let mut file = fs::OpenOptions::new().append(true).open(log).expect("the log is there");
        let line = format!("{} {}\n", std::process::id(), actor::outcome(tcp(peer)));
        file.write_all(line.as_bytes()).expect("the log can be written");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address and port")
}

/// The wildcard of the peer's family: mapped addresses go through IPv6 sockets.
fn any(peer: &str) -> SocketAddr {
    address(if address(peer).is_ipv4() { "0.0.0.0:0" } else { "[::]:0" })
}

fn own(result: libc::c_long) -> io::Result<OwnedFd> {
    match i32::try_from(result) {
        // SAFETY: the call that returned it made it, and nobody else knows it.
        Ok(descriptor) if descriptor >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(descriptor) }),
        _ => Err(io::Error::last_os_error()),
    }
}
