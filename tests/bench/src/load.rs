//! The load client: one thread, blocking reads, and epoll(7) where it has several connections.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use anyhow::ensure;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use crate::calls::wrapped;
use crate::figures::Stretch;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection on which calls are made.
pub trait Channel {
    /// What becomes readable when an answer comes.
    fn readable(&self) -> BorrowedFd<'_>;
    /// Sends the call with this number.
    fn call(&mut self, serial: u32) -> anyhow::Result<()>;
    /// Reads once, and adds the numbers of the calls that are answered now.
    fn read(&mut self, answered: &mut Vec<u32>) -> anyhow::Result<()>;
}

/// When calls in flight were sent.
struct Flight {
    sent: Vec<Instant>,
    next: u32,
    open: usize,
}

/// Calls that can be in flight.
const MOST: u32 = 1024;

impl Flight {
    fn new(serial: u32) -> Self {
        Self { sent: vec![Instant::now(); MOST as usize], next: serial, open: 0 }
    }

    fn slot(&mut self, serial: u32) -> &mut Instant {
        let slot = (serial % MOST) as usize;
        &mut self.sent[slot]
    }

    fn call(&mut self, channel: &mut impl Channel) -> anyhow::Result<()> {
        let serial = self.next;
        *self.slot(serial) = Instant::now();
        channel.call(serial)?;
        self.next = wrapped(serial + 1);
        self.open += 1;
        Ok(())
    }

    fn end(&mut self, serial: u32, now: Instant) -> u32 {
        self.open = self.open.saturating_sub(1);
        let took = now.duration_since(*self.slot(serial));
        u32::try_from(took.as_nanos()).unwrap_or(u32::MAX)
    }
}

/// Keeps so many calls in flight on each connection, for so long, and waits for the last answers. `serial` is
/// the number of the first call, and afterwards the next.
pub fn run<C: Channel>(
    channels: &mut [C],
    in_flight: usize,
    length: Duration,
    serial: &mut u32,
) -> anyhow::Result<Stretch> {
    ensure!(channels.len() * in_flight < MOST as usize, "too many calls at once");
    let mut flight = Flight::new(*serial);
    let mut latencies = Vec::with_capacity(1 << 16);
    let mut answered = Vec::new();
    let waiting = Waiting::of(channels)?;
    let begun = Instant::now();
    for channel in channels.iter_mut() {
        for _ in 0..in_flight {
            flight.call(channel)?;
        }
    }
    let mut last = begun;
    while flight.open > 0 {
        let ready = waiting.next()?;
        for index in ready {
            let channel = &mut channels[index];
            channel.read(&mut answered)?;
            let now = Instant::now();
            for serial in answered.drain(..) {
                latencies.push(flight.end(serial, now));
                last = now;
                if now - begun < length {
                    flight.call(channel)?;
                }
            }
        }
    }
    *serial = flight.next;
    Ok(Stretch { latencies, took: last - begun })
}

/// Which of the connections has something to read. Where there is one, it is read until it has.
enum Waiting {
    One,
    Many(Epoll),
}

impl Waiting {
    fn of<C: Channel>(channels: &[C]) -> anyhow::Result<Self> {
        if channels.len() == 1 {
            return Ok(Self::One);
        }
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        for (index, channel) in channels.iter().enumerate() {
            let event = EpollEvent::new(EpollFlags::EPOLLIN, index as u64);
            epoll.add(channel.readable(), event)?;
        }
        Ok(Self::Many(epoll))
    }

    fn next(&self) -> anyhow::Result<Vec<usize>> {
        let Self::Many(epoll) = self else { return Ok(vec![0]) };
        let mut events = [EpollEvent::empty(); 64];
        let patience = EpollTimeout::try_from(PATIENCE).unwrap_or(EpollTimeout::NONE);
        let count = epoll.wait(&mut events, patience)?;
        ensure!(count > 0, "no answer within {} s", PATIENCE.as_secs());
        let ready = events.iter().take(count);
        Ok(ready.map(|event| usize::try_from(event.data()).unwrap_or(0)).collect())
    }
}
