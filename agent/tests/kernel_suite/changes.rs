//! What actors can do to files and unix sockets beside opening them.
//!
//! Unsafe code as in `deeds.rs`: for system calls that no library wraps.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, IoSliceMut, Read as _};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, chown, symlink};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::process::Command;
use std::sync::Mutex;
use std::thread;

use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use nix::sys::stat::{Mode, SFlag, mknod};

/// Does what the words say; `None` when they name nothing of this file.
pub(crate) fn deed(words: &[&str]) -> Option<io::Result<()>> {
    Some(match *words {
        ["mknod", path] => mknod(path, SFlag::S_IFREG, Mode::S_IRUSR, 0).map_err(Into::into),
        ["fifo", path] => nix::unistd::mkfifo(path, Mode::S_IRUSR).map_err(Into::into),
        ["truncate", path] => nix::unistd::truncate(path, 0).map_err(Into::into),
        ["unlink", path] => fs::remove_file(path),
        ["rmdir", path] => fs::remove_dir(path),
        ["mkdir", path] => fs::create_dir(path),
        ["rename", from, to] => fs::rename(from, to),
        ["link", old, new] => fs::hard_link(old, new),
        ["symlink", old, new] => symlink(old, new),
        ["chmod", path] => fs::set_permissions(path, Permissions::from_mode(0o600)),
        ["chown", path] => chown(path, None, Some(nix::unistd::getgid().as_raw())),
        ["map", path] => map(path),
        ["map-memory"] => map_memory(),
        ["reopen-path", path] => reopen_path(path),
        ["race", secret, decoy] => race(secret, decoy),
        ["load", loader, program] => ends_well(Command::new(loader).arg(program)),
        ["run", program] => ends_well(&mut Command::new(program)),
        ["unix", path] => UnixStream::connect(path).map(drop),
        ["unix-datagram", path] => {
            UnixDatagram::unbound().and_then(|socket| socket.send_to(b"x", path)).map(drop)
        }
        ["unix-abstract", name] => abstract_socket(name),
        ["receive", path] => receive(path),
        _ => return None,
    })
}

fn ends_well(command: &mut Command) -> io::Result<()> {
    let status = command.status()?;
    // A loader that is refused a file says so and ends with 127.
    if status.success() { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::EPERM)) }
}

/// Maps the file as code.
fn map(path: &str) -> io::Result<()> {
    let file = File::open(path)?;
    let (protection, flags) = (libc::PROT_READ | libc::PROT_EXEC, libc::MAP_PRIVATE);
    // SAFETY: a new mapping anywhere; nothing is run in it.
    let place =
        unsafe { libc::mmap(std::ptr::null_mut(), 4096, protection, flags, file.as_raw_fd(), 0) };
    if place == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Makes code of memory that shows no file, in both ways there are.
fn map_memory() -> io::Result<()> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    for protection in [libc::PROT_READ | libc::PROT_EXEC, libc::PROT_READ] {
        // SAFETY: a new mapping anywhere; nothing is run in it.
        let place = unsafe { libc::mmap(std::ptr::null_mut(), 4096, protection, flags, -1, 0) };
        if place == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the mapping is ours, and nobody uses it.
        if unsafe { libc::mprotect(place, 4096, libc::PROT_READ | libc::PROT_EXEC) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Gets at the content through a descriptor that was good for nothing but its name.
fn reopen_path(path: &str) -> io::Result<()> {
    let handle = OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(path)?;
    File::open(format!("/proc/self/fd/{}", handle.as_raw_fd())).map(drop)
}

/// Opens a name that another thread writes to and fro between two files; succeeds when the secret has been
/// opened at least once.
fn race(secret: &str, decoy: &str) -> io::Result<()> {
    let buffer = Mutex::new(format!("{decoy}\0").into_bytes());
    let place = buffer.lock().map_or(0, |mut bytes| {
        bytes.resize(256, 0);
        bytes.as_mut_ptr() as usize
    });
    let names = [format!("{secret}\0"), format!("{decoy}\0")];
    let ended = std::sync::atomic::AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !ended.load(std::sync::atomic::Ordering::Relaxed) {
                for name in &names {
                    // SAFETY: both names are shorter than the buffer, which outlives the scope. That the
                    // other thread reads it meanwhile is what is tried here.
                    unsafe { std::ptr::copy(name.as_ptr(), place as *mut u8, name.len()) };
                }
            }
        });
        let mut refused = io::Error::other("the secret was never opened");
        let mut opened = false;
        for _ in 0..20_000 {
            // SAFETY: the buffer holds a terminated name at any moment, since it ends in zeros.
            let file = unsafe { libc::open(place as *const libc::c_char, libc::O_RDONLY) };
            if file < 0 {
                let error = io::Error::last_os_error();
                if error.raw_os_error() == Some(libc::EPERM) {
                    refused = error;
                }
                continue;
            }
            // SAFETY: the call returned it, and nobody else knows it.
            let mut file = File::from(unsafe { OwnedFd::from_raw_fd(file) });
            let mut content = String::new();
            if file.read_to_string(&mut content).is_ok() && content.contains("secret") {
                opened = true;
                break;
            }
        }
        ended.store(true, std::sync::atomic::Ordering::Relaxed);
        if opened { Ok(()) } else { Err(refused) }
    })
}

fn abstract_socket(name: &str) -> io::Result<()> {
    use std::os::linux::net::SocketAddrExt as _;
    let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
    UnixStream::connect_addr(&address).map(drop)
}

/// Takes a descriptor from whoever listens, and reads from it.
fn receive(path: &str) -> io::Result<()> {
    let stream = UnixStream::connect(path)?;
    let mut byte = [0];
    let mut parts = [IoSliceMut::new(&mut byte)];
    let mut space = nix::cmsg_space!(std::os::fd::RawFd);
    let message =
        recvmsg::<()>(stream.as_raw_fd(), &mut parts, Some(&mut space), MsgFlags::empty())?;
    // The kernel drops what a security module refuses, and says that something was cut.
    let parts = message.cmsgs().map_err(|_| io::Error::from_raw_os_error(libc::EPERM))?;
    for part in parts {
        if let ControlMessageOwned::ScmRights(descriptors) = part
            && let [descriptor] = descriptors.as_slice()
        {
            // SAFETY: it has just been received.
            let mut file = File::from(unsafe { OwnedFd::from_raw_fd(*descriptor) });
            return file.read_to_end(&mut Vec::new()).map(drop);
        }
    }
    Err(io::Error::from_raw_os_error(libc::EPERM))
}
