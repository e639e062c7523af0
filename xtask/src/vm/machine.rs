//! One virtual machine, from power on to power off.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use super::job;
use super::kernels::Kernel;
use super::series::Series;

/// What the kernel is told in any case: errors end the machine, and so does a processor that does nothing else for a
/// minute; the host needs no protection from it. A busy host may not give it the processor while it counts whether its
/// timer ticks.
const PARAMETERS: &str = "console=ttyS0 quiet panic=-1 oops=panic softlockup_panic=1 watchdog_thresh=30 \
     mitigations=off random.trust_cpu=on no_timer_check";
/// What a kernel says that ended because of its emulated processors and not of what it ran.
const OF_PROCESSORS: [&str; 2] = [
    // A processor that did nothing else (`watchdog_timer_fn` in `kernel/watchdog.c`).
    "softlockup: hung tasks",
    // A breakpoint that nobody set (`do_int3` in `arch/x86/kernel/traps.c`). The kernel puts one on an instruction while
    // it replaces it, as whenever a BPF program is attached; one emulated processor may translate it while another one
    // is taking it away, and keeps what it translated.
    "int3: 0000 [#",
];
/// For the start and the end of a machine: it watches over its job itself, unless it hangs.
const GRACE: Duration = Duration::from_secs(60);
/// How much of the kernel's own words is shown when a machine fails.
const LAST_LINES: usize = 40;

/// A kernel, and whether BPF programs are among its security modules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Configuration {
    pub(crate) series: Series,
    pub(crate) bpf: bool,
}

impl std::fmt::Display for Configuration {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bpf = if self.bpf { "+bpf" } else { "-bpf" };
        write!(formatter, "{:<4} {bpf}", self.series.name())
    }
}

/// What a machine has.
#[derive(Debug)]
pub(super) struct Hardware {
    pub(super) processors: u32,
    pub(super) megabytes: u32,
    /// More of what the kernel is told.
    pub(super) parameters: String,
}

/// Runs a machine to its end. Each line of the job's output is given to `line`; the result says how the job
/// ended, `0` when it succeeded. An error is a machine that did not get so far.
pub(super) fn run(
    configuration: Configuration,
    kernel: &Kernel,
    image: &Path,
    hardware: &Hardware,
    patience: Duration,
    mut line: impl FnMut(&str),
) -> anyhow::Result<String> {
    let scratch = tempfile::tempdir().context("a temporary directory")?;
    let console = scratch.path().join("console");
    let started = Instant::now();
    let mut machine = Machine(start(configuration, kernel, image, hardware, &console)?);
    let output = machine.0.stdout.take().context("the output is piped")?;
    let (sender, lines) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        let mut output = BufReader::new(output);
        let mut bytes = Vec::new();
        while output.read_until(b'\n', &mut bytes).is_ok_and(|length| length > 0) {
            let text = String::from_utf8_lossy(&bytes).trim_end_matches(['\r', '\n']).to_owned();
            bytes.clear();
            if sender.send(text).is_err() {
                break;
            }
        }
    });
    let end = loop {
        let left = (patience + GRACE).saturating_sub(started.elapsed());
        match lines.recv_timeout(left) {
            Ok(text) => match job::read_end(&text) {
                Some((rest, end)) => {
                    if !rest.is_empty() {
                        line(rest);
                    }
                    break Ok(end.to_owned());
                }
                None => line(&text),
            },
            Err(RecvTimeoutError::Timeout) => {
                break Err(format!(
                    "hangs: it gave no sign within {} s",
                    (patience + GRACE).as_secs()
                ));
            }
            Err(RecvTimeoutError::Disconnected) => {
                break Err("ended before its job did".to_owned());
            }
        }
    };
    drop(machine);
    // Ends with the machine, which has the other end of its pipe.
    let _ = reader.join();
    let console = fs::read(&console).unwrap_or_default();
    let console = String::from_utf8_lossy(&console);
    complaints(&console).for_each(|text| line(&format!("{OF_KERNEL}{text}")));
    match end {
        Ok(end) if end.bytes().all(|digit| digit.is_ascii_digit()) => Ok(end),
        Ok(how) | Err(how) => {
            let broken = broken_processors(&console).map(|sign| format!(" ({sign})"));
            let broken = broken.unwrap_or_default();
            bail!("{how}{broken}; the kernel's last words:\n{}", last_words(&console))
        }
    }
}

fn start(
    configuration: Configuration,
    kernel: &Kernel,
    image: &Path,
    hardware: &Hardware,
    console: &Path,
) -> anyhow::Result<Child> {
    let modules = configuration.series.security_modules(configuration.bpf).unwrap_or_default();
    let parameters = format!("{PARAMETERS} {modules} {}", hardware.parameters);
    let mut command = Command::new("qemu-system-x86_64");
    command
        .args(["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"])
        // Every instruction is emulated: that works on every host, also on one that is a machine of this kind.
        .args(["-accel", "tcg,thread=multi", "-cpu", "max,la57=off"])
        .args(["-smp", &hardware.processors.to_string(), "-m", &hardware.megabytes.to_string()])
        .arg("-serial")
        .arg(format!("file:{}", console.display()))
        .args(["-serial", "stdio"])
        .arg("-kernel")
        .arg(&kernel.image)
        .arg("-initrd")
        .arg(image)
        .args(["-append", &parameters])
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    command.spawn().context("cannot run qemu-system-x86_64")
}

/// What the kernel said at last.
fn last_words(console: &str) -> String {
    let lines: Vec<_> =
        console.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    let from = lines.len().saturating_sub(LAST_LINES);
    if lines.is_empty() { "(it said nothing)".into() } else { lines[from..].join("\n") }
}

/// The sign of emulated processors that failed, wherever it stands in what was said.
pub(super) fn broken_processors(said: &str) -> Option<&'static str> {
    OF_PROCESSORS.into_iter().find(|sign| said.contains(sign))
}

/// Errors of the kernel itself, which tests may have brought about without failing.
fn complaints(console: &str) -> impl Iterator<Item = &str> {
    let marks = ["BUG: ", "WARNING: ", "Oops: ", "Kernel panic", "INFO: task "];
    console.lines().filter(move |line| marks.iter().any(|mark| line.contains(mark)))
}

/// Begins the lines that are not of the job.
pub(super) const OF_KERNEL: &str = "the kernel says: ";

/// Ends with the scope.
struct Machine(Child);

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_words_and_complaints_are_told() {
        let console =
            "[    1.2] hello\r\n\r\n[    2.0] WARNING: CPU: 0 PID: 1 at kernel/bpf/x.c\r\n";
        assert_eq!(complaints(console).count(), 1);
        assert!(last_words(console).ends_with("kernel/bpf/x.c"));
        let long: Vec<_> = (0..100).map(|number| format!("line {number}")).collect();
        assert!(last_words(&long.join("\n")).starts_with("line 60\n"));
        assert_eq!(last_words(" \n"), "(it said nothing)");
    }

    #[test]
    fn broken_processors_are_told_from_broken_programs() {
        let breakpoint = "[   45.31] Oops: int3: 0000 [#1] PREEMPT SMP NOPTI";
        assert!(broken_processors(breakpoint).is_some());
        assert!(broken_processors("[ 9.1] int3: 0000 [#1] SMP NOPTI").is_some());
        let panic = "[ 9.1] Kernel panic - not syncing: softlockup: hung tasks";
        assert!(broken_processors(panic).is_some());
        let program = "[   45.31] Oops: Oops: 0000 [#1] PREEMPT SMP NOPTI\nRIP: 0010:bpf_prog_1";
        assert_eq!(broken_processors(program), None);
    }
}
