//! `warrantd report`: what the audit log tells of a time or an incident, as a page for people.

use std::fs::{self, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::audit::{With, logs, time};
use super::{Failure, output};
use crate::audit::LogFiles;
use crate::config::Span;
use crate::report::{About, Asked, Scope, Summary, Target, Work, read};

/// Where the log is by default, and the key that checks it.
const LOG: &str = "/var/log/warrantd";
const KEY: &str = "/var/lib/warrantd/audit.pub";
/// How often progress is told.
const EVERY: Duration = Duration::from_millis(200);

/// Write one HTML file about a time or an incident
///
/// It opens in any browser without network access, and has a summary, the time line, what calls did
/// beside what they were allowed, denials, peers, verdicts, whether the log is as it was written, and the records
/// themselves. An incident is a call, by the correlation id that its error names; a session; a record, by its
/// number; or the last alert (`alert`, `alert:RULE`); with it comes all that belongs to it. Exits 1 when the log is
/// not as it was written.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  warrantd report --since 24h --out today.html
  warrantd report --incident 0192f3c4-5a6b-7c8d-9e0f-1a2b3c4d5e6f --out incident.html
  warrantd report --since 2026-01-31T12:00:00Z --until 2026-01-31T13:00:00Z --actor assistant \\
    --key audit.pub --out noon.html /mnt/evidence/warrantd")]
pub(super) struct Report {
    /// Directory of the log, or some of its files
    #[arg(value_name = "DIR|FILE", default_value = LOG)]
    logs: Vec<PathBuf>,
    /// The file to write; one that is there is replaced
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Not before: a time such as 2026-01-31T12:00:00Z, or so long ago, such as 15m or 2d
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<Timestamp>,
    /// Not after
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<Timestamp>,
    /// Of this caller, and of the daemon itself
    #[arg(long, value_name = "ID")]
    actor: Option<String>,
    /// Of this server, and of the daemon itself
    #[arg(long, value_name = "ID")]
    server: Option<String>,
    /// About this, and what belongs to it: a correlation id, a session, a record's number, or an alert
    #[arg(long, value_name = "ID|N|alert", conflicts_with_all = ["since", "until", "actor", "server"])]
    incident: Option<Target>,
    /// How much time before and after the incident is of interest
    #[arg(long, value_name = "TIME", default_value = "60s", requires = "incident")]
    around: Span,
    /// Records that are listed one by one, at most
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    records: usize,
    #[command(flatten)]
    with: With,
    /// Print facts as JSON
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Facts<'a> {
    out: &'a Path,
    bytes: usize,
    #[serde(flatten)]
    summary: Summary,
}

impl Report {
    pub(super) fn execute(mut self) -> Result<ExitCode, Failure> {
        // That of the log that is meant, where nothing else is said.
        let usual = self.logs == [Path::new(LOG)] && Path::new(KEY).exists();
        if self.with.key.is_none() && usual {
            self.with.key = Some(KEY.into());
        }
        let means = self.with.means()?;
        let files = logs(&self.logs)?;
        let written = Timestamp::now();
        let mut progress = Progress::new(&files);
        let report =
            read(&files, self.asked()?, &means, &mut |work, bytes| progress.tell(work, bytes));
        progress.end();
        let report = report.map_err(Failure::other)?;
        let name = |path: &PathBuf| path.display().to_string();
        let about = About {
            logs: self.logs.iter().map(name).collect(),
            key: self.with.key.as_ref().map(name),
            written,
        };
        let page = report.page(&about).map_err(Failure::other)?;
        write(&self.out, page.as_bytes())?;
        let summary = report.summary();
        if self.json {
            let facts = Facts { out: &self.out, bytes: page.len(), summary };
            output::line(&serde_json::to_string_pretty(&facts).map_err(Failure::other)?)?;
        } else {
            output::line(&self.describe(&summary, page.len()))?;
        }
        Ok(if report.is_intact() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn asked(&self) -> Result<Asked, Failure> {
        let around = SignedDuration::try_from(self.around.0);
        let around = around.map_err(|error| Failure::Usage(format!("--around: {error}")))?;
        let scope = Scope {
            since: self.since,
            until: self.until,
            actor: self.actor.clone(),
            server: self.server.clone(),
        };
        let incident = self.incident.clone().map(|target| (target, around));
        Ok(Asked { scope, incident, rows: self.records })
    }

    fn describe(&self, summary: &Summary, bytes: usize) -> String {
        let (out, size) = (self.out.display(), bytes.div_ceil(1024));
        let Summary { records, listed, calls, .. } = summary;
        let mut lines = vec![format!(
            "{out}: {} calls, {records} records of which {listed} are listed, {size} KiB",
            calls.total
        )];
        lines.extend(summary.attention.iter().map(|point| format!("  {point}")));
        lines.join("\n")
    }
}

/// Writes a file that is whole or not there. What it tells of is for those who may read the log.
fn write(path: &Path, text: &[u8]) -> Result<(), Failure> {
    let failed =
        |error: io::Error| Failure::Other(format!("cannot write {}: {error}", path.display()));
    // A pipe or a device is written to, and not replaced.
    if path.metadata().is_ok_and(|meta| !meta.is_file()) {
        let file = OpenOptions::new().write(true).open(path);
        return file.and_then(|mut file| file.write_all(text)).map_err(failed);
    }
    let target = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let mut name = target.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}", std::process::id()));
    let aside = target.with_file_name(name);
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o640).open(&aside)?;
        file.write_all(text)?;
        fs::rename(&aside, &target)
    };
    write().map_err(|error| {
        let _ = fs::remove_file(&aside); // It may not have come to be.
        failed(error)
    })
}

/// Says on a terminal how far reading has got.
struct Progress {
    total: u64,
    told: Option<Instant>,
    any: bool,
}

impl Progress {
    fn new(logs: &[LogFiles]) -> Self {
        let size = |path: &PathBuf| path.metadata().map_or(0, |meta| meta.len());
        let parts = logs.iter().flat_map(|log| &log.files);
        let total = parts.map(|part| size(&part.path)).sum();
        let told = io::stderr().is_terminal().then(Instant::now);
        Self { total, told, any: false }
    }

    #[allow(clippy::print_stderr)] // For who waits at a terminal.
    fn tell(&mut self, work: Work, bytes: u64) {
        let Some(told) = self.told.filter(|told| told.elapsed() >= EVERY) else { return };
        self.told = Some(told + told.elapsed());
        self.any = true;
        let work = match work {
            Work::Seeking => "looking for what belongs to the incident",
            Work::Counting => "checking and counting",
        };
        let percent = bytes * 100 / self.total.max(1);
        eprint!("\r\x1b[K{work}: {} MiB ({percent} %)", bytes >> 20);
    }

    #[allow(clippy::print_stderr)] // As above.
    fn end(&self) {
        if self.any {
            eprint!("\r\x1b[K");
        }
    }
}
