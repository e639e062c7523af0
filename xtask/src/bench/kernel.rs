//! `cargo xtask bench kernel`: what the kernel layer costs, on this machine or in virtual ones.

use std::collections::BTreeMap;
use std::process::{Command, ExitCode, Stdio};
use std::sync::{Mutex, PoisonError};

use anyhow::{bail, ensure};
use clap::Args;

use super::document;
use crate::shell::{built, is_root, say};
use crate::vm::{AGAIN, Series, Vm, failure};

/// Where the program is in a virtual machine.
const PLACE: &str = "/usr/lib/warrantd/kernel_cost";
/// Rounds in a virtual machine for each time that the kernel layer is loaded, which takes long there.
const AT_A_TIME: u32 = 10;
/// The kernels that have every backend.
const KERNELS: [Series; 3] = [Series::V6_1, Series::V6_12, Series::V7_2];

/// What the kernel layer adds to opens, connections and programs (as root)
#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(crate) struct Kernel {
    /// In virtual machines instead, where every instruction is emulated: ratios count there
    #[arg(long)]
    vm: bool,
    /// Only in a machine with this kernel series; can be repeated
    #[arg(long = "kernel", value_name = "SERIES", requires = "vm")]
    series: Vec<Series>,
    /// Rounds with each backend
    #[arg(long, default_value_t = 30)]
    rounds: u32,
    /// Only this backend; can be repeated
    #[arg(long, value_name = "NAME")]
    backend: Vec<String>,
    /// Build with all optimisations, which takes minutes and changes nothing in the kernel
    #[arg(long)]
    release: bool,
    /// Print JSON
    #[arg(long, conflicts_with = "document")]
    json: bool,
    /// Put the tables into docs/kernel-cost.md, in place of older ones of the same kernels
    #[arg(long)]
    document: bool,
}

impl Kernel {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        ensure!(is_root(), "the kernel layer needs root: run it as root");
        let program = self.built()?;
        let printed = if self.vm { self.in_machines(program)? } else { vec![self.here(&program)?] };
        for text in &printed {
            print!("{text}");
        }
        ensure!(!printed.is_empty(), "nothing was measured");
        if self.document {
            document::update(&printed)?;
        }
        Ok(ExitCode::SUCCESS)
    }

    fn arguments(&self) -> Vec<String> {
        let mut arguments = vec!["--rounds".to_owned(), self.rounds.to_string()];
        for backend in &self.backend {
            arguments.extend(["--backend".to_owned(), backend.clone()]);
        }
        if self.json {
            arguments.push("--json".into());
        }
        arguments
    }

    fn here(&self, program: &str) -> anyhow::Result<String> {
        let mut command = Command::new(program);
        let output = command.args(self.arguments()).stderr(Stdio::inherit()).output()?;
        ensure!(output.status.success(), "the measurement failed: {}", output.status);
        Ok(String::from_utf8(output.stdout)?)
    }

    fn in_machines(&self, program: String) -> anyhow::Result<Vec<String>> {
        let kernels = if self.series.is_empty() { KERNELS.to_vec() } else { self.series.clone() };
        let arguments = self.arguments().join(" ");
        // What goes to the standard error is progress, not part of the tables.
        let command = format!(
            "{PLACE} {arguments} --at-a-time {AT_A_TIME} 2>/tmp/said || {{ cat /tmp/said; exit 1; }}"
        );
        let said = Mutex::new(BTreeMap::<_, String>::new());
        let machines = Vm::for_programs(kernels, vec![(program, PLACE.to_owned())], command, 3600);
        let done = machines.machines(|configuration, line| {
            let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
            if line == AGAIN {
                said.remove(&configuration);
                return;
            }
            let text = said.entry(configuration).or_default();
            text.push_str(line);
            text.push('\n');
        })?;
        let said = said.into_inner().unwrap_or_else(PoisonError::into_inner);
        for (configuration, end) in &done.ends {
            if let Some(how) = failure(end) {
                bail!("{configuration}: {how}: {:?}", said.get(configuration));
            }
        }
        let expected = if self.json { "{" } else { document::BEGINNING };
        for (configuration, text) in &said {
            ensure!(text.starts_with(expected), "{configuration}: {text}");
        }
        Ok(said.into_values().collect())
    }

    fn built(&self) -> anyhow::Result<String> {
        say("building the measurement");
        let mut build = vec!["build", "--quiet", "--package", "warrantd", "--bench", "kernel_cost"];
        if self.release {
            build.push("--release");
        }
        built(&build, "kernel_cost")
    }
}
