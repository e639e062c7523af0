//! `cargo xtask vm`: the kernel tests, or any command, in virtual machines with other kernels.

mod cpio;
mod image;
mod init;
mod job;
mod kernels;
mod machine;
mod series;
mod sources;
mod suite;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::{Args, ValueEnum};

use crate::setup;
use crate::shell::say;
pub(crate) use init::{is_init, run as run_as_init};
use job::Job;
pub(crate) use machine::Configuration;
use machine::Size;
pub(crate) use series::Series;

/// Whether `bpf` is in the list of security modules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

/// What to run, and where.
#[derive(Debug, Args)]
pub(crate) struct Vm {
    /// Only this kernel series; can be repeated
    #[arg(long, value_name = "SERIES")]
    kernel: Vec<Series>,
    /// Only with `bpf` in the list of security modules, or only without
    #[arg(long, value_name = "on|off")]
    lsm_bpf: Option<Switch>,
    /// A variable for the tests
    #[arg(long, value_name = "KEY=VALUE", value_parser = variable)]
    env: Vec<(String, String)>,
    /// Run this shell command instead of the tests
    #[arg(long, value_name = "COMMAND", conflicts_with = "arguments")]
    shell_command: Option<String>,
    /// Another file to copy into the machine, with the libraries that it is linked with
    #[arg(long, value_name = "HOST:GUEST", value_parser = copy)]
    file: Vec<(String, String)>,
    /// Fetch newer kernels of the same series
    #[arg(long)]
    update: bool,
    /// How many machines run at a time
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Processors of a machine
    #[arg(long, default_value_t = 2)]
    processors: u32,
    /// Memory of a machine, in MiB
    #[arg(long, default_value_t = 1024)]
    memory: u32,
    /// How long a machine may run, in seconds
    #[arg(long, default_value_t = 600)]
    patience: u64,
    /// Arguments for the tests: filters, `--test-threads=1`
    #[arg(last = true)]
    arguments: Vec<String>,
}

fn variable(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("KEY=VALUE is expected")?;
    Ok((key.to_owned(), value.to_owned()))
}

fn copy(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((host, guest)) if guest.starts_with('/') => Ok((host.to_owned(), guest.to_owned())),
        _ => Err("HOST:GUEST is expected, GUEST an absolute path".into()),
    }
}

impl Vm {
    /// A shell command with a program of this machine, one machine at a time with `bpf` among its security
    /// modules, so that it has the processors to itself.
    pub(crate) fn for_program(
        kernel: Vec<Series>,
        program: (String, String),
        shell_command: String,
        patience: u64,
    ) -> Self {
        Self {
            kernel,
            lsm_bpf: Some(Switch::On),
            env: Vec::new(),
            shell_command: Some(shell_command),
            file: vec![program],
            update: false,
            jobs: 1,
            processors: 2,
            memory: 1024,
            patience,
            arguments: Vec::new(),
        }
    }

    /// Runs the job in each machine and says how each ended.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        self.run_and_read(|configuration, line| println!("[{configuration}] {line}"))
    }

    /// The same, with each line of output given to `read`.
    pub(crate) fn run_and_read(
        self,
        read: impl Fn(Configuration, &str) + Sync,
    ) -> anyhow::Result<ExitCode> {
        setup::for_machines()?;
        let mut tree = image::base()?;
        let argv = match &self.shell_command {
            Some(command) => vec!["/bin/sh".into(), "-c".into(), command.clone()],
            None => suite::argv(&mut tree, &self.arguments)?,
        };
        for (host, guest) in &self.file {
            image::add(&mut tree, host, guest)?;
        }
        let job = Job { argv, env: self.env.clone() };
        tree.put(job::PATH, cpio::Entry::File { mode: 0o644, content: job.written() })?;
        let scratch = tempfile::tempdir().context("a temporary directory")?;
        let image = scratch.path().join("image");
        fs::write(&image, tree.archive()?)?;

        let ended = self.machines(&image, &read)?;
        let mut failed = 0;
        for (configuration, how) in &ended {
            let how = match how {
                Ok(end) if end == "0" => continue,
                Ok(end) => format!("ended with {end}"),
                Err(error) => format!("{error:#}"),
            };
            failed += 1;
            eprintln!("FAILED: {configuration}: {how}");
        }
        say(&format!("{} machines, {failed} failed", ended.len()));
        Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// The machines that were asked for. The tests run in all of them; a shell command does not need both
    /// lists of security modules.
    fn configurations(&self) -> Vec<Configuration> {
        let all = Series::value_variants();
        let wanted = |series: &&Series| self.kernel.is_empty() || self.kernel.contains(series);
        let lists: &[bool] = match self.lsm_bpf {
            Some(Switch::On) => &[true],
            Some(Switch::Off) => &[false],
            None if self.shell_command.is_some() => &[true],
            None => &[true, false],
        };
        let series = all.iter().filter(wanted);
        series
            .flat_map(|series| lists.iter().map(|bpf| Configuration { series: *series, bpf: *bpf }))
            .collect()
    }

    /// Runs all machines, some at a time, and gives how each ended.
    fn machines(
        &self,
        image: &Path,
        read: &(impl Fn(Configuration, &str) + Sync),
    ) -> anyhow::Result<Vec<(Configuration, anyhow::Result<String>)>> {
        let configurations = self.configurations();
        let mut kernels = BTreeMap::new();
        for configuration in &configurations {
            if let Entry::Vacant(place) = kernels.entry(configuration.series) {
                place.insert(kernels::kernel(configuration.series, self.update)?);
            }
        }
        let size = Size {
            processors: self.processors,
            megabytes: self.memory,
            patience: Duration::from_secs(self.patience),
        };
        let next = AtomicUsize::new(0);
        let ended = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for _ in 0..self.jobs.max(1) {
                scope.spawn(|| {
                    while let Some(configuration) =
                        configurations.get(next.fetch_add(1, Ordering::Relaxed))
                    {
                        let started = Instant::now();
                        let Some(kernel) = kernels.get(&configuration.series) else { continue };
                        say(&format!("{configuration}: starting {}", kernel.release));
                        let show = |line: &str| read(*configuration, line);
                        let how = machine::run(*configuration, kernel, image, size, show);
                        say(&format!(
                            "{configuration}: ended after {} s",
                            started.elapsed().as_secs()
                        ));
                        if let Ok(mut ended) = ended.lock() {
                            ended.push((*configuration, how));
                        }
                    }
                });
            }
        });
        let mut ended = ended.into_inner().unwrap_or_else(PoisonError::into_inner);
        ended.sort_by_key(|(configuration, _)| *configuration);
        Ok(ended)
    }
}
