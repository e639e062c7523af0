//! `warrantd learn`: from the audit log to a policy to review.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::{Failure, output};
use crate::audit::{Chain, logs_of};
use crate::config::{PolicyFile, Source};
use crate::learn::{Difference, Entry, Learned, LogFile, Material, Trial, compare, learn, select};
use crate::serve::load_policy;

/// Write a least-privilege policy from what the audit log shows
///
/// Reads the `*.jsonl` files of a directory, checks that no record was changed, and prints a policy that
/// allows the calls and effects that it found, and nothing else. Every line says which records it comes
/// from; lines that need eyes are marked `REVIEW:`. Start with a server that is only observed.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  warrantd run --observe --audit seen -- mcp-server-filesystem /srv/data
  warrantd learn seen --out files.yaml
  warrantd learn seen --diff files.yaml")]
pub(super) struct Learn {
    /// Directory of the audit log, or one of its files
    #[arg(value_name = "AUDIT_DIR")]
    audit: PathBuf,
    /// The server to learn of, where the log is of several
    #[arg(long, value_name = "ID")]
    server: Option<String>,
    /// Directory that the server is meant to work in [default: where it was started]
    #[arg(long, value_name = "DIR")]
    root: Vec<PathBuf>,
    /// Write the policy to a new file instead of standard output
    #[arg(long, value_name = "FILE", conflicts_with = "diff")]
    out: Option<PathBuf>,
    /// Compare with a policy instead: exits 1 when the log shows what it does not allow, or it allows what
    /// the log never used
    #[arg(long, value_name = "POLICY")]
    diff: Option<PathBuf>,
    /// Read a log whose records were changed or are missing
    #[arg(long)]
    unverified: bool,
    /// Print facts as JSON
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Facts<'a> {
    policy: &'a Learned,
    trial: &'a Trial,
}

impl Learn {
    pub(super) fn execute(self) -> Result<ExitCode, Failure> {
        let files = self.files()?;
        let roots = self.roots()?;
        let material = select(&files, self.server.as_deref(), &roots).map_err(Failure::other)?;
        match &self.diff {
            Some(policy) => self.compare(&material, policy),
            None => self.learn(&material),
        }
    }

    fn learn(&self, material: &Material) -> Result<ExitCode, Failure> {
        let learned = learn(material);
        let policy = learned.to_yaml(None);
        // What is printed is what is tried: the file as a reader of it will have it.
        let read = Source::new(Path::new("learned policy"), policy);
        let file: PolicyFile = read.parse()?;
        let trial = Trial::of(&file, material).map_err(|problem| read.error(problem))?;
        let text = if self.json {
            let facts = Facts { policy: &learned, trial: &trial };
            serde_json::to_string_pretty(&facts).map_err(Failure::other)?
        } else {
            learned.to_yaml(Some(&trial))
        };
        match &self.out {
            None => output::line(text.trim_end())?,
            Some(file) => write_new(file, text.trim_end())?,
        }
        Ok(ExitCode::SUCCESS)
    }

    fn compare(&self, material: &Material, file: &Path) -> Result<ExitCode, Failure> {
        let (source, policy) = load_policy(file)?;
        let difference = compare(material, &policy).map_err(|problem| source.error(problem))?;
        if self.json {
            let text = serde_json::to_string_pretty(&difference).map_err(Failure::other)?;
            output::line(&text)?;
        } else {
            output::line(&describe(&difference, file))?;
        }
        Ok(if difference.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn roots(&self) -> Result<Vec<String>, Failure> {
        let text = |root: &PathBuf| {
            let real = root.canonicalize().or_else(|_| std::path::absolute(root));
            let real =
                real.map_err(|e| Failure::Usage(format!("--root {}: {e}", root.display())))?;
            let text = real.to_str().map(str::to_owned);
            text.ok_or_else(|| Failure::Usage(format!("--root {}: not UTF-8", root.display())))
        };
        self.root.iter().map(text).collect()
    }

    /// The log's files, verified.
    fn files(&self) -> Result<Vec<LogFile>, Failure> {
        let unreadable = |e: std::io::Error| {
            Failure::Other(format!("cannot read {}: {e}", self.audit.display()))
        };
        let mut paths = Vec::new();
        if self.audit.is_file() {
            paths.push(self.audit.clone());
        } else {
            for entry in self.audit.read_dir().map_err(unreadable)? {
                let path = entry.map_err(unreadable)?.path();
                if path.extension().is_some_and(|extension| extension == "jsonl") {
                    paths.push(path);
                }
            }
        }
        if paths.is_empty() {
            let dir = self.audit.display();
            return Err(Failure::Other(format!("{dir} has no log files (*.jsonl)")));
        }
        let mut files = Vec::new();
        for log in logs_of(&paths) {
            // Older files may have been put away elsewhere, and the chain goes on from file to file.
            let rotated = log.files.iter().any(|part| part.first.is_some());
            let mut chain = if rotated { Chain::from_anywhere() } else { Chain::default() };
            for part in log.files {
                files.push(self.file(&part.path, &mut chain)?);
            }
        }
        Ok(files)
    }

    fn file(&self, path: &Path, chain: &mut Chain) -> Result<LogFile, Failure> {
        let failed = |number: usize, why: &str| {
            Failure::Other(format!("{}:{number}: {why}", path.display()))
        };
        let file = File::open(path).map_err(|error| failed(0, &error.to_string()))?;
        let mut reader = BufReader::new(file);
        let mut entries = Vec::new();
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            let read = reader.read_until(b'\n', &mut line);
            if read.map_err(|error| failed(number, &error.to_string()))? == 0 {
                break;
            }
            // A line that is still being written, or that a crash cut.
            let Some(text) = line.strip_suffix(b"\n") else { break };
            if let (Err(why), false) = (chain.follow(text), self.unverified) {
                let way = "do not learn from it, or say --unverified";
                return Err(failed(
                    number,
                    &format!("the log is not as it was written: {why}; {way}"),
                ));
            }
            let entry: Entry = serde_json::from_slice(text)
                .map_err(|error| failed(number, &format!("no record of this version: {error}")))?;
            entries.push(entry);
        }
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        Ok(LogFile { name, entries })
    }
}

/// Writes a file that must not exist yet: a policy that someone has reviewed is not overwritten.
fn write_new(path: &Path, text: &str) -> Result<(), Failure> {
    let failed = |error: std::io::Error| {
        Failure::Other(format!("cannot write {}: {error}; choose a new file", path.display()))
    };
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o640).open(path).map_err(failed)?;
    writeln!(file, "{text}").map_err(failed)
}

/// The difference for people.
fn describe(difference: &Difference, file: &Path) -> String {
    let mut lines = Vec::new();
    if difference.is_none() {
        lines.push(format!("{} allows what the log shows, and nothing else", file.display()));
    }
    if !difference.not_allowed.is_empty() {
        lines.push("Would newly be allowed (seen, and the policy does not allow it):".to_owned());
        let each = difference.not_allowed.iter();
        lines.extend(each.map(|item| format!("  + {} ({})", item.text(), item.seen)));
    }
    if !difference.unused.is_empty() {
        lines.push(
            "Would no longer be allowed (the policy allows it, and the log never used it):"
                .to_owned(),
        );
        lines.extend(difference.unused.iter().map(|u| format!("  - {}: {}", u.key, u.value)));
    }
    if !difference.unknown.is_empty() {
        lines.push("Not known:".to_owned());
        lines.extend(difference.unknown.iter().map(|what| format!("  ? {what}")));
    }
    lines.join("\n")
}
