//! What the kernel layer costs: the same work with nothing loaded, outside every session, and inside one.
//!
//! `cargo xtask bench kernel` runs it. Needs root, and a host without other instances of warrantd. The
//! figures to compare are those of one run.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a tool for a terminal")]

mod actors;
mod figures;
mod loaded;
mod report;
mod rounds;
mod work;

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use warrantd::kernel::Backend;

use actors::Listener;
use loaded::Loaded;
use report::{Measured, Report};
use rounds::{Bench, Figures};
use work::Place;

/// What the kernel layer costs on this host
#[derive(Debug, Parser)]
struct Options {
    /// Rounds with each backend
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Rounds for each time that the kernel layer is loaded
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    at_a_time: u32,
    /// Only this backend; can be repeated
    #[arg(long, value_name = "NAME", value_parser = backend)]
    backend: Vec<Backend>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Given by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

fn backend(name: &str) -> Result<Backend, String> {
    let known = Backend::ALL.into_iter().find(|backend| backend.name() == name);
    known.ok_or_else(|| format!("known are {}", Backend::ALL.map(Backend::name).join(", ")))
}

fn main() -> ExitCode {
    // The same binary is the program that works.
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let Some((word, rest)) = words.split_first()
        && word == work::MARK
    {
        return work::act(rest);
    }
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Runtime::new().context("a runtime")?;
    let _entered = runtime.enter();
    let scratch = tempfile::tempdir().context("a temporary directory")?;
    let listener = Listener::new().context("a listener")?;
    let place =
        Place { file: prepare(scratch.path())?.into_os_string(), peer: listener.address()? };
    let mut bench = Bench::new(place.clone(), listener).context("the programs that work")?;
    let wanted = Backend::ALL.into_iter();
    let wanted = wanted.filter(|one| options.backend.is_empty() || options.backend.contains(one));

    let mut report = Report { measured: Vec::new(), missing: Vec::new() };
    for backend in wanted {
        // The first start removes what a measurement that was killed left attached.
        match Loaded::start(backend, &place) {
            Ok(loaded) => {
                loaded.stop();
                let figures = Figures::new();
                report.measured.push(Measured { backend, figures, programs: Vec::new() });
            }
            Err(error) => report.missing.push((backend, error.to_string())),
        }
    }
    let mut done = 0;
    while done < options.rounds {
        let now = options.at_a_time.min(options.rounds - done);
        for measured in &mut report.measured {
            bench.rounds(measured.backend, now, &mut measured.figures)?;
        }
        done += now;
        eprintln!("{done} of {} rounds", options.rounds);
    }
    let hooks = report.measured.iter().any(|measured| measured.backend == Backend::Lsm);
    for measured in &mut report.measured {
        measured.programs = bench.programs(measured.backend)?;
        // Where the hook itself runs, its own times are in the table.
        if measured.backend == Backend::Tracepoint && !hooks {
            measured.programs.push(bench.open_hook(measured.backend)?);
        }
    }
    if options.json {
        println!("{}", report.json());
    } else {
        print!("{}", report.markdown());
    }
    anyhow::ensure!(!report.measured.is_empty(), "nothing could be measured");
    Ok(())
}

/// The file that is opened, as deep as sources of a project are.
fn prepare(top: &Path) -> anyhow::Result<std::path::PathBuf> {
    std::fs::set_permissions(top, std::fs::Permissions::from_mode(0o755))?;
    let directory = top.join("project/source");
    std::fs::create_dir_all(&directory)?;
    let file = directory.join("main.rs");
    std::fs::write(&file, "fn main() {}\n")?;
    Ok(file)
}
