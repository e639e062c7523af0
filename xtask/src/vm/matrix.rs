//! Several machines that do the same job, some at a time.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use anyhow::Context;

use super::cpio::{Entry, Tree};
use super::job::{self, Job};
use super::kernels::{Kernel, Unavailable};
use super::machine::{self, Configuration, Hardware};
use super::series::Series;
use crate::shell::say;

/// Stands for a line: the machine begins again, and what it wrote until now does not count.
pub(crate) const AGAIN: &str = "\0begins again";

/// How a machine ended: `0`, another end of the job, or why it did not get so far.
pub(crate) type End = (Configuration, anyhow::Result<String>);

/// The kernels that machines run, and those that nobody offers any more.
#[derive(Debug, Default)]
pub(super) struct Kernels {
    pub(super) found: BTreeMap<Series, Kernel>,
    pub(super) unavailable: Vec<Unavailable>,
}

/// Runs the job in each machine, `at_once` of them at a time, and gives how they ended. Each line of output
/// goes to `line` and onto the terminal.
pub(super) fn run(
    configurations: &[Configuration],
    kernels: &BTreeMap<Series, Kernel>,
    mut tree: Tree,
    job: &Job,
    (hardware, at_once): (&Hardware, usize),
    line: impl Fn(Configuration, &str) + Sync,
) -> anyhow::Result<Vec<End>> {
    tree.put(job::PATH, Entry::File { mode: 0o644, content: job.written() })?;
    let scratch = tempfile::tempdir().context("a temporary directory")?;
    let image = scratch.path().join("image");
    tree.write(&image)?;
    drop(tree);

    let next = AtomicUsize::new(0);
    let ended = Mutex::new(Vec::new());
    let worker = || {
        while let Some(configuration) = configurations.get(next.fetch_add(1, Ordering::Relaxed)) {
            let Some(kernel) = kernels.get(&configuration.series) else { continue };
            say(&format!("{configuration}: starting {}", kernel.release));
            let started = Instant::now();
            let spoken = AtomicUsize::new(0);
            let show = |text: &str| {
                spoken.fetch_add(
                    usize::from(!text.starts_with(machine::OF_KERNEL)),
                    Ordering::Relaxed,
                );
                println!("[{configuration} {:>3} s] {text}", started.elapsed().as_secs());
                line(*configuration, text);
            };
            let boot =
                || machine::run(*configuration, kernel, &image, hardware, job.patience, show);
            let mut how = boot();
            // Emulated processors now and then trip over code that the kernel patches, most of all while it boots; of
            // what is tested nothing has run then. Later a second try is given only to what the kernel itself lays
            // upon its processors, and to one try: what is tested and breaks a processor does so once more.
            if let Err(error) = &how
                && (spoken.load(Ordering::Relaxed) == 0
                    || machine::broken_processors(&error.to_string()).is_some())
            {
                say(&format!("{configuration}: {error:#}\n{configuration}: once more"));
                line(*configuration, AGAIN);
                how = boot();
            }
            say(&format!("{configuration}: ended after {} s", started.elapsed().as_secs()));
            ended.lock().unwrap_or_else(PoisonError::into_inner).push((*configuration, how));
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..at_once.max(1) {
            scope.spawn(worker);
        }
    });
    let mut ended = ended.into_inner().unwrap_or_else(PoisonError::into_inner);
    ended.sort_by_key(|(configuration, _)| *configuration);
    Ok(ended)
}

/// Why a machine's end is a failure, if it is.
pub(crate) fn failure(end: &anyhow::Result<String>) -> Option<String> {
    match end {
        Ok(code) if code == "0" => None,
        Ok(how) => Some(format!("ended with {how}")),
        Err(error) => Some(format!("{error:#}")),
    }
}
