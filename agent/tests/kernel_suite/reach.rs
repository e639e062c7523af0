//! What actors can do to other processes, to their own place, and to get themselves called.
//!
//! Unsafe code as in `deeds.rs`: for system calls that no library wraps.

use std::io::{self, Write as _};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use nix::mount::MsFlags;

/// Does what the words say; `None` when they name nothing of this file.
pub(crate) fn deed(words: &[&str]) -> Option<io::Result<()>> {
    Some(match *words {
        ["bind", local] => TcpListener::bind(local).map(drop),
        ["listen"] => listen("127.0.0.1:0"),
        ["listen", local] => listen(local),
        ["mount", source, target] => {
            let bind = MsFlags::MS_BIND;
            nix::mount::mount(Some(source), target, None::<&str>, bind, None::<&str>)
                .map_err(Into::into)
        }
        ["open-tree", path] => open_tree(path),
        ["read-parent"] => read_parent(),
        ["take-descriptor"] => take_descriptor(),
        ["join-cgroup", procs] => std::fs::write(procs, "0"),
        ["handle", path] => handle(path),
        ["ia32"] => ia32(),
        _ => return None,
    })
}

/// Listens, says where, and waits three seconds for somebody to come in.
fn listen(local: &str) -> io::Result<()> {
    let listener = TcpListener::bind(local)?;
    println!("{}", listener.local_addr()?);
    io::stdout().flush()?;
    listener.set_nonblocking(true)?;
    let until = Instant::now() + Duration::from_secs(3);
    while Instant::now() < until {
        match listener.accept() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                std::thread::sleep(Duration::from_millis(5));
            }
            other => return other.map(drop),
        }
    }
    Err(io::Error::other("nobody came in"))
}

/// The new way to take hold of a mount.
fn open_tree(path: &str) -> io::Result<()> {
    let path = std::ffi::CString::new(path)?;
    // SAFETY: the path is a C string. The flag is OPEN_TREE_CLONE.
    let result = unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), 1) };
    done(result)
}

/// Reads a byte of the memory of the process that started this one.
fn read_parent() -> io::Result<()> {
    let mut byte = 0u8;
    let local = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
    let remote = libc::iovec { iov_base: 0x1000 as *mut libc::c_void, iov_len: 1 };
    let parent = nix::unistd::getppid().as_raw();
    // SAFETY: one byte is written to a place that holds one.
    let result =
        unsafe { libc::process_vm_readv(parent, &raw const local, 1, &raw const remote, 1, 0) };
    done(i64::try_from(result).unwrap_or(-1))
}

/// Takes standard input of the process that started this one.
fn take_descriptor() -> io::Result<()> {
    let parent = nix::unistd::getppid().as_raw();
    // SAFETY: takes numbers only.
    let process = unsafe { libc::syscall(libc::SYS_pidfd_open, parent, 0) };
    done(process)?;
    // SAFETY: takes numbers only.
    done(unsafe { libc::syscall(libc::SYS_pidfd_getfd, process, 0, 0) })
}

/// Opens a file by its handle, which needs no path.
fn handle(path: &str) -> io::Result<()> {
    let path = std::ffi::CString::new(path)?;
    // struct file_handle with room for 128 bytes.
    let mut handle = [0u32; 34];
    handle[0] = 128;
    let mut mount = 0i32;
    // SAFETY: the handle has the room that it says, the path is a C string.
    done(unsafe {
        libc::syscall(
            libc::SYS_name_to_handle_at,
            libc::AT_FDCWD,
            path.as_ptr(),
            handle.as_mut_ptr(),
            &raw mut mount,
            0,
        )
    })?;
    // SAFETY: the handle is the one that was filled in.
    done(unsafe {
        libc::syscall(libc::SYS_open_by_handle_at, libc::AT_FDCWD, handle.as_ptr(), libc::O_RDONLY)
    })
}

/// Asks for the process id as a 32-bit program does; a filter that minds kills the process.
fn ia32() -> io::Result<()> {
    #[cfg(target_arch = "x86_64")]
    {
        let mut number: u32 = 20;
        // SAFETY: the call (getpid of the 32-bit table) takes no arguments and writes nothing.
        unsafe { std::arch::asm!("int 0x80", inout("eax") number, options(nostack)) };
        if number.cast_signed() > 0 {
            return Ok(());
        }
    }
    Err(io::Error::from_raw_os_error(libc::ENOSYS))
}

fn done(result: i64) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
