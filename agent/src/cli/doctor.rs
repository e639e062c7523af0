//! `warrantd doctor`: what this host's kernel lets warrantd do, found out by doing it.

use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::{Failure, kernel, output};
use crate::kernel::{Backend, Kernel, KernelOptions, floor_shortcomings};

/// Look at this host: what its kernel enforces and shows, and what stays out of sight
///
/// Starts the kernel layer for a moment, with its self-test, beside whatever runs. Needs the rights that
/// `warrantd serve` needs.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  sudo warrantd doctor\n\nExit code 1: warrantd cannot work here"
)]
pub(super) struct Doctor {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What was found.
#[derive(Debug, Serialize)]
struct Findings {
    /// Release of the running kernel.
    kernel: String,
    /// Why the kernel layer does not start; null when it does.
    obstacle: Option<String>,
    /// The observer of files and programs that is used.
    observer: Option<&'static str>,
    /// Whether it can refuse files and programs (`effects.enforce`).
    enforces_files: bool,
    /// Better observers, and why they are not used.
    passed_over: Vec<Passed>,
    /// What stays unseen or cannot be refused.
    limits: Vec<String>,
    /// What `effects.landlock` cannot refuse here, or why there is none.
    landlock: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Passed {
    observer: &'static str,
    why: String,
}

impl Doctor {
    pub(super) fn execute(self) -> Result<ExitCode, Failure> {
        let findings = examine();
        if self.json {
            output::line(&serde_json::to_string(&findings).map_err(Failure::other)?)?;
        } else {
            describe(&findings).iter().try_for_each(|line| output::line(line))?;
        }
        Ok(if findings.obstacle.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn examine() -> Findings {
    let kernel = nix::sys::utsname::uname()
        .map_or_else(|_| "unknown".to_owned(), |name| name.release().to_string_lossy().into());
    let landlock = match floor_shortcomings() {
        Ok(shortcomings) => shortcomings.into_iter().map(str::to_owned).collect(),
        Err(error) => vec![error.to_string()],
    };
    let findings = Findings {
        kernel,
        obstacle: None,
        observer: None,
        enforces_files: false,
        passed_over: Vec::new(),
        limits: Vec::new(),
        landlock,
    };
    let options = kernel::options(format!("doctor-{}", std::process::id()));
    // What a dead instance left is evidence, and belongs into a log that this command does not write.
    match Kernel::start(&KernelOptions { cleans_up: false, ..options }) {
        Err(error) => Findings { obstacle: Some(error.to_string()), ..findings },
        Ok(layer) => {
            let backend = layer.backend();
            let lacking = layer.lacking().iter().map(|hook| format!("no hook {hook}"));
            let spots = backend.blind_spots().iter().map(|spot| (*spot).to_owned());
            let passed = |(backend, why): &(Backend, String)| Passed {
                observer: backend.name(),
                why: why.clone(),
            };
            Findings {
                observer: Some(backend.name()),
                enforces_files: backend.enforces_files(),
                passed_over: layer.passed_over().iter().map(passed).collect(),
                limits: spots.chain(lacking).collect(),
                ..findings
            }
        }
    }
}

/// The findings for people, a topic at the beginning of a line.
fn describe(findings: &Findings) -> Vec<String> {
    let mut lines = vec![format!("kernel     {}", findings.kernel)];
    if let Some(obstacle) = &findings.obstacle {
        lines.push(format!("FAILED     {}", obstacle.replace('\n', "\n           ")));
        return lines;
    }
    lines.push("network    enforced, proved by the self-test".to_owned());
    let observer = findings.observer.unwrap_or("none");
    let power = if findings.enforces_files { "enforced on request" } else { "observed" };
    lines.push(format!("files      {power}, by {observer}"));
    for passed in &findings.passed_over {
        lines.push(format!("           not by {}: {}", passed.observer, passed.why));
    }
    for (index, limit) in findings.limits.iter().enumerate() {
        lines.push(format!("{:<10} {limit}", if index == 0 { "limits" } else { "" }));
    }
    match findings.landlock.as_slice() {
        [] => lines.push("landlock   complete".to_owned()),
        missing => missing.iter().enumerate().for_each(|(index, line)| {
            lines.push(format!("{:<10} {line}", if index == 0 { "landlock" } else { "" }));
        }),
    }
    lines
}
