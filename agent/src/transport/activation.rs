//! Sockets that the service manager opened and passed to the daemon (`sd_listen_fds(3)`).
//!
//! The configuration alone says where the daemon listens. Where a socket was passed that is bound to just
//! that path or address, it is taken instead of a new one, so what a socket unit sets holds: who may open it, a port
//! below 1024 without the capability for it, and clients that wait while the daemon is started anew. Passed
//! sockets belong to the service manager: they are never removed from the file system, and stay open for a
//! server that a reload takes away and another brings back.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use listenfd::ListenFd;
use nix::sys::socket::{getsockopt, sockopt};

/// Sockets are passed once to a process, whatever in it then uses them.
static PASSED: OnceLock<Vec<Passed>> = OnceLock::new();

/// Why a passed descriptor cannot be used.
#[derive(Debug, thiserror::Error)]
#[error(
    "the service manager passed `{name}`, which cannot be used: {why}. Sockets of warrantd are stream sockets \
     with Accept=no"
)]
pub struct ActivationError {
    /// Its name, `FileDescriptorName` of the socket unit.
    name: String,
    why: String,
}

#[derive(Debug)]
struct Passed {
    name: String,
    socket: Socket,
    used: AtomicBool,
}

#[derive(Debug)]
enum Socket {
    Unix(UnixListener, PathBuf),
    Tcp(TcpListener, SocketAddr),
}

/// Takes what was passed to this process. To be called once, before any thread is started: it removes the
/// variables that tell of it. Gives the number of sockets.
pub fn take() -> Result<usize, ActivationError> {
    let passed = receive()?;
    let count = passed.len();
    let _ = PASSED.set(passed); // A second call finds no variables and so nothing to set.
    Ok(count)
}

/// The passed socket that is bound to `path`.
pub(crate) fn unix(path: &Path) -> io::Result<Option<tokio::net::UnixListener>> {
    let found = passed().iter().find_map(|passed| match &passed.socket {
        Socket::Unix(listener, at) if is_same(at, path) => Some((passed, listener)),
        _ => None,
    });
    let Some((passed, listener)) = found else { return Ok(None) };
    let listener = tokio::net::UnixListener::from_std(listener.try_clone()?)?;
    passed.used.store(true, Ordering::Relaxed);
    Ok(Some(listener))
}

/// The passed socket that is bound to `address`.
pub(crate) fn tcp(address: SocketAddr) -> io::Result<Option<tokio::net::TcpListener>> {
    for passed in passed() {
        let Socket::Tcp(listener, at) = &passed.socket else { continue };
        if *at == address {
            let listener = tokio::net::TcpListener::from_std(listener.try_clone()?)?;
            passed.used.store(true, Ordering::Relaxed);
            return Ok(Some(listener));
        }
        // `ListenStream=443` is [::]:443, which takes connections to 0.0.0.0:443, too.
        if at.port() == address.port() && at.ip().is_unspecified() {
            return Err(io::Error::other(format!(
                "the service manager has opened {at} (`{}`), and both cannot be; name that address in the \
                 configuration, or {address} in the socket unit",
                passed.name
            )));
        }
    }
    Ok(None)
}

/// Removes the socket at `path` that nobody listens on any more, unless it is the service manager's. It may be
/// gone, and whoever made a new one there may keep it: errors are none.
pub(crate) fn remove(path: &Path) {
    let is_here =
        |passed: &Passed| matches!(&passed.socket, Socket::Unix(_, at) if is_same(at, path));
    if !passed().iter().any(is_here) {
        let _ = std::fs::remove_file(path);
    }
}

/// The sockets that nothing has been taken for, by name and place.
pub fn unused() -> Vec<String> {
    let unused = passed().iter().filter(|passed| !passed.used.load(Ordering::Relaxed));
    unused
        .map(|passed| match &passed.socket {
            Socket::Unix(_, path) => format!("{} ({})", passed.name, path.display()),
            Socket::Tcp(_, address) => format!("{} ({address})", passed.name),
        })
        .collect()
}

fn passed() -> &'static [Passed] {
    PASSED.get().map_or(&[], Vec::as_slice)
}

fn receive() -> Result<Vec<Passed>, ActivationError> {
    let own = std::process::id().to_string();
    // Without the variable that says whose they are, the numbers may be anybody's.
    if std::env::var("LISTEN_PID").ok().as_deref() != Some(&own) {
        return Ok(Vec::new());
    }
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':');
    let mut descriptors = ListenFd::from_env();
    let mut passed = Vec::new();
    for index in 0..descriptors.len() {
        let name = names.next().filter(|name| !name.is_empty()).unwrap_or("unknown").to_owned();
        let failed =
            |error: io::Error| ActivationError { name: name.clone(), why: error.to_string() };
        let socket = listener(&mut descriptors, index).map_err(failed)?;
        passed.push(Passed { name, socket, used: AtomicBool::new(false) });
    }
    Ok(passed)
}

/// The socket behind a descriptor, if it listens.
fn listener(descriptors: &mut ListenFd, index: usize) -> io::Result<Socket> {
    let listens = |yes: bool| {
        let refused = || io::Error::other("it does not listen");
        if yes { Ok(()) } else { Err(refused()) }
    };
    if let Ok(Some(listener)) = descriptors.take_unix_listener(index) {
        listens(getsockopt(&listener, sockopt::AcceptConn)?)?;
        listener.set_nonblocking(true)?;
        let path = listener.local_addr()?.as_pathname().map(Path::to_owned);
        let path = path.ok_or_else(|| io::Error::other("it has no path"))?;
        return Ok(Socket::Unix(listener, path));
    }
    match descriptors.take_tcp_listener(index)? {
        Some(listener) => {
            listens(getsockopt(&listener, sockopt::AcceptConn)?)?;
            listener.set_nonblocking(true)?;
            let address = listener.local_addr()?;
            Ok(Socket::Tcp(listener, address))
        }
        None => Err(io::Error::other("it was taken already")),
    }
}

/// Whether two paths are of one file, by whatever links.
fn is_same(one: &Path, other: &Path) -> bool {
    one == other
        || match (one.canonicalize(), other.canonicalize()) {
            (Ok(one), Ok(other)) => one == other,
            _ => false,
        }
}
