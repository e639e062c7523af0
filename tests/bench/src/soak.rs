//! A long time at half the peak rate, with reloads and with sessions that come and go.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{anyhow, ensure};
use serde::Serialize;

use crate::daemon::Daemon;
use crate::figures::{Figures, Stretch, count};
use crate::follow::follow;
use crate::lines::Lines;
use crate::load::{Channel, pace, run};
use crate::memory::Memory;
use crate::stage::{Plan, Stage};

/// Sessions that stay.
const STEADY: usize = 4;
/// Calls in flight in each while the peak is measured.
const IN_FLIGHT: usize = 4;
/// How often the daemon reads its configuration anew.
const RELOAD: Duration = Duration::from_secs(10);

/// How long it goes on, and what is told when.
#[derive(Debug, Clone, Copy)]
pub struct Soak {
    /// All in all.
    pub length: Duration,
    /// A line of figures for each.
    pub every: Duration,
    /// Whether the daemon is told to reload.
    pub reloads: bool,
}

/// What was found in a part of it.
#[derive(Debug, Clone, Serialize)]
pub struct Part {
    /// Seconds since the beginning.
    pub seconds: u64,
    /// Calls of sessions that stay.
    pub figures: Figures,
    /// The daemon's memory at its end.
    pub memory: Memory,
    /// Sessions that came, made a call and went.
    pub visits: usize,
    /// Reloads.
    pub reloads: usize,
}

/// What was found.
#[derive(Debug, Clone, Serialize)]
pub struct Found {
    /// Calls in a second at the peak, which was measured before.
    pub peak: f64,
    /// Each part.
    pub parts: Vec<Part>,
    /// Calls that were answered, those of visits and of the peak included.
    pub answered: usize,
    /// Records of calls in the audit log.
    pub recorded: usize,
    /// What went wrong, at most ten of each kind.
    pub errors: Vec<String>,
}

/// What threads have counted.
#[derive(Debug, Default)]
struct Counts {
    over: AtomicBool,
    visits: AtomicUsize,
    reloads: AtomicUsize,
}

impl Soak {
    /// Does it. `tell` gets each part when it ends.
    pub fn run(self, stage: &Stage, mut tell: impl FnMut(&Part)) -> anyhow::Result<Found> {
        let mut daemon = Daemon::start(stage, "soak", &[Plan::small("null")])?;
        let (over, audit) = (Arc::new(AtomicBool::new(false)), daemon.audit());
        let followed = {
            let over = over.clone();
            thread::spawn(move || follow(&audit, &over))
        };
        let mut channels: Vec<Lines> =
            (0..STEADY).map(|_| daemon.lines("null")).collect::<anyhow::Result<_>>()?;
        let mut serial = 0;
        let peak = run(&mut channels, IN_FLIGHT, Duration::from_secs(5), &mut serial)?.figures();
        let mut found = Found {
            peak: peak.rate,
            parts: Vec::new(),
            answered: peak.calls,
            recorded: 0,
            errors: Vec::new(),
        };
        let counts = Counts::default();
        let (pid, socket, reloaded) = (daemon.pid(), daemon.socket("null"), &mut daemon);
        let errors = thread::scope(|scope| -> anyhow::Result<Vec<String>> {
            let visits = scope.spawn(|| visit(&socket, &counts));
            let reloads = self.reloads.then(|| scope.spawn(|| reload(reloaded, &counts)));
            let mut errors = Vec::new();
            let begun = Instant::now();
            while begun.elapsed() < self.length && errors.is_empty() {
                let mut stretch = Stretch::default();
                let paced =
                    pace(&mut channels, peak.rate / 2.0, self.every, &mut serial, &mut stretch);
                errors.extend(paced.err().map(|error| format!("steady: {error:#}")));
                found.answered += stretch.latencies.len();
                let memory = match Memory::of(pid) {
                    Ok(memory) => memory,
                    Err(error) => {
                        errors.push(format!("the daemon's memory: {error:#}"));
                        break;
                    }
                };
                let part = Part {
                    seconds: begun.elapsed().as_secs(),
                    figures: stretch.figures(),
                    memory,
                    visits: counts.visits.load(Ordering::Relaxed),
                    reloads: counts.reloads.load(Ordering::Relaxed),
                };
                tell(&part);
                found.parts.push(part);
            }
            counts.over.store(true, Ordering::Relaxed);
            errors.extend(visits.join().unwrap_or_default());
            errors.extend(reloads.and_then(|reloads| reloads.join().ok()).unwrap_or_default());
            Ok(errors)
        })?;
        found.errors = errors;
        found.answered += counts.visits.load(Ordering::Relaxed);
        drop((channels, daemon));
        over.store(true, Ordering::Relaxed);
        match followed.join().unwrap_or_else(|_| Err(anyhow!("its reader panicked"))) {
            Ok(calls) => found.recorded = calls,
            Err(error) => found.errors.push(format!("the audit log: {error:#}")),
        }
        Ok(found)
    }
}

