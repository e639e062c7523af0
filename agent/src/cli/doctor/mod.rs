//! `warrantd doctor`: whether this host and this configuration are fit for production.

mod render;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;
use tracing::subscriber::NoSubscriber;

use super::discover::{Files, Processes};
use super::status::told;
use super::{Failure, kernel, output};
use crate::doctor::{Facts, Family, KernelFacts, Level, ServiceFacts, Site, examine};
use crate::serve::{Overview, Request, instances};

/// Where the configuration is that is looked at when none is named.
const USUAL: &str = "/etc/warrantd/warrantd.yaml";

/// Check whether this host and this configuration are fit for production
///
/// Looks at authentication, TLS, policies, limits, the audit log and its receivers, alerts, keys and files, at
/// side doors and the service, and says of each finding what is wrong, where, and what to do. Starts the kernel
/// layer for a moment, with its self-test, and tries with a session of its own that what must be denied is
/// denied; a daemon that runs is only asked how it is. Without a configuration it looks at the host alone. Needs
/// the rights that `warrantd serve` needs.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  sudo warrantd doctor
  sudo warrantd doctor --config /etc/warrantd/warrantd.yaml --json | jq '.families[].findings[]'
Exit code 1: there is a finding")]
pub(super) struct Doctor {
    /// Configuration file [default: /etc/warrantd/warrantd.yaml, where that is]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Leave out what is as it should be
    #[arg(short, long)]
    quiet: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Told<'a> {
    /// The file that was looked at.
    config: Option<&'a Path>,
    findings: usize,
    notes: usize,
    /// What the kernel lets warrantd do.
    #[serde(flatten)]
    kernel: &'a KernelFacts,
    families: &'a [Family],
}

impl Doctor {
    pub(super) fn execute(self) -> Result<ExitCode, Failure> {
        let file = self.config.or_else(|| {
            let usual = Path::new(USUAL);
            usual.exists().then(|| usual.to_owned())
        });
        // What is tried is denied, and says so in its log: that is no news here.
        let asked_for = std::env::var_os("WARRANTD_LOG").is_some();
        let quiet = (!asked_for).then(|| tracing::subscriber::set_default(NoSubscriber::new()));
        let site = file.as_deref().map(Site::read).transpose()?;
        let (facts, families) = look(site.as_ref())?;
        drop(quiet);
        let count = |level| render::all(&families).filter(|it| it.level == level).count();
        let (findings, notes) = (count(Level::Finding), count(Level::Note));
        if self.json {
            let config = file.as_deref();
            let told = Told { config, findings, notes, kernel: &facts.kernel, families: &families };
            output::line(&serde_json::to_string_pretty(&told).map_err(Failure::other)?)?;
        } else {
            let lines = render::lines(file.as_deref(), &families, self.quiet);
            lines.iter().try_for_each(|line| output::line(line))?;
        }
        Ok(if findings == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// Gathers what is known, and has it looked at.
fn look(site: Option<&Site>) -> Result<(Facts, Vec<Family>), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::other)?;
    runtime.block_on(async {
        let options = kernel::options(format!("doctor-{}", std::process::id()));
        let (kernel, layer) = KernelFacts::find(options);
        let (found, processes) = match site {
            Some(_) => {
                let processes = Processes::read().all().cloned().collect();
                (Files::read(&[], &[])?.found, processes)
            }
            None => (Vec::new(), Vec::new()),
        };
        let facts = Facts {
            now: Timestamp::now(),
            kernel,
            running: site.and_then(|site| running(site.runtime_dir())),
            found,
            processes,
            service: ServiceFacts::find(),
        };
        let families = examine(site, &facts, layer).await;
        Ok((facts, families))
    })
}

/// What the daemon tells of itself, if one runs.
fn running(runtime_dir: &Path) -> Option<Overview> {
    let daemon = instances(runtime_dir).ok()?.into_iter().find(|it| it.name() == "serve")?;
    let answer = daemon.ask(&Request::Overview {}).ok()?;
    told(&daemon, answer).ok()
}
