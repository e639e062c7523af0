//! The load client: one thread, blocking reads, and epoll(7) where it has several connections. It keeps as many calls
//! in flight as it is told, or makes them at a rate.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use anyhow::ensure;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::time::TimeSpec;

use crate::calls::{IDS, wrapped};
use crate::figures::{Stretch, count};

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

/// Calls that can be in flight, of those that have numbers of their own.
const MOST: usize = 8000;

impl Flight {
    fn new(serial: u32) -> Self {
        Self { sent: vec![Instant::now(); IDS as usize], next: serial, open: 0 }
    }

    fn slot(&mut self, serial: u32) -> &mut Instant {
        let slot = wrapped(serial) as usize;
        &mut self.sent[slot]
    }

    fn call(&mut self, channel: &mut impl Channel, sent: Instant) -> anyhow::Result<()> {
        let serial = self.next;
        *self.slot(serial) = sent;
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
    ensure!(channels.len() * in_flight < MOST, "too many calls at once");
    let mut flight = Flight::new(*serial);
    let mut latencies = Vec::with_capacity(1 << 16);
    let mut answered = Vec::new();
    let waiting = Waiting::of(channels)?;
    let begun = Instant::now();
    for channel in channels.iter_mut() {
        for _ in 0..in_flight {
            flight.call(channel, Instant::now())?;
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
                    flight.call(channel, Instant::now())?;
                }
            }
        }
    }
    *serial = flight.next;
    Ok(Stretch { latencies, took: last - begun })
}

/// Makes so many calls in a second, in turn on each connection, for so long, and waits for the last answers. A call
/// is sent when it is due, whatever is in flight, and its time counts from then. `found` has what was answered even
/// where this fails.
pub fn pace<C: Channel>(
    channels: &mut [C],
    rate: f64,
    length: Duration,
    serial: &mut u32,
    found: &mut Stretch,
) -> anyhow::Result<()> {
    let mut flight = Flight::new(*serial);
    let mut answered = Vec::new();
    let begun = Instant::now();
    let mut sent = 0;
    let mut due = Some(begun);
    while flight.open > 0 || due.is_some() {
        while let Some(at) = due.filter(|at| *at <= Instant::now()) {
            ensure!(flight.open < MOST, "{} calls wait for an answer", flight.open);
            let turn = sent % channels.len();
            flight.call(&mut channels[turn], at)?;
            *serial = flight.next;
            sent += 1;
            let next = Duration::from_secs_f64(count(sent) / rate);
            due = (next < length).then(|| begun + next);
        }
        let patience = due.map_or(PATIENCE, |at| at.saturating_duration_since(Instant::now()));
        let ready = readable(channels, patience)?;
        ensure!(due.is_some() || !ready.is_empty(), "no answer within {} s", PATIENCE.as_secs());
        for index in ready {
            channels[index].read(&mut answered)?;
            let now = Instant::now();
            found.latencies.extend(answered.drain(..).map(|serial| flight.end(serial, now)));
            found.took = now - begun;
        }
    }
    Ok(())
}

/// Which of these have something to read, as soon as one has, or none after so long.
fn readable<C: Channel>(channels: &[C], patience: Duration) -> anyhow::Result<Vec<usize>> {
    let channels = channels.iter().map(Channel::readable);
    let mut waited: Vec<_> = channels.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
    ppoll(&mut waited, Some(TimeSpec::from_duration(patience)), None)?;
    let ready = waited.iter().enumerate().filter(|(_, fd)| fd.any().unwrap_or(true));
    Ok(ready.map(|(index, _)| index).collect())
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
