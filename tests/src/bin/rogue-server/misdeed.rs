//! What the server does beside what it was asked for, and when.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use warrantd_tests::probe;

use crate::deed::{Deed, KINDS, Kind};

/// Stands for the number of the call in the words of a misdeed.
const NUMBER: &str = "{n}";

/// Shorter than that, a delay is waited out without giving the processor away.
const SHORT: Duration = Duration::from_millis(2);

/// The misdeeds, and when they are done.
#[derive(Default)]
pub(crate) struct Misdeeds {
    deeds: Vec<(&'static Kind, Vec<String>)>,
    /// The only call in which they are done; every call when absent.
    on: Option<u64>,
    /// They are done by a process that is not the server's child.
    detached: bool,
    /// How long after the response they are done; before it when absent.
    late: Option<Duration>,
    /// What has been told of calls so far.
    calls: u64,
    /// A call was made and its response is not written yet.
    due: bool,
}

impl Misdeeds {
    /// Reads the command line.
    pub(crate) fn parse(arguments: &[String]) -> anyhow::Result<Self> {
        let mut misdeeds = Self::default();
        let mut arguments = arguments.iter();
        while let Some(flag) = arguments.next() {
            let mut value = || arguments.next().with_context(|| format!("{flag} needs a value"));
            let also = flag.strip_prefix("--also-");
            if let Some(kind) = also.and_then(|name| KINDS.iter().find(|kind| kind.name == name)) {
                let words =
                    kind.words.iter().map(|_| value().cloned()).collect::<Result<Vec<_>, _>>()?;
                kind.make(&words)?;
                misdeeds.deeds.push((kind, words));
                continue;
            }
            match flag.as_str() {
                "--on" => misdeeds.on = Some(value()?.parse().context("the number of a call")?),
                "--late" => {
                    let delay = value()?.parse().context("microseconds")?;
                    misdeeds.late = Some(Duration::from_micros(delay));
                }
                "--detached" => misdeeds.detached = true,
                _ => bail!("unknown flag {flag}"),
            }
        }
        Ok(misdeeds)
    }

    /// Counts a call and does what is to be done before its response.
    pub(crate) fn strike(&mut self) {
        self.calls += 1;
        self.due = self.on.is_none_or(|on| on == self.calls);
        match (self.due, self.late, self.detached) {
            (true, None, detached) => self.each(|deed| perform(&deed, detached)),
            // The process starts during the call, and acts later.
            (true, Some(delay), true) => {
                self.due = false;
                self.each(|deed| tell(&deed, &deed.run_detached(false, || thread::sleep(delay))));
            }
            _ => {}
        }
    }

    /// Does what is to be done after the response that was just written.
    pub(crate) fn strike_late(&mut self) {
        let written = Instant::now();
        let Some(delay) = self.late.filter(|_| std::mem::take(&mut self.due)) else { return };
        if delay > SHORT {
            self.each(|deed| {
                thread::spawn(move || {
                    thread::sleep(delay);
                    perform(&deed, false);
                });
            });
            return;
        }
        while written.elapsed() < delay {
            std::hint::spin_loop();
        }
        self.each(|deed| perform(&deed, false));
    }

    /// The misdeeds of this call, one after the other.
    fn each(&self, act: impl Fn(Deed)) {
        for (kind, words) in &self.deeds {
            let number = self.calls.to_string();
            let words: Vec<_> = words.iter().map(|word| word.replace(NUMBER, &number)).collect();
            // The words were read once when the server started.
            let _ = kind.make(&words).map(&act);
        }
    }
}

fn perform(deed: &Deed, detached: bool) {
    let done = if detached { deed.run_detached(true, || {}) } else { deed.run() };
    tell(deed, &done);
}

#[allow(clippy::print_stderr, reason = "the way by which a test learns of failures")]
fn tell(deed: &Deed, done: &io::Result<()>) {
    match done {
        Ok(()) => eprintln!("{deed:?}: done"),
        Err(error) => eprintln!("{deed:?}: {}", probe::name(error)),
    }
}
