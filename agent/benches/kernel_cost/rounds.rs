//! Rounds: the same work in every state, one after the other, again and again.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, bail};
use aya::sys::{Stats, enable_stats};
use warrantd::kernel::{Backend, OpenHook};

use crate::actors::{Actor, Listener};
use crate::figures::median;
use crate::loaded::{Loaded, await_instances, instances};
use crate::work::{Place, Work};

/// How often rounds that another instance disturbed are begun anew.
const ATTEMPTS: u32 = 20;
/// Rounds in which the kernel times its programs.
const TIMED_ROUNDS: u32 = 11;

/// Under what the work is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    /// Nothing is loaded.
    Bare,
    /// Nothing is loaded; the program is confined as servers are.
    Confined,
    /// The kernel layer is loaded; the program is in no session.
    Unwatched,
    /// The program is in a session.
    Watched,
    /// The program is in a session whose files are enforced.
    Enforced,
}

impl State {
    pub(crate) const ALL: [Self; 5] =
        [Self::Bare, Self::Confined, Self::Unwatched, Self::Watched, Self::Enforced];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Confined => "confined",
            Self::Unwatched => "unwatched",
            Self::Watched => "watched",
            Self::Enforced => "enforced",
        }
    }
}

/// Nanoseconds per operation, of one round after the other.
pub(crate) type Figures = BTreeMap<(Work, State), Vec<f64>>;

/// A kernel program in one kind of work: runs per operation, and nanoseconds per run.
#[derive(Debug)]
pub(crate) struct ProgramTime {
    pub(crate) program: String,
    pub(crate) work: Work,
    pub(crate) state: State,
    pub(crate) runs: f64,
    pub(crate) nanoseconds: f64,
}

/// The programs and what they work on.
pub(crate) struct Bench {
    place: Place,
    listener: Listener,
    ordinary: Actor,
    confined: Actor,
}

impl Bench {
    pub(crate) fn new(place: Place, listener: Listener) -> anyhow::Result<Self> {
        let mut ordinary = Actor::ordinary(&place)?;
        let mut confined = Actor::confined(&place)?;
        ordinary.warm_up()?;
        confined.warm_up()?;
        listener.clear()?;
        Ok(Self { place, listener, ordinary, confined })
    }

    /// Some rounds with nothing loaded, then as many with a backend; adds to `figures`. Figures with the
    /// same number belong together.
    pub(crate) fn rounds(
        &mut self,
        backend: Backend,
        rounds: u32,
        figures: &mut Figures,
    ) -> anyhow::Result<()> {
        for _ in 0..ATTEMPTS {
            await_instances(0)?;
            let mut fresh = Figures::new();
            self.without(rounds, &mut fresh)?;
            if instances() != 0 {
                continue;
            }
            let mut loaded = Loaded::start(backend, &self.place)?;
            self.listener.clear()?;
            let mut done = self.with(&mut loaded, rounds, &mut fresh);
            let alone = instances() == 1;
            loaded.stop();
            if let Err(error) = &mut done
                && alone
            {
                bail!("{backend}: {error:#}");
            }
            if alone {
                for (key, values) in fresh {
                    figures.entry(key).or_default().extend(values);
                }
                return Ok(());
            }
        }
        bail!("other instances of warrantd come and go: stop them")
    }

    fn without(&mut self, rounds: u32, figures: &mut Figures) -> anyhow::Result<()> {
        for _ in 0..rounds {
            for work in Work::ALL {
                add(figures, work, State::Bare, self.ordinary.round(work)?);
                self.listener.clear()?;
                add(figures, work, State::Confined, self.confined.round(work)?);
                self.listener.clear()?;
            }
        }
        Ok(())
    }

    fn with(
        &mut self,
        loaded: &mut Loaded,
        rounds: u32,
        figures: &mut Figures,
    ) -> anyhow::Result<()> {
        for _ in 0..rounds {
            for work in Work::ALL {
                add(figures, work, State::Unwatched, self.ordinary.round(work)?);
                self.listener.clear()?;
                add(figures, work, State::Watched, loaded.watched.round(work)?);
                self.listener.clear()?;
                if let Some(seat) = &mut loaded.enforced {
                    add(figures, work, State::Enforced, seat.round(work)?);
                    self.listener.clear()?;
                }
            }
        }
        Ok(())
    }

