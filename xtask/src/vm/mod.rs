//! `cargo xtask vm`: the kernel tests, those of the installed package, or any command, in virtual machines.

mod cpio;
mod debian;
mod image;
mod init;
mod installed;
mod job;
mod kernels;
mod machine;
mod matrix;
mod request;
mod series;
mod sources;
mod suite;
mod table;

use std::fs;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail, ensure};

use crate::setup;
use crate::shell::{root, say};
use job::Job;
use kernels::Unavailable;
use machine::Hardware;
use matrix::Kernels;

pub(crate) use init::{is_init, run as run_as_init};
pub(crate) use machine::Configuration;
pub(crate) use matrix::{AGAIN, End, failure};
pub(crate) use request::Vm;
pub(crate) use series::Series;
pub(crate) use table::{PATH as TABLE, Table};

/// What the machines did.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) ends: Vec<End>,
    /// Kernels that were asked for and are not to be had.
    pub(crate) unavailable: Vec<Unavailable>,
    /// What was measured for the table, or what is wrong with it.
    pub(crate) table: anyhow::Result<Table>,
}

impl Vm {
    /// Runs the job in each machine and says how each ended.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let done = self.machines(|_, _| {})?;
        let mut failed = 0;
        for (configuration, end) in &done.ends {
            if let Some(how) = failure(end) {
                failed += 1;
                eprintln!("FAILED: {configuration}: {how}");
            }
        }
        for unavailable in &done.unavailable {
            failed += 1;
            eprintln!("FAILED: {unavailable}");
        }
        say(&format!("{} machines, {failed} failed", done.ends.len()));
        if failed > 0 {
            return Ok(ExitCode::FAILURE);
        }
        let table = done.table?;
        if self.write_table {
            ensure!(!table.is_empty(), "the tests measured nothing for {TABLE}");
            fs::write(root().join(TABLE), table.render()).context(TABLE)?;
            say(&format!("wrote {TABLE}"));
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Runs the job in each machine. Each line of output is also given to `line`, and [`AGAIN`] where a machine has to
    /// begin anew.
    pub(crate) fn machines(
        &self,
        line: impl Fn(Configuration, &str) + Sync,
    ) -> anyhow::Result<Done> {
        ensure!(cfg!(target_arch = "x86_64"), "the machines are x86-64 ones, unlike this host");
        setup::for_machines()?;
        if self.systemd {
            setup::for_systemd()?;
        }
        let kernels = self.kernels()?;
        let hardware = Hardware {
            processors: self.processors,
            megabytes: self.megabytes(),
            parameters: self.parameter.join(" "),
        };
        let table = Mutex::new(anyhow::Ok(Table::default()));
        let each = |configuration: Configuration, text: &str| {
            let mut table = table.lock().unwrap_or_else(PoisonError::into_inner);
            if let Ok(rows) = &mut *table
                && let Err(error) = rows.line(configuration.series, text)
            {
                *table = Err(error);
            }
            drop(table);
            line(configuration, text);
        };
        let at_once = (&hardware, self.jobs);
        let mut ends = Vec::new();
        for (configurations, arguments) in self.shares() {
            let mut tree = match configurations.first() {
                Some(first) if self.systemd => installed::base(first.series, self.update)?,
                _ => image::base()?,
            };
            let argv = match &self.shell_command {
                Some(command) => vec!["/bin/sh".into(), "-c".into(), command.clone()],
                None if self.systemd => installed::argv(&mut tree, &arguments)?,
                None => suite::argv(&mut tree, &arguments)?,
            };
            if self.systemd {
                installed::add_package(&mut tree, self.package.as_deref())?;
            }
            for (host, guest) in &self.file {
                image::add(&mut tree, host, guest)?;
            }
            let patience = Duration::from_secs(self.patience);
            let job = Job { argv, env: self.env.clone(), patience };
            ends.extend(matrix::run(&configurations, &kernels.found, tree, &job, at_once, each)?);
        }
        ends.sort_by_key(|(configuration, _)| *configuration);
        let table = table.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(Done { ends, unavailable: kernels.unavailable, table })
    }

    fn kernels(&self) -> anyhow::Result<Kernels> {
        let mut kernels = Kernels::default();
        for series in self.series() {
            match kernels::kernel(series, self.update) {
                Ok(kernel) => {
                    kernels.found.insert(series, kernel);
                }
                Err(error) => match error.downcast::<Unavailable>() {
                    Ok(unavailable) => kernels.unavailable.push(unavailable),
                    Err(error) => bail!(error.context(format!("kernel {}", series.name()))),
                },
            }
        }
        Ok(kernels)
    }
}
