//! Receivers of datagrams: syslog over UDP or a Unix socket, and the journal.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use tokio::net::{UdpSocket, UnixDatagram};
use tokio::time::timeout;
use url::{Host, Url};

use super::batch::Batch;
use super::error::Failure;
use super::sink::Delivered;
use super::stream::host;
use crate::audit::format::{Formatted, Origin};

/// How long a receiver may leave its queue full.
const TAKEN_WITHIN: Duration = Duration::from_secs(30);

/// A receiver of datagrams.
#[derive(Debug)]
pub(super) struct Datagrams {
    place: Place,
    message: fn(&Formatted, &Origin) -> Vec<u8>,
    origin: Origin,
    socket: Option<Socket>,
}

#[derive(Debug)]
enum Place {
    Udp(Host, u16),
    Unix(PathBuf),
}

#[derive(Debug)]
enum Socket {
    Udp(UdpSocket),
    Unix(UnixDatagram),
}

impl Datagrams {
    pub(super) fn new(
        url: &Url,
        message: fn(&Formatted, &Origin) -> Vec<u8>,
        origin: &Origin,
    ) -> Self {
        let place = match host(url) {
            Some(host) => Place::Udp(host, url.port().unwrap_or(514)),
            None => Place::Unix(url.path().into()),
        };
        Self { place, message, origin: origin.clone(), socket: None }
    }

    pub(super) fn reset(&mut self) {
        self.socket = None;
    }

    /// Hands each event to this kernel.
    pub(super) async fn deliver(&mut self, batch: &Batch) -> Result<Delivered, Failure> {
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => self.connect().await.map_err(|error| Failure::unreachable(&error))?,
        };
        let (mut rejected, mut why) = (0, String::new());
        for event in &batch.events {
            let message = (self.message)(event, &self.origin);
            match timeout(TAKEN_WITHIN, socket.send(&message)).await {
                Err(_) => return Err(Failure::Slow("take a datagram")),
                Ok(Ok(())) => {}
                Ok(Err(error)) if is_too_large(&error) => {
                    rejected += 1;
                    why = format!("record {} is too large for a datagram", event.seq);
                }
                Ok(Err(error)) => return Err(Failure::broken(&error)),
            }
        }
        self.socket = Some(socket);
        Ok(Delivered::Taken { rejected, why })
    }

    async fn connect(&self) -> io::Result<Socket> {
        match &self.place {
            Place::Unix(path) => {
                let socket = UnixDatagram::unbound()?;
                socket.connect(path)?;
                Ok(Socket::Unix(socket))
            }
            Place::Udp(host, port) => {
                let mut last = io::Error::other("the host's name has no address");
                for address in super::stream::addresses(host, *port).await? {
                    let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
                    let socket = UdpSocket::bind(any).await?;
                    match socket.connect(address).await {
                        Ok(()) => return Ok(Socket::Udp(socket)),
                        Err(error) => last = error,
                    }
                }
                Err(last)
            }
        }
    }
}

fn is_too_large(error: &io::Error) -> bool {
    error.raw_os_error() == Some(nix::errno::Errno::EMSGSIZE as i32)
}

impl Socket {
    async fn send(&self, message: &[u8]) -> io::Result<()> {
        match self {
            Self::Udp(socket) => socket.send(message).await.map(drop),
            Self::Unix(socket) => match socket.send(message).await {
                Err(error) if is_too_large(&error) => large(socket, message).await,
                sent => sent.map(drop),
            },
        }
    }
}

