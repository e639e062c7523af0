//! Reads the log for a report.

use std::io::{self, BufRead, BufReader, Read};

use aho_corasick::AhoCorasick;
use jiff::{SignedDuration, Timestamp};
use memchr::memmem;
use serde::Serialize;

use super::attention::points;
use super::entry::Entry;
use super::facts::Facts;
use super::incident::{Incident, Target};
use super::outcome::Outcome;
use super::point::Point;
use super::scope::Scope;
use crate::audit::{self, LogFiles, Means, verify_each};

/// Bytes of a line, at most; verification says where there is a longer one.
const LONGEST: u64 = 64 << 20;

/// What a report shall be about.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Records of a range; not used for an incident.
    pub scope: Scope,
    /// What happened, and how much time before and after it is of interest.
    pub incident: Option<(Target, SignedDuration)>,
    /// Records that are listed one by one, at most.
    pub rows: usize,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A file cannot be read.
    #[error("cannot read the audit log: {0}")]
    Read(#[from] io::Error),
    /// Nothing is known of the incident.
    #[error(
        "no record of the log is of {0}; name a correlation id (as errors have it), a session, a record's number, \
         or `alert`"
    )]
    NotFound(String),
    /// The page cannot be written.
    #[error("cannot write the report: {0}")]
    Page(#[from] askama::Error),
}

/// What is done, for who waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Looking for the incident, and for what belongs to it.
    Seeking,
    /// Checking the chain and counting.
    Counting,
}

/// What the log tells.
#[derive(Debug)]
pub struct Report {
    pub(super) asked: Asked,
    pub(super) facts: Facts,
    /// The time that an incident takes in, with what is around it.
    pub(super) window: Option<(Timestamp, Timestamp)>,
    /// What verification came to, log by log.
    pub(super) logs: Vec<audit::Report>,
    /// The file of each log, if it is the only one of it and not of the only log.
    pub(super) places: Vec<Option<String>>,
    /// Fingerprint of the key that signatures were checked with.
    pub(super) key: Option<String>,
    /// Ids of logs of which a checkpoint was kept elsewhere, and that are not here.
    pub(super) lacking: Vec<String>,
}

/// A report in few figures, for programs.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// Whether the log is as it was written.
    pub intact: bool,
    /// Whether signatures were checked.
    pub with_key: bool,
    /// Records that the report is about.
    pub records: u64,
    /// How many of them it lists.
    pub listed: usize,
    /// Calls, by how they came out.
    pub calls: Calls,
    /// What needs attention, in words; the first is the most urgent.
    pub attention: Vec<String>,
}

/// Calls, by how they came out.
#[derive(Debug, Serialize)]
#[allow(missing_docs)] // The words of verdicts.
pub struct Calls {
    pub total: u64,
    pub within: u64,
    pub denied: u64,
    pub exceeded: u64,
    pub incomplete: u64,
    pub unobserved: u64,
    pub failed: u64,
}

/// Reads logs. `progress` is told the bytes that were read of each kind of work.
pub fn read(
    logs: &[LogFiles],
    asked: Asked,
    means: &Means,
    progress: &mut dyn FnMut(Work, u64),
) -> Result<Report, ReportError> {
    let incident = match &asked.incident {
        Some((target, around)) => Some(seek(logs, target, *around, progress)?),
        None => None,
    };
    let mut facts = Facts::new(asked.rows);
    let mut reports = Vec::new();
    let mut bytes = 0;
    for (index, log) in logs.iter().enumerate() {
        reports.push(verify_each(log, means, |line| {
            bytes += line.bytes.len() as u64 + 1;
            progress(Work::Counting, bytes);
            if incident.is_none() && asked.scope.passes_over(line.bytes) {
                return;
            }
            let Some(entry) = Entry::read(line.bytes) else {
                return facts.take_unreadable(|| format!("{}:{}", line.file.display(), line.line));
            };
            let entry = Entry { log: index, ..entry };
            if let Some(relation) = asked.scope.relation(&entry, incident.as_ref()) {
                facts.take(entry, relation, line.sound, line.bytes.len());
            }
        })?);
    }
    let here = |id: &str| reports.iter().any(|report| report.log.as_deref() == Some(id));
    let lacking = means.kept.iter().map(audit::KeptCheckpoint::log).filter(|id| !here(id));
    let place = |log: &LogFiles| match log.files.as_slice() {
        [only] if logs.len() > 1 => Some(only.path.display().to_string()),
        _ => None,
    };
    Ok(Report {
        window: incident.as_ref().and_then(Incident::window),
        key: means.key.as_ref().map(|key| key.fingerprint().to_owned()),
        lacking: lacking.map(str::to_owned).collect(),
        asked,
        facts,
        places: logs.iter().map(place).collect(),
        logs: reports,
    })
}

