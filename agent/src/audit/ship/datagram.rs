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
