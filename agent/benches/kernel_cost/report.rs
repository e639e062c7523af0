//! The figures as tables, and as JSON.

use std::fmt::Write as _;
use std::fs;

use serde_json::{Value, json};
use warrantd::kernel::Backend;

use crate::figures::{Spread, added, microseconds};
use crate::rounds::{Figures, ProgramTime, State};
use crate::work::Work;

/// What was measured with one backend.
pub(crate) struct Measured {
    pub(crate) backend: Backend,
    pub(crate) figures: Figures,
    pub(crate) programs: Vec<ProgramTime>,
}

/// Everything, and why backends are missing.
pub(crate) struct Report {
    pub(crate) measured: Vec<Measured>,
    pub(crate) missing: Vec<(Backend, String)>,
}

impl Report {
    /// As Markdown, which reads well on a terminal, too.
    pub(crate) fn markdown(&self) -> String {
        let mut text = format!("## Linux {}\n\n{}.\n", kernel(), processor());
        for measured in &self.measured {
            measured.write(&mut text);
        }
        for (backend, reason) in &self.missing {
            let _ = write!(text, "\nNot on this kernel: `{backend}`: {reason}.\n");
        }
        text
    }

    /// For other programs: all figures in nanoseconds.
    pub(crate) fn json(&self) -> Value {
        let measured = self.measured.iter().map(Measured::json).collect::<Vec<_>>();
        let missing: Vec<_> = self
            .missing
            .iter()
            .map(|(backend, reason)| json!({ "backend": backend.name(), "reason": reason }))
            .collect();
        json!({ "kernel": kernel(), "processor": processor(), "measured": measured, "missing": missing })
    }
}

impl Measured {
    fn bare(&self, work: Work) -> Option<(&[f64], Spread)> {
        let figures = self.figures.get(&(work, State::Bare))?;
        Some((figures, Spread::of(figures)?))
    }

    fn write(&self, text: &mut String) {
        let rounds = self.figures.values().map(Vec::len).min().unwrap_or_default();
        let states: Vec<_> = State::ALL
            .into_iter()
            .filter(|state| self.has(*state) && *state != State::Bare)
            .collect();
        let names: Vec<_> = states.iter().map(|state| state.name()).collect();
        let _ = write!(
            text,
            "\n### Backend `{}`, {rounds} rounds\n\nMicroseconds per operation; in all columns but the \
             first, what is added to it.\n\n| operation | nothing loaded | {} |\n|---|---|{}\n",
            self.backend,
            names.join(" | "),
            "---|".repeat(names.len()),
        );
        for work in Work::ALL {
            let Some((figures, bare)) = self.bare(work) else { continue };
            let _ = write!(text, "| {} | {} |", work.described(), microseconds(bare.median));
            for state in &states {
                let spread = self
                    .figures
                    .get(&(work, *state))
                    .and_then(|own| Spread::of_differences(own, figures));
                let cell = spread.map_or_else(String::new, |spread| added(spread, bare.median));
                let _ = write!(text, " {cell} |");
            }
            text.push('\n');
        }
        self.write_programs(text);
    }

    fn write_programs(&self, text: &mut String) {
        if self.programs.is_empty() {
            return;
        }
        text.push_str(
            "\nThe programs alone, by the kernel's statistics:\n\n\
             | operation | state | program | runs per operation | ns per run |\n|---|---|---|---|---|\n",
        );
        for time in &self.programs {
            let ProgramTime { program, work, state, runs, nanoseconds } = time;
            let (work, state) = (work.described(), state.name());
            let _ =
                writeln!(text, "| {work} | {state} | `{program}` | {runs:.1} | {nanoseconds:.0} |");
        }
    }

    fn has(&self, state: State) -> bool {
        self.figures.keys().any(|(_, other)| *other == state)
    }

    fn json(&self) -> Value {
        let figures: Vec<_> = self
            .figures
            .iter()
            .filter_map(|((work, state), figures)| {
                let (bare, _) = self.bare(*work)?;
                let spread = |spread: Spread| {
                    json!({ "low": spread.low, "median": spread.median, "high": spread.high })
                };
                Some(json!({
                    "work": work.name(),
                    "state": state.name(),
                    "rounds": figures,
                    "absolute": spread(Spread::of(figures)?),
                    "added": spread(Spread::of_differences(figures, bare)?),
                }))
            })
            .collect();
        let programs: Vec<_> = self
            .programs
            .iter()
            .map(|time| {
                json!({
                    "work": time.work.name(),
                    "state": time.state.name(),
                    "program": time.program,
                    "runs": time.runs,
                    "nanoseconds": time.nanoseconds,
                })
            })
            .collect();
        json!({ "backend": self.backend.name(), "figures": figures, "programs": programs })
    }
}

fn kernel() -> String {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    // What a host adds to its kernel's version says nothing to others.
    let version = release.split(|c: char| c != '.' && !c.is_ascii_digit()).next();
    version.unwrap_or_default().to_owned()
}

fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let value = |line: &str| line.split_once(':').map(|(_, value)| value.trim().to_owned());
    let model = text.lines().find(|line| line.starts_with("model name")).and_then(value);
    let count = text.lines().filter(|line| line.starts_with("processor")).count();
    format!("{count} × {}", model.unwrap_or_else(|| "unknown processor".into()))
}