/// Finds an incident and everything that belongs to it.
fn seek(
    logs: &[LogFiles],
    target: &Target,
    around: SignedDuration,
    progress: &mut dyn FnMut(Work, u64),
) -> Result<Incident, ReportError> {
    let mut incident = Incident::new(target.clone(), around);
    let sought = incident.sought();
    let sought = memmem::Finder::new(&sought);
    let linked = memmem::Finder::new("\"continues\":\"");
    let mut bytes = 0;
    each(logs, |log, line| {
        bytes += line.len() as u64 + 1;
        progress(Work::Seeking, bytes);
        let (is_it, has_link) = (sought.find(line).is_some(), linked.find(line).is_some());
        if let Some(entry) = Entry::read(line).filter(|_| is_it || has_link) {
            let entry = Entry { log, ..entry };
            incident.link(&entry);
            incident.find(&entry);
        }
    })?;
    if !incident.is_found() {
        return Err(ReportError::NotFound(match target {
            Target::Id(id) => format!("`{}`", id.escape_debug()),
            Target::Record(seq) => format!("number {seq}"),
            Target::Alert(None) => "an alert".to_owned(),
            Target::Alert(Some(rule)) => format!("an alert of rule `{}`", rule.escape_debug()),
        }));
    }
    loop {
        incident.join();
        let clues = AhoCorasick::new(incident.clues()).map_err(io::Error::other)?;
        let mut grows = false;
        each(logs, |log, line| {
            bytes += line.len() as u64 + 1;
            progress(Work::Seeking, bytes);
            if clues.is_match(line)
                && let Some(entry) = Entry::read(line)
            {
                grows |= incident.follow(&Entry { log, ..entry });
            }
        })?;
        if !grows {
            return Ok(incident);
        }
    }
}

/// Shows every line of the logs, with the index of its log.
fn each(logs: &[LogFiles], mut see: impl FnMut(usize, &[u8])) -> Result<(), ReportError> {
    let mut line = Vec::new();
    for (index, log) in logs.iter().enumerate() {
        for part in &log.files {
            let at =
                |e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", part.path.display()));
            let file = part.open().map_err(at)?;
            let mut text = BufReader::with_capacity(256 << 10, file);
            loop {
                line.clear();
                let read = (&mut text).take(LONGEST).read_until(b'\n', &mut line);
                read.map_err(at)?;
                let Some(line) = line.strip_suffix(b"\n") else { break };
                see(index, line);
            }
        }
    }
    Ok(())
}

impl Report {
    /// Whether the log is as it was written, as far as verification can tell with what it was given.
    pub fn is_intact(&self) -> bool {
        self.lacking.is_empty() && self.logs.iter().all(|log| log.findings.is_empty())
    }

    /// What needs attention, the most urgent first.
    pub(super) fn points(&self) -> Vec<Point> {
        points(self)
    }

    /// In few figures.
    pub fn summary(&self) -> Summary {
        let calls = &self.facts.calls;
        Summary {
            intact: self.is_intact(),
            with_key: self.key.is_some(),
            records: self.facts.records,
            listed: self.facts.rows.len(),
            calls: Calls {
                total: calls.total(),
                within: calls.of(Outcome::Within),
                denied: calls.of(Outcome::Denied),
                exceeded: calls.of(Outcome::Exceeded),
                incomplete: calls.of(Outcome::Incomplete),
                unobserved: calls.of(Outcome::Unobserved),
                failed: calls.of(Outcome::Failed),
            },
            attention: self.points().iter().map(Point::plain).collect(),
        }
    }
}
