//! Actors that do one thing many times, and count what they did.

use std::io::{self, Read as _};
use std::net::SocketAddr;
use std::os::fd::AsRawFd as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, connect, getsockopt, setsockopt, socket, sockopt,
};
use nix::time::{ClockId, clock_gettime};

/// Threads that connect at the same time.
const CONNECTING: usize = 4;
/// Rounds of each, so that an actor whose test failed comes to an end.
const ROUNDS: u32 = 30_000;
/// Milliseconds that a connection waits for an answer.
const PATIENCE: u16 = 250;

/// An attempt, as the actor saw it: `peer-index outcome start end`, times in nanoseconds of
/// `CLOCK_MONOTONIC`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attempt {
    pub(crate) peer: usize,
    pub(crate) outcome: String,
    pub(crate) start: u64,
    pub(crate) end: u64,
}

impl Attempt {
    /// Reads a line of [`connect_all`].
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        Some(Self {
            peer: words.next()?.parse().ok()?,
            outcome: words.next()?.to_owned(),
            start: words.next()?.parse().ok()?,
            end: words.next()?.parse().ok()?,
        })
    }
}

/// Nanoseconds of the clock by which processes can compare notes.
pub(crate) fn now() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("there is a clock");
    u64::try_from(Duration::from(now).as_nanos()).expect("the host is young")
}

/// Connects to every peer in turn on several threads until standard input ends, then prints all attempts.
pub(crate) fn connect_all(peers: &[&str]) {
    let peers: Vec<SocketAddr> =
        peers.iter().map(|peer| peer.parse().expect("an address and port")).collect();
    let over = AtomicBool::new(false);
    println!("ready");
    thread::scope(|scope| {
        let work = || {
            let mut attempts = Vec::new();
            for _ in 0..ROUNDS {
                for (peer, address) in peers.iter().enumerate() {
                    let start = now();
                    let outcome = connect_once(*address);
                    attempts.push(Attempt { peer, outcome, start, end: now() });
                }
                if over.load(Ordering::Relaxed) {
                    break;
                }
            }
            attempts
        };
        let threads: Vec<_> = (0..CONNECTING).map(|_| scope.spawn(work)).collect();
        let _ = io::stdin().read_to_end(&mut Vec::new());
        over.store(true, Ordering::Relaxed);
        for thread in threads {
            for Attempt { peer, outcome, start, end } in thread.join().expect("no panic") {
                println!("{peer} {outcome} {start} {end}");
            }
        }
    });
}

/// `ok`, `EPERM`, `late` when no answer came in time, or the name of another error. The connection ends
/// with a reset, which leaves no port behind that waits.
fn connect_once(peer: SocketAddr) -> String {
    let SocketAddr::V4(peer) = peer else { return "IPv4-only".into() };
    match try_once(&SockaddrIn::from(peer)) {
        Ok(true) => "ok".into(),
        Ok(false) => "late".into(),
        Err(errno) => format!("{errno:?}"),
    }
}

fn try_once(peer: &SockaddrIn) -> nix::Result<bool> {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let socket = socket(AddressFamily::Inet, SockType::Stream, flags, None)?;
    setsockopt(&socket, sockopt::Linger, &libc::linger { l_onoff: 1, l_linger: 0 })?;
    match connect(socket.as_raw_fd(), peer) {
        Ok(()) => return Ok(true),
        Err(Errno::EINPROGRESS) => {}
        Err(errno) => return Err(errno),
    }
    let mut waiting = [PollFd::new(std::os::fd::AsFd::as_fd(&socket), PollFlags::POLLOUT)];
    if poll(&mut waiting, PollTimeout::from(PATIENCE))? == 0 {
        return Ok(false);
    }
    match getsockopt(&socket, sockopt::SocketError)? {
        0 => Ok(true),
        error => Err(Errno::from_raw(error)),
    }
}

/// What a flood did, as it counted itself.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Flood {
    /// Files opened.
    pub(crate) opens: u64,
    /// Milliseconds that took.
    pub(crate) millis: u64,
    /// Connections that were tried and refused with EPERM meanwhile.
    pub(crate) refused: u64,
    /// Connections that ended in any other way.
    pub(crate) others: u64,
}

impl Flood {
    /// Reads the line that [`flood`] prints.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let mut numbers = line.trim().split(' ').map(|word| word.parse().ok());
        let mut next = || numbers.next().flatten();
        Some(Self { opens: next()?, millis: next()?, refused: next()?, others: next()? })
    }
}

/// Opens a file `rate` times a second for some seconds on several threads, each in bursts of a
/// millisecond's worth, and tries a peer twenty times a second beside. A host that is too slow makes as many as it can.
pub(crate) fn flood(path: &str, rate: u64, seconds: u64, threads: u64, peer: &str) {
    let peer: SocketAddr = peer.parse().expect("an address and port");
    let length = Duration::from_secs(seconds);
    let start = Instant::now();
    let work = || {
        let mut made = 0;
        while start.elapsed() < length {
            let elapsed = u64::try_from(start.elapsed().as_millis()).expect("not long") + 1;
            let due = (rate / threads) * elapsed / 1000;
            if made >= due {
                thread::sleep(Duration::from_micros(500));
                continue;
            }
            // A thread that is late catches up in steps, so that it sees the end in time.
            let burst = (due - made).min(rate / 100 + 1);
            crate::deeds::read_many(path, u32::try_from(burst).expect("small")).expect("opened");
            made += burst;
        }
        made
    };
    let mut flood = Flood::default();
    thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        while start.elapsed() < length {
            match connect_once(peer).as_str() {
                "EPERM" => flood.refused += 1,
                _ => flood.others += 1,
            }
            thread::sleep(Duration::from_millis(50));
        }
        flood.opens = threads.into_iter().map(|thread| thread.join().expect("no panic")).sum();
    });
    let Flood { opens, refused, others, .. } = flood;
    println!("{opens} {} {refused} {others}", start.elapsed().as_millis());
}
