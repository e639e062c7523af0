//! What is measured, and the program that does it: inside a session, outside, or as servers are confined.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, BufRead as _, Write as _};
use std::net::{SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context as _, bail, ensure};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, connect, setsockopt, socket, sockopt,
};

use crate::figures::median;

/// First argument of the program.
pub(crate) const MARK: &str = "act";

/// One kind of operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Work {
    Open,
    Udp,
    Tcp,
    Exec,
}

impl Work {
    pub(crate) const ALL: [Self; 4] = [Self::Open, Self::Udp, Self::Tcp, Self::Exec];

    /// Its name in commands and in JSON.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Exec => "exec",
        }
    }

    /// What one operation is.
    pub(crate) fn described(self) -> &'static str {
        match self {
            Self::Open => "open + close",
            Self::Udp => "connect, UDP",
            Self::Tcp => "socket + connect + close, TCP",
            Self::Exec => "fork + exec + wait, `true`",
        }
    }

    /// Stretches of a round, and operations of a stretch. A round stays far below what the event ring
    /// holds and a listener's backlog takes.
    pub(crate) fn size(self) -> (u32, u32) {
        match self {
            Self::Open | Self::Udp => (15, 200),
            Self::Tcp => (15, 40),
            Self::Exec => (5, 2),
        }
    }
}

/// What the operations are done to.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// A file to open.
    pub(crate) file: OsString,
    /// Where somebody listens, and who to aim datagrams at.
    pub(crate) peer: SocketAddrV4,
}

/// This program, where it is run from.
pub(crate) const SELF: &str = "/proc/self/exe";

/// The program's command line, where it lies at `program`.
pub(crate) fn command(place: &Place, program: &OsStr) -> Vec<OsString> {
    let peer = place.peer.to_string();
    vec![program.into(), MARK.into(), place.file.clone(), peer.into()]
}

/// The command line of the probe that the self-test of the kernel layer asks for.
pub(crate) fn probe() -> Vec<OsString> {
    [SELF, MARK, "probe"].map(OsString::from).to_vec()
}

/// The program: for each line `<work> <stretches>` it prints nanoseconds per operation.
pub(crate) fn act(words: &[String]) -> ExitCode {
    let done = match words {
        [word] if word == "probe" => answer_probe(),
        [file, peer] => answer(file, peer),
        _ => Err(anyhow::anyhow!("unknown words: {words:?}")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn answer_probe() -> anyhow::Result<()> {
    let said = |result: io::Result<()>| match result {
        Ok(()) => "ok".to_owned(),
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => "EPERM".to_owned(),
        Err(error) => error.to_string(),
    };
    println!("open {}", said(File::open("/dev/null").map(drop)));
    println!("connect {}", said(std::net::TcpStream::connect("127.0.0.1:9").map(drop)));
    Ok(io::stdout().flush()?)
}

fn answer(file: &str, peer: &str) -> anyhow::Result<()> {
    let peer: SocketAddrV4 = peer.parse()?;
    let datagrams = UdpSocket::bind("127.0.0.1:0")?;
    for line in io::stdin().lock().lines() {
        let line = line?;
        let (name, stretches) = line.split_once(' ').context("two words")?;
        let work = Work::ALL.into_iter().find(|work| work.name() == name).context("the work")?;
        let nanoseconds = match work {
            Work::Open => measure(work, stretches, || {
                File::open(file)?;
                Ok(())
            }),
            Work::Udp => measure(work, stretches, || Ok(datagrams.connect(SocketAddr::V4(peer))?)),
            Work::Tcp => measure(work, stretches, || connect_once(peer)),
            Work::Exec => measure(work, stretches, run_once),
        };
        let mut output = io::stdout().lock();
        writeln!(output, "{}", nanoseconds?)?;
        output.flush()?;
    }
    Ok(())
}

/// The median over stretches: one that was interrupted does not count.
fn measure(
    work: Work,
    stretches: &str,
    mut once: impl FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<f64> {
    let (_, operations) = work.size();
    let mut each = Vec::new();
    for _ in 0..stretches.parse::<u32>()? {
        let begun = Instant::now();
        for _ in 0..operations {
            once()?;
        }
        each.push(begun.elapsed().as_secs_f64() * 1e9 / f64::from(operations));
    }
    median(&each).context("no stretch")
}

/// Connects and hangs up so that nothing of the connection stays.
fn connect_once(peer: SocketAddrV4) -> anyhow::Result<()> {
    let socket = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    let at_once = libc::linger { l_onoff: 1, l_linger: 0 };
    setsockopt(&socket, sockopt::Linger, &at_once)?;
    Ok(connect(socket.as_raw_fd(), &SockaddrIn::from(peer))?)
}

fn run_once() -> anyhow::Result<()> {
    let status = Command::new("/usr/bin/true").status()?;
    ensure!(status.success(), "true: {status}");
    if status.code().is_none() {
        bail!("true was killed");
    }
    Ok(())
}
