//! `warrantd audit verify`: whether the log is as it was written.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::show::logs;
use crate::audit::{AuditPublicKey, Finding, KeptCheckpoint, Means, Report, verify};
use crate::cli::{Failure, output};

/// Check that no record of the log was changed, removed, put in, moved or cut off
///
/// Needs the files and the public key and nothing else. Without --key the chain of hashes alone is checked,
/// which whoever can write the files can write anew. Exits 1 when something is not as it was written.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  warrantd audit verify --key /var/lib/warrantd/audit.pub
  warrantd audit verify --key audit.pub --checkpoint shipped.jsonl /mnt/evidence/warrantd")]
pub(super) struct Verify {
    /// Directory of the log, or some of its files
    #[arg(value_name = "DIR|FILE", default_value = "/var/log/warrantd")]
    logs: Vec<PathBuf>,
    #[command(flatten)]
    with: With,
    /// Print facts as JSON
    #[arg(long)]
    json: bool,
}

/// What a log is verified with.
#[derive(Debug, Args)]
pub(in crate::cli) struct With {
    /// Public key of the checkpoints (made beside the key, `audit.pub`)
    #[arg(long, value_name = "PUB")]
    pub(in crate::cli) key: Option<PathBuf>,
    /// Checkpoint records that were kept elsewhere, as shipped, one a line; the log must have them
    #[arg(long, value_name = "FILE")]
    checkpoint: Vec<PathBuf>,
    /// Accept an end that is not signed, as a killed warrantd leaves it
    #[arg(long)]
    open: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Facts<'a> {
    ok: bool,
    logs: &'a [Report],
    findings: &'a [String],
}

impl Verify {
    pub(super) fn execute(self) -> Result<ExitCode, Failure> {
        let means = self.with.means()?;
        let mut reports = Vec::new();
        for log in logs(&self.logs)? {
            reports.push(verify(&log, &means).map_err(Failure::other)?);
        }
        let known = |id: &str| reports.iter().any(|report| report.log.as_deref() == Some(id));
        let strange = means.kept.iter().filter(|kept| !known(kept.log()));
        let lacking: Vec<String> = strange
            .map(|kept| {
                format!("no log with the id {} is here, of which a checkpoint was kept", kept.log())
            })
            .collect();
        let ok = lacking.is_empty() && reports.iter().all(|report| report.findings.is_empty());
        if self.json {
            let facts = Facts { ok, logs: &reports, findings: &lacking };
            output::line(&serde_json::to_string_pretty(&facts).map_err(Failure::other)?)?;
        } else {
            let lines: Vec<String> = reports
                .iter()
                .flat_map(describe)
                .chain(lacking.iter().map(|l| format!("FOUND {l}")))
                .collect();
            output::line(&lines.join("\n"))?;
        }
        Ok(if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

impl With {
    /// Reads the files.
    pub(in crate::cli) fn means(&self) -> Result<Means, Failure> {
        let key = self.key.as_deref().map(AuditPublicKey::read).transpose();
        let key = key.map_err(|error| Failure::Usage(format!("--key: {error}")))?;
        let mut kept = Vec::new();
        for file in &self.checkpoint {
            let shown = file.display();
            let text = std::fs::read(file)
                .map_err(|error| Failure::Usage(format!("--checkpoint {shown}: {error}")))?;
            for (number, line) in (1..).zip(text.split(|byte| *byte == b'\n')) {
                if line.is_empty() {
                    continue;
                }
                let checkpoint = KeptCheckpoint::read(line, key.as_ref()).ok_or_else(|| {
                    let signed = if key.is_some() { " that this key has signed" } else { "" };
                    let why = "is no whole record of event `checkpoint`";
                    Failure::Usage(format!("--checkpoint {shown}: line {number} {why}{signed}"))
                })?;
                kept.push(checkpoint);
            }
        }
        Ok(Means { key, open_end: self.open, kept })
    }
}

/// A report for people: first what is wrong.
fn describe(report: &Report) -> Vec<String> {
    let mut lines: Vec<String> = report.findings.iter().map(finding).collect();
    if report.further_findings > 0 {
        lines.push(format!("FOUND {} times more", report.further_findings));
    }
    let name = &report.name;
    let count = report.records;
    lines.push(match (report.first, report.last) {
        (Some(first), Some(last)) => {
            let (files, s) = (report.files, if report.files == 1 { "" } else { "s" });
            format!("{name}: {count} records, {first} to {last}, in {files} file{s}")
        }
        _ => format!("{name}: no record"),
    });
    match (report.with_key, report.signed_to, &report.signed_at) {
        (true, Some(seq), Some(at)) => {
            lines.push(format!(
                "{name}: signed up to record {seq}, {at} ({} checkpoints)",
                report.checkpoints
            ));
        }
        (false, _, _) => lines.push(format!(
            "{name}: the chain alone was checked; with --key its {} checkpoints are, too",
            report.checkpoints
        )),
        _ => {}
    }
    if report.checkpoints > 0 && report.only_chained > 0 {
        let chained = report.only_chained;
        lines.push(format!("{name}: {chained} records after the last checkpoint are only chained"));
    }
    if report.in_use {
        lines.push(format!("{name}: a warrantd has it open"));
    }
    lines.extend(report.notes.iter().map(|note| format!("{name}: {note}")));
    let verdict = match (report.findings.len(), report.with_key) {
        (0, true) => "OK: it is as it was written",
        (0, false) => "OK, as far as the chain shows",
        _ => "NOT as it was written",
    };
    lines.push(format!("{name}: {verdict}"));
    lines
}

fn finding(finding: &Finding) -> String {
    let file = finding.file.display();
    let line = finding.line.map_or_else(String::new, |line| format!(":{line}"));
    let seq = match (finding.line, finding.seq) {
        (Some(_), Some(seq)) => format!("record {seq} "),
        _ => String::new(),
    };
    format!("FOUND {file}{line}: {seq}{}", finding.what)
}