    /// What the kernel says how long the work of `lsm_file_open` takes, done to the executable of the
    /// program whenever it opens the file beside it.
    pub(crate) fn open_hook(&mut self, backend: Backend) -> anyhow::Result<ProgramTime> {
        let _statistics = enable_stats(Stats::RunTime).context("the kernel's statistics")?;
        await_instances(0)?;
        let copy = Path::new(&self.place.file).with_file_name("lib.rs");
        std::fs::copy("/proc/self/exe", &copy).context("a copy of this program")?;
        let loaded = Loaded::start(backend, &self.place)?;
        let mut seat = loaded.seat("hooked", &self.place, copy.as_os_str())?;
        let mut samples = Vec::new();
        for _ in 0..TIMED_ROUNDS {
            // A fresh one has a ring with room for a round.
            let hook = OpenHook::attach(seat.cgroup_id())?;
            seat.round(Work::Open)?;
            let (spent, runs) = hook.time();
            #[allow(clippy::cast_precision_loss, reason = "counts of a moment")]
            samples.push((spent.as_nanos() as f64, runs as f64));
        }
        drop(seat);
        loaded.stop();
        let key = (Work::Open, State::Watched, "measure_open".to_owned());
        summary(key, &samples).context("the hook has not run")
    }

    /// What the kernel says how long its programs run. Kernels before 5.8 do not.
    pub(crate) fn programs(&mut self, backend: Backend) -> anyhow::Result<Vec<ProgramTime>> {
        let _statistics = enable_stats(Stats::RunTime).context("the kernel's statistics")?;
        await_instances(0)?;
        let mut loaded = Loaded::start(backend, &self.place)?;
        let mut found: BTreeMap<(Work, State, String), Vec<(f64, f64)>> = BTreeMap::new();
        for _ in 0..TIMED_ROUNDS {
            for work in Work::ALL {
                for state in [State::Unwatched, State::Watched, State::Enforced] {
                    let before = loaded.times();
                    match (state, &mut loaded.enforced) {
                        (State::Enforced, None) => continue,
                        (State::Enforced, Some(seat)) => seat.round(work)?,
                        (State::Watched, _) => loaded.watched.round(work)?,
                        _ => self.ordinary.round(work)?,
                    };
                    let after = loaded.times();
                    self.listener.clear()?;
                    for (program, spent, runs) in since(&before, &after) {
                        let key = (work, state, program);
                        found.entry(key).or_default().push((spent, runs));
                    }
                }
            }
        }
        loaded.stop();
        Ok(found.into_iter().filter_map(|(key, samples)| summary(key, &samples)).collect())
    }
}

fn add(figures: &mut Figures, work: Work, state: State, nanoseconds: f64) {
    figures.entry((work, state)).or_default().push(nanoseconds);
}

type Times = [(String, std::time::Duration, u64)];

/// Programs that have run in between: nanoseconds and runs.
#[allow(clippy::cast_precision_loss, reason = "counts of a moment")]
fn since(before: &Times, after: &Times) -> Vec<(String, f64, f64)> {
    let before: BTreeMap<_, _> =
        before.iter().map(|(name, time, runs)| (name, (time, runs))).collect();
    let differences = after.iter().filter_map(|(name, time, runs)| {
        let (earlier, runs_before) = before.get(name)?;
        let spent = time.saturating_sub(**earlier).as_nanos() as f64;
        Some((name.clone(), spent, runs.saturating_sub(**runs_before) as f64))
    });
    differences.collect()
}

/// Medians over rounds; nothing for programs that the work does not run.
fn summary(
    (work, state, program): (Work, State, String),
    samples: &[(f64, f64)],
) -> Option<ProgramTime> {
    let (stretches, operations) = work.size();
    let operations = f64::from(stretches * operations);
    let runs: Vec<f64> = samples.iter().map(|(_, runs)| runs / operations).collect();
    let each: Vec<f64> =
        samples.iter().filter(|(_, runs)| *runs > 0.0).map(|(spent, runs)| spent / runs).collect();
    let runs = median(&runs)?;
    // What others on the host do runs programs now and then.
    (runs >= 0.2).then_some(())?;
    Some(ProgramTime { program, work, state, runs, nanoseconds: median(&each)? })
}