/// Sends what is too large for a datagram as a sealed file in memory, which the journal takes. A receiver that
/// does not, gets an empty datagram and no event: syslog has no such form, so a text that long is refused.
async fn large(socket: &UnixDatagram, message: &[u8]) -> io::Result<()> {
    use nix::fcntl::{FcntlArg, SealFlag, fcntl};
    use nix::sys::memfd::{MFdFlags, memfd_create};
    use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
    use std::io::Write as _;
    use std::os::fd::AsRawFd as _;

    if message.starts_with(b"<") {
        return Err(nix::errno::Errno::EMSGSIZE.into());
    }
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let mut file = std::fs::File::from(memfd_create("warrantd-entry", flags)?);
    file.write_all(message)?;
    let seals = SealFlag::F_SEAL_SHRINK
        | SealFlag::F_SEAL_GROW
        | SealFlag::F_SEAL_WRITE
        | SealFlag::F_SEAL_SEAL;
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals))?;
    let files = [file.as_raw_fd()];
    socket
        .async_io(tokio::io::Interest::WRITABLE, || {
            let passed = [ControlMessage::ScmRights(&files)];
            sendmsg::<()>(socket.as_raw_fd(), &[], &passed, MsgFlags::empty(), None)?;
            Ok(())
        })
        .await
}

#[cfg(test)]
mod tests {
    use std::io::{IoSliceMut, Read as _, Seek as _};
    use std::os::fd::AsRawFd as _;

    use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};

    use super::*;
    use crate::audit::format::Severity;
    use crate::audit::ship::{journald, syslog};

    fn event(text: String) -> Formatted {
        Formatted {
            id: "a-0".to_owned(),
            seq: 3,
            timestamp: "2026-01-02T03:04:05.678Z".to_owned(),
            severity: Severity::Low,
            event: "call".to_owned(),
            text,
        }
    }

    fn batch(text: &str) -> Batch {
        Batch { events: vec![event(text.to_owned())], last: None }
    }

    fn origin() -> Origin {
        Origin { host: "h".to_owned(), version: "1" }
    }

    #[tokio::test]
    async fn a_receiver_that_died_is_a_failure_and_a_new_one_is_found() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("log");
        let url = Url::parse(&format!("unix://{}", path.display())).expect("url");
        let mut datagrams = Datagrams::new(&url, syslog::datagram, &origin());
        assert!(datagrams.deliver(&batch("a")).await.is_err(), "nobody is there");
        for _ in 0..2 {
            let receiver = std::os::unix::net::UnixDatagram::bind(&path).expect("bound");
            datagrams.deliver(&batch("a")).await.expect("taken");
            let mut text = [0; 512];
            let length = receiver.recv(&mut text).expect("received");
            assert!(text[..length].starts_with(b"<109>1 ") && text[..length].ends_with(b" a"));
            drop(receiver);
            std::fs::remove_file(&path).expect("removed");
            assert!(datagrams.deliver(&batch("a")).await.is_err(), "nobody is there any more");
        }
        let large = "x".repeat(4 << 20);
        let _receiver = std::os::unix::net::UnixDatagram::bind(&path).expect("bound");
        let taken = datagrams.deliver(&batch(&large)).await.expect("passed over");
        assert!(matches!(taken, Delivered::Taken { rejected: 1, .. }), "{taken:?}");
    }

    /// What an entry too large for a datagram looks like to the journal.
    #[tokio::test]
    async fn a_large_entry_comes_as_a_sealed_file() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("journal");
        let url = Url::parse(&format!("unix://{}", path.display())).expect("url");
        let receiver = std::os::unix::net::UnixDatagram::bind(&path).expect("bound");
        let mut datagrams = Datagrams::new(&url, journald::datagram, &origin());
        let large = "x".repeat(4 << 20);
        datagrams.deliver(&batch(&large)).await.expect("taken");
        let mut space = nix::cmsg_space!([i32; 1]);
        let mut text = [0; 16];
        let mut parts = [IoSliceMut::new(&mut text)];
        let got =
            recvmsg::<()>(receiver.as_raw_fd(), &mut parts, Some(&mut space), MsgFlags::empty())
                .expect("received");
        let passed = got.cmsgs().expect("read").find_map(|message| match message {
            ControlMessageOwned::ScmRights(files) => files.first().copied(),
            _ => None,
        });
        let path = format!("/proc/self/fd/{}", passed.expect("a file was passed"));
        let mut file = std::fs::File::open(path).expect("opened");
        file.rewind().expect("begun");
        let mut entry = String::new();
        file.read_to_string(&mut entry).expect("read");
        assert!(entry.starts_with("MESSAGE=xxx") && entry.ends_with("WARRANTD_ID=a-0\n"));
    }
}
