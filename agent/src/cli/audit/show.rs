//! `warrantd audit show`, `tail` and `export`: the log's records for people and for programs.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::filter::Filter;
use super::render::Style;
use crate::audit::format::{Origin, render};
use crate::audit::{LogFiles, ReadError, Reader, logs_in, logs_of};
use crate::cli::{Failure, output};
use crate::config::ShipFormat;

/// How often a log that is followed is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// Print calls with their effects, as people read them
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  warrantd audit show --verdict exceeded --since 1d
  warrantd audit show --correlation 0192f3c4-5a6b-7c8d-9e0f-1a2b3c4d5e6f")]
pub(super) struct Show {
    /// Directory of the log, or some of its files
    #[arg(value_name = "DIR|FILE", default_value = "/var/log/warrantd")]
    logs: Vec<PathBuf>,
    #[command(flatten)]
    filter: Filter,
    /// Print the records as they are, one a line
    #[arg(long)]
    json: bool,
}

/// Print the last records, and those that come
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  warrantd audit tail -n 20 --decision deny")]
pub(super) struct Tail {
    /// Directory of the log
    #[arg(value_name = "DIR", default_value = "/var/log/warrantd")]
    dir: PathBuf,
    /// Records to begin with
    #[arg(short = 'n', value_name = "COUNT", default_value_t = 10)]
    count: usize,
    /// The log, where the directory has several [default: audit, else the newest]
    #[arg(long, value_name = "NAME")]
    log: Option<String>,
    /// End with the last record instead of waiting for more
    #[arg(long)]
    no_follow: bool,
    #[command(flatten)]
    filter: Filter,
    /// Print the records as they are, one a line
    #[arg(long)]
    json: bool,
}

/// Write records in a format that other programs take
///
/// But for the native one, a record with effects becomes several events: one for itself, one for each effect
/// beyond ambient, and a finding where it did more than its warrant allows. They are those that are shipped.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  warrantd audit export --since 7d > week.jsonl
  warrantd audit export --format ocsf --verdict exceeded")]
pub(super) struct Export {
    /// Directory of the log, or some of its files
    #[arg(value_name = "DIR|FILE", default_value = "/var/log/warrantd")]
    logs: Vec<PathBuf>,
    /// The format
    #[arg(long, value_enum, default_value_t = ShipFormat::Native)]
    format: ShipFormat,
    #[command(flatten)]
    filter: Filter,
}

impl Show {
    pub(super) fn execute(self) -> Result<ExitCode, Failure> {
        let style = Style::of_output();
        self.filter.check()?;
        each(&self.logs, &self.filter, |line, record| {
            output::line(&if self.json { line.to_owned() } else { style.record(record) })
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Export {
    pub(super) fn execute(self) -> Result<ExitCode, Failure> {
        self.filter.check()?;
        let origin = Origin::here();
        each(&self.logs, &self.filter, |line, _| {
            let events = render(self.format, line.as_bytes(), &origin);
            events.iter().try_for_each(|event| output::line(&event.text))
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Tail {
    pub(super) fn execute(self) -> Result<ExitCode, Failure> {
        self.filter.check()?;
        let (name, from) = self.place()?;
        let mut reader = Reader::open(&self.dir, &name, from).map_err(Failure::other)?;
        let style = Style::of_output();
        let shown = |line: &str, record: &Value| {
            output::line(&if self.json { line.to_owned() } else { style.record(record) })
        };
        let mut last = VecDeque::new();
        while let Some(line) = reader.next().map_err(Failure::other)? {
            let wanted = wanted(&line.bytes, &self.filter);
            last.extend(wanted);
            if last.len() > self.count {
                last.pop_front();
            }
        }
        last.iter().try_for_each(|(line, record)| shown(line, record))?;
        if self.no_follow {
            return Ok(ExitCode::SUCCESS);
        }
        loop {
            match reader.next() {
                Ok(Some(line)) => {
                    if let Some((line, record)) = wanted(&line.bytes, &self.filter) {
                        shown(&line, &record)?;
                    }
                }
                Ok(None) => thread::sleep(LOOK),
                // Who reads too slowly misses what is deleted meanwhile, and is told.
                Err(ReadError::Gone { wanted, first }) => {
                    tracing::warn!("records {wanted} to {} were deleted unread", first - 1);
                    reader = Reader::open(&self.dir, &name, first).map_err(Failure::other)?;
                }
                Err(error) => return Err(Failure::other(error)),
            }
        }
    }

    /// The log, and a record from which on there is enough.
    fn place(&self) -> Result<(String, u64), Failure> {
        let logs = logs_in(&self.dir).map_err(|error| unreadable(&self.dir, &error))?;
        let name = |name: &str| logs.iter().find(|log| log.name == name);
        let log = match &self.log {
            Some(wanted) => name(wanted),
            None => name("audit").or(logs.last()),
        };
        let Some(log) = log else {
            let dir = self.dir.display();
            return Err(Failure::Other(format!("{dir} has no such log")));
        };
        let from = log.files.iter().rev().find_map(|part| part.first);
        Ok((log.name.clone(), from.unwrap_or(1)))
    }
}

/// A line's text and its record, if it is one that is wanted.
fn wanted(line: &[u8], filter: &Filter) -> Option<(String, Value)> {
    let record: Value = serde_json::from_slice(line).ok()?;
    let text = String::from_utf8(line.to_vec()).ok()?;
    filter.accepts(&record).then_some((text, record))
}

/// Does something with each record that is wanted.
fn each(
    paths: &[PathBuf],
    filter: &Filter,
    mut with: impl FnMut(&str, &Value) -> Result<(), Failure>,
) -> Result<(), Failure> {
    for log in logs(paths)? {
        for part in &log.files {
            let shown = &part.path;
            let file = part.open().map_err(|error| unreadable(shown, &error))?;
            for (number, line) in (1_usize..).zip(BufReader::new(file).split(b'\n')) {
                let line = line.map_err(|error| unreadable(shown, &error))?;
                match (serde_json::from_slice::<Value>(&line), String::from_utf8(line)) {
                    (Ok(record), Ok(line)) if filter.accepts(&record) => with(&line, &record)?,
                    (Ok(_), Ok(_)) => {}
                    _ => tracing::warn!("{}:{number} is no record", shown.display()),
                }
            }
        }
    }
    Ok(())
}

/// The logs that are meant by directories and files.
pub(in crate::cli) fn logs(paths: &[PathBuf]) -> Result<Vec<LogFiles>, Failure> {
    let (dirs, files): (Vec<&PathBuf>, Vec<&PathBuf>) =
        paths.iter().partition(|path| path.is_dir());
    let mut logs = logs_of(&files.into_iter().cloned().collect::<Vec<_>>());
    for dir in dirs {
        let found = logs_in(dir).map_err(|error| unreadable(dir, &error))?;
        if found.is_empty() {
            let dir = dir.display();
            return Err(Failure::Other(format!("{dir} has no log files (*.jsonl)")));
        }
        logs.extend(found);
    }
    Ok(logs)
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::Other(format!("cannot read {}: {error}", path.display()))
}