/// Sessions that come, make a call and go.
fn visit(socket: &Path, counts: &Counts) -> Vec<String> {
    let mut errors = Vec::new();
    let mut serial = 0;
    while !counts.over.load(Ordering::Relaxed) && errors.len() < 10 {
        let visit = || -> anyhow::Result<()> {
            let mut lines = Lines::connect(socket, Some(crate::daemon::KEY))?;
            let mut answered = Vec::new();
            lines.call(serial)?;
            while answered.is_empty() {
                lines.read(&mut answered)?;
            }
            ensure!(answered == [serial], "another call was answered: {answered:?}");
            Ok(())
        };
        match visit() {
            Ok(()) => drop(counts.visits.fetch_add(1, Ordering::Relaxed)),
            Err(error) => errors.push(format!("visit: {error:#}")),
        }
        serial = crate::calls::wrapped(serial + 1);
        thread::sleep(Duration::from_millis(100));
    }
    errors
}

fn reload(daemon: &mut Daemon, counts: &Counts) -> Vec<String> {
    let mut errors = Vec::new();
    let mut next = Instant::now() + RELOAD;
    while !counts.over.load(Ordering::Relaxed) && errors.len() < 10 {
        thread::sleep(Duration::from_millis(50));
        if Instant::now() < next {
            continue;
        }
        next += RELOAD;
        match daemon.reload() {
            Ok(()) => drop(counts.reloads.fetch_add(1, Ordering::Relaxed)),
            Err(error) => errors.push(format!("reload: {error:#}")),
        }
    }
    errors
}

impl Found {
    /// What it shows, line by line: each with whether it is as it should be.
    #[must_use]
    pub fn verdicts(&self) -> Vec<(String, bool)> {
        let third = (self.parts.len() / 3).max(1);
        let first = self.parts.get(..third).unwrap_or_default();
        let last = self.parts.get(self.parts.len().saturating_sub(third)..).unwrap_or_default();
        let mean = |parts: &[Part], of: fn(&Part) -> f64| {
            parts.iter().map(of).sum::<f64>() / count(parts.len().max(1))
        };
        let rss = |parts| mean(parts, |part| part.memory.rss) / 1024.0;
        let p99 = |parts| mean(parts, |part| part.figures.p99_us);
        let (rss, p99) = ((rss(first), rss(last)), (p99(first), p99(last)));
        vec![
            (format!("{} errors", self.errors.len()), self.errors.is_empty()),
            (
                format!("{} calls answered, {} recorded", self.answered, self.recorded),
                self.answered == self.recorded,
            ),
            (
                format!("memory {:.1} MiB in the first third, {:.1} in the last", rss.0, rss.1),
                rss.1 <= rss.0 * 1.1 + 1.0,
            ),
            (
                format!("p99 {:.0} µs in the first third, {:.0} in the last", p99.0, p99.1),
                p99.1 <= p99.0 * 1.5,
            ),
        ]
    }
}
