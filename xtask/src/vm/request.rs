//! What was asked for on the command line.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::machine::Configuration;
use super::series::Series;

/// Whether `bpf` is in the list of security modules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Switch {
    On,
    Off,
}

/// What to run, and where.
#[derive(Debug, Args)]
pub(crate) struct Vm {
    /// In a Debian with systemd (of the release with kernel 6.12, unless `--kernel` says otherwise), run the tests
    /// of the installed package
    #[arg(long)]
    pub(super) systemd: bool,
    /// With `--systemd`, the package to install instead of one that is made now
    #[arg(long, value_name = "FILE", requires = "systemd")]
    pub(super) package: Option<PathBuf>,
    /// Only this kernel series; can be repeated
    #[arg(long, value_name = "SERIES")]
    pub(super) kernel: Vec<Series>,
    /// Only with `bpf` in the list of security modules, or only without
    #[arg(long, value_name = "on|off")]
    pub(super) lsm_bpf: Option<Switch>,
    /// A variable for the tests; can be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = variable)]
    pub(super) env: Vec<(String, String)>,
    /// Run this shell command instead of the tests
    #[arg(long, value_name = "COMMAND", conflicts_with = "arguments")]
    pub(super) shell_command: Option<String>,
    /// Another file for the machine, with the libraries that it is linked with; can be repeated
    #[arg(long, value_name = "HOST:GUEST", value_parser = copy)]
    pub(super) file: Vec<(String, String)>,
    /// A parameter for the kernel, such as `preempt=full`; can be repeated
    #[arg(long, value_name = "PARAMETER")]
    pub(super) parameter: Vec<String>,
    /// Write the table of what was measured into tests/kernel-matrix.md
    #[arg(long, conflicts_with_all = ["systemd", "kernel", "parameter", "lsm_bpf", "shell_command", "arguments"])]
    pub(super) write_table: bool,
    /// Fetch newer kernels of the same series, and with `--systemd` newer packages of the release
    #[arg(long)]
    pub(super) update: bool,
    /// How many machines run at a time
    #[arg(long, default_value_t = 2)]
    pub(super) jobs: usize,
    /// Processors of a machine
    #[arg(long, default_value_t = 2)]
    pub(super) processors: u32,
    /// Memory of a machine, in MiB [default: 1024, and 1536 with `--systemd`, which is all in memory]
    #[arg(long)]
    pub(super) memory: Option<u32>,
    /// How long a job may take, in seconds
    #[arg(long, default_value_t = 1800)]
    pub(super) patience: u64,
    /// Arguments for the tests: filters, `--test-threads=1`
    #[arg(last = true)]
    pub(super) arguments: Vec<String>,
}

impl Vm {
    /// A shell command with programs of this machine, one machine at a time with `bpf` among its security
    /// modules, so that it has the processors to itself.
    pub(crate) fn for_programs(
        kernel: Vec<Series>,
        programs: Vec<(String, String)>,
        shell_command: String,
        patience: u64,
    ) -> Self {
        Self {
            kernel,
            lsm_bpf: Some(Switch::On),
            shell_command: Some(shell_command),
            file: programs,
            jobs: 1,
            patience,
            ..Self::default()
        }
    }
}

impl Vm {
    /// The tests of the installed package.
    pub(crate) fn installed() -> Self {
        Self { systemd: true, ..Self::default() }
    }
}

/// The whole matrix.
impl Default for Vm {
    fn default() -> Self {
        Self {
            systemd: false,
            package: None,
            kernel: Vec::new(),
            lsm_bpf: None,
            env: Vec::new(),
            shell_command: None,
            file: Vec::new(),
            parameter: Vec::new(),
            write_table: false,
            update: false,
            jobs: 2,
            processors: 2,
            memory: None,
            patience: 1800,
            arguments: Vec::new(),
        }
    }
}

impl Vm {
    /// Memory of a machine, in MiB.
    pub(super) fn megabytes(&self) -> u32 {
        self.memory.unwrap_or(if self.systemd { 1536 } else { 1024 })
    }

    /// The machines that were asked for. The kernel tests run with and without `bpf` among the security modules;
    /// all else runs with it.
    pub(super) fn configurations(&self) -> Vec<Configuration> {
        let lists: &[bool] = match self.lsm_bpf {
            Some(Switch::On) => &[true],
            Some(Switch::Off) => &[false],
            None if self.systemd || self.shell_command.is_some() => &[true],
            None => &[true, false],
        };
        let with = |series| lists.iter().map(move |bpf| Configuration { series, bpf: *bpf });
        self.series().into_iter().flat_map(with).collect()
    }

    /// Which machines run which tests. Unless something else is asked for, those without `bpf` among
    /// the security modules only try the ways out: the rest does not depend on it.
    pub(super) fn shares(&self) -> Vec<(Vec<Configuration>, Vec<String>)> {
        let all = self.configurations();
        if self.systemd {
            // Each release has a tree of its own.
            let alone = |configuration| (vec![configuration], self.arguments.clone());
            return all.into_iter().map(alone).collect();
        }
        if self.shell_command.is_some() || !self.arguments.is_empty() || self.lsm_bpf.is_some() {
            return vec![(all, self.arguments.clone())];
        }
        let (with, without) = all.into_iter().partition(|configuration| configuration.bpf);
        vec![(with, Vec::new()), (without, vec!["matrix".to_owned()])]
    }

    /// The kernels among them.
    pub(super) fn series(&self) -> Vec<Series> {
        let wanted = |series: &Series| match self.kernel.as_slice() {
            [] => !self.systemd || *series == Series::V6_12,
            kernels => kernels.contains(series),
        };
        Series::value_variants().iter().copied().filter(wanted).collect()
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_run_on_every_kernel_with_both_lists() {
        let all = Vm::default().configurations();
        assert_eq!(all.len(), 2 * Series::value_variants().len());
        let command = Vm { shell_command: Some("true".into()), ..Vm::default() };
        assert!(command.configurations().iter().all(|configuration| configuration.bpf));
        assert_eq!(
            Vm::installed().shares(),
            [(vec![Configuration { series: Series::V6_12, bpf: true }], Vec::new())]
        );
        let one = Vm { kernel: vec![Series::V6_1], lsm_bpf: Some(Switch::Off), ..Vm::default() };
        let expected = [Configuration { series: Series::V6_1, bpf: false }];
        assert_eq!(one.configurations(), expected);
    }

    #[test]
    fn pairs_are_split_at_their_first_sign() {
        assert_eq!(variable("A=b=c"), Ok(("A".into(), "b=c".into())));
        assert_eq!(copy("a:/b"), Ok(("a".into(), "/b".into())));
        assert!(variable("A").is_err() && copy("a").is_err() && copy("a:b").is_err());
    }
}
