//! Measures; `cargo xtask bench` builds what takes part and runs this.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a tool for a terminal")]

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::{Args, Parser, Subcommand};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde_json::json;
use warrantd_bench::figures::Stretch;
use warrantd_bench::lines::Lines;
use warrantd_bench::load::run;
use warrantd_bench::machine::Machine;
use warrantd_bench::peers::{self, Peer};
use warrantd_bench::rows::{Bench, Settings};
use warrantd_bench::soak::Soak;
use warrantd_bench::stage::Stage;
use warrantd_bench::{daemon, report};
use warrantd_tests::needs::{Need, missing};

/// Measure what warrantd costs on the way of a call
#[derive(Debug, Parser)]
#[command(name = "warrantd-bench")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The table
    Rows(Rows),
    /// A long time under load, with reloads
    Soak(SoakFor),
    /// Calls on a socket, for profiles
    Load(Load),
    /// A daemon to make calls to, until standard input ends
    Serve(Serve),
}

#[derive(Debug, Args)]
struct Rows {
    /// Rounds of each comparison
    #[arg(long, default_value_t = 21)]
    rounds: usize,
    /// Only rows whose name has this in it; can be repeated
    #[arg(long = "rows", value_name = "FILTER")]
    filters: Vec<String>,
    /// Fewer and shorter of everything
    #[arg(long)]
    quick: bool,
    /// Where to write what was measured, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Where to write the page
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
    /// The program with the micro benchmarks
    #[arg(long, value_name = "FILE")]
    micro: Option<PathBuf>,
    /// Why a peer is not there
    #[arg(long, value_name = "PEER: REASON")]
    missing: Vec<String>,
}

#[derive(Debug, Args)]
struct SoakFor {
    /// How long
    #[arg(long, default_value_t = 30)]
    minutes: u64,
    /// A line of figures every so many seconds
    #[arg(long, default_value_t = 60)]
    every: u64,
    /// Leave the daemon with the configuration it started with
    #[arg(long)]
    no_reload: bool,
    /// Where to write what was found, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct Load {
    /// The socket
    socket: PathBuf,
    /// Calls in flight in each session
    #[arg(long, default_value_t = 1)]
    in_flight: usize,
    /// Sessions
    #[arg(long, default_value_t = 1)]
    sessions: usize,
    /// How long
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Without an API key
    #[arg(long)]
    no_key: bool,
}

#[derive(Debug, Args)]
struct Serve {
    /// Arguments of the null server
    flags: Vec<String>,
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Rows(rows) => rows.execute(),
        Command::Soak(soak) => soak.execute(),
        Command::Load(load) => load.execute(),
        Command::Serve(serve) => serve.execute(),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn prepare() -> anyhow::Result<Stage> {
    if let Some(reason) = missing(&[Need::Kernel]) {
        anyhow::bail!("this measures with the kernel's view: {reason}");
    }
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    Stage::new()
}

impl Rows {
    fn execute(self) -> anyhow::Result<ExitCode> {
        let rounds = if self.quick { self.rounds.min(3) } else { self.rounds };
        let pick = |full: usize, quick| if self.quick { quick } else { full };
        let settings = Settings {
            rounds,
            stretch: Duration::from_millis(if self.quick { 100 } else { 400 }),
            idle: pick(200, 50),
            sessions: pick(1000, 100),
            rules: 10_000,
            starts: pick(11, 3),
            filters: self.filters,
            micro: self.micro,
        };
        let mut bench = Bench {
            settings,
            stage: prepare()?,
            raw: Vec::new(),
            rows: Vec::new(),
            notes: peers::missing(&self.missing),
        };
        bench.measure()?;
        ensure!(!bench.rows.is_empty(), "no row has that in its name");
        let mut machine = Machine::here();
        let installed = Peer::ALL.into_iter().filter(|peer| peer.is_installed());
        machine
            .versions
            .extend(installed.map(|peer| (peer.name().to_owned(), peer.version().to_owned())));
        let method = format!("{rounds} rounds.");
        let page = report::page(&machine, &method, &bench.rows, &bench.notes);
        print!("{page}");
        if let Some(file) = self.json {
            let found = json!({
                "machine": machine, "rounds": rounds, "rows": bench.rows, "notes": bench.notes,
                "measurements": bench.raw,
            });
            fs::write(&file, serde_json::to_vec_pretty(&found)?)
                .with_context(|| file.display().to_string())?;
            println!("\nwhat was measured: {}", file.display());
        }
        if let Some(file) = self.page {
            fs::write(&file, page).with_context(|| file.display().to_string())?;
        }
        let reached = bench.rows.iter().all(|row| row.is_reached() != Some(false));
        Ok(ExitCode::from(u8::from(!reached)))
    }
}

impl SoakFor {
    fn execute(self) -> anyhow::Result<ExitCode> {
        let stage = prepare()?;
        let soak = Soak {
            length: Duration::from_secs(self.minutes * 60),
            every: Duration::from_secs(self.every),
            reloads: !self.no_reload,
        };
        println!("| second | calls/s | p50 µs | p99 µs | RSS MiB | visits | reloads |");
        println!("|---|---|---|---|---|---|---|");
        let found = soak.run(&stage, |part| {
            let figures = &part.figures;
            println!(
                "| {} | {:.0} | {:.0} | {:.0} | {:.1} | {} | {} |",
                part.seconds,
                figures.rate,
                figures.p50_us,
                figures.p99_us,
                part.memory.rss / 1024.0,
                part.visits,
                part.reloads
            );
        })?;
        println!("\npeak before: {:.0} calls/s", found.peak);
        for error in &found.errors {
            println!("{error}");
        }
        let verdicts = found.verdicts();
        for (what, good) in &verdicts {
            println!("{}: {what}", if *good { "good" } else { "NOT GOOD" });
        }
        if let Some(file) = self.json {
            fs::write(&file, serde_json::to_vec_pretty(&found)?)?;
        }
        Ok(ExitCode::from(u8::from(!verdicts.iter().all(|(_, good)| *good))))
    }
}

impl Load {
    fn execute(self) -> anyhow::Result<ExitCode> {
        let key = (!self.no_key).then_some(daemon::KEY);
        let open = (0..self.sessions).map(|_| Lines::connect(&self.socket, key));
        let mut channels: Vec<Lines> = open.collect::<anyhow::Result<_>>()?;
        let length = Duration::from_secs_f64(self.seconds);
        let stretch = run(&mut channels, self.in_flight, length, &mut 0).map(Stretch::figures)?;
        println!("{}", serde_json::to_string(&stretch)?);
        Ok(ExitCode::SUCCESS)
    }
}

impl Serve {
    fn execute(self) -> anyhow::Result<ExitCode> {
        let stage = prepare()?;
        let plan = warrantd_bench::stage::Plan {
            flags: self.flags,
            ..warrantd_bench::stage::Plan::small("null")
        };
        let daemon = daemon::Daemon::start(&stage, "serve", &[plan])?;
        println!("{} {}", daemon.pid(), daemon.socket("null").display());
        std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
        Ok(ExitCode::SUCCESS)
    }
}
