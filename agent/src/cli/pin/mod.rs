//! `warrantd pin`: what was accepted of a server's tools, and what it says now.

mod diff;
mod difference;
mod place;
mod show;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use nix::unistd::{Uid, User};

use self::difference::{Difference, differences};
use self::place::Place;
use super::{Failure, output};
use crate::audit;
use crate::config::{PinFile, suggestion};
use crate::session::StoreError;

/// Show what was accepted of a server's tools and what it says now; accept that
///
/// A model reads the definitions of tools as instructions. With `pinning` in its policy, a server's tools are
/// used as they were accepted or not at all. What it showed otherwise is kept beside the file of accepted
/// definitions until somebody accepts or dismisses it. A running daemon learns of it with the next message.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  warrantd pin files --diff
  warrantd pin files --accept --tool read_text_file
  warrantd pin --pins files.pins.yaml --list

Exit code 1: the server showed definitions that are not accepted")]
#[allow(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub(super) struct Pin {
    /// The server's id in the daemon's configuration
    #[arg(required_unless_present = "pins")]
    server: Option<String>,
    /// The daemon's configuration file
    #[arg(long, value_name = "FILE", default_value = place::CONFIG)]
    config: PathBuf,
    /// File of accepted definitions, as given to `warrantd run`
    #[arg(long, value_name = "FILE", conflicts_with = "server")]
    pins: Option<PathBuf>,
    /// This tool alone; may stand several times
    #[arg(long, value_name = "NAME")]
    tool: Vec<String>,
    /// Show every accepted definition in one line
    #[arg(long, group = "what")]
    list: bool,
    /// Show what differs, line by line
    #[arg(long, group = "what")]
    diff: bool,
    /// Accept what differs, and show it
    #[arg(long, group = "what")]
    accept: bool,
    /// Forget what differs without accepting it
    #[arg(long, group = "what")]
    dismiss: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Pin {
    pub(super) fn execute(self) -> Result<ExitCode, Failure> {
        let place = match (&self.pins, &self.server) {
            (Some(file), _) => Place::file(file),
            (None, Some(server)) => Place::configured(&self.config, server)?,
            (None, None) => return Err(Failure::Usage("name a server".to_owned())),
        };
        let accepted = place.store.load()?;
        let seen = place.seen().load()?;
        let mut differences = differences(&accepted, &seen);
        self.check_names(&accepted.file, &differences)?;
        let chosen = |name: &str| self.tool.is_empty() || self.tool.iter().any(|tool| tool == name);
        differences.retain(|difference| chosen(difference.name()));
        let mut file = accepted.file;
        file.tools.retain(|name, _| chosen(name));
        let settled = if self.accept {
            accept(&place, &differences)?;
            Some("accepted")
        } else if self.dismiss {
            dismiss(&place, &differences)?;
            Some("dismissed")
        } else {
            None
        };
        let lines = if self.json {
            vec![show::json(&place, &file, &differences, settled)]
        } else if let Some(done) = settled {
            show::settled(&differences, done)
        } else if self.list {
            show::list(&file)
        } else if self.diff {
            show::differences(&differences)
        } else {
            show::summary(&place, &file, &differences)
        };
        lines.iter().try_for_each(|line| output::line(line))?;
        let open = settled.is_none() && !differences.is_empty();
        Ok(if open { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }

    /// Every tool that is asked for must be known.
    fn check_names(&self, file: &PinFile, differences: &[Difference]) -> Result<(), Failure> {
        let known = || file.tools.keys().map(String::as_str);
        let known = || known().chain(differences.iter().map(Difference::name));
        match self.tool.iter().find(|tool| known().all(|name| name != *tool)) {
            None => Ok(()),
            Some(tool) => {
                let hint = suggestion(tool, known());
                Err(Failure::Usage(format!("tool `{tool}` was neither accepted nor seen{hint}")))
            }
        }
    }
}

/// Accepts what was read, whatever was seen since.
fn accept(place: &Place, differences: &[Difference]) -> Result<(), Failure> {
    let by = who();
    let done = place.store.update(|file| {
        for difference in differences {
            let mut entry = difference.entry.clone();
            (entry.at, entry.by) = (audit::now(), by.clone());
            file.tools.insert(difference.name().to_owned(), entry);
        }
        !differences.is_empty()
    });
    done.map_err(failure)?;
    dismiss(place, differences)
}

/// Forgets what was read. What was seen since stays.
fn dismiss(place: &Place, differences: &[Difference]) -> Result<(), Failure> {
    if differences.is_empty() {
        return Ok(());
    }
    let done = place.seen().update(|file| {
        let read = |difference: &&Difference| {
            let entry = file.tools.get(difference.name());
            entry.is_some_and(|entry| entry.hash == difference.entry.hash)
        };
        let gone: Vec<_> = differences.iter().filter(read).map(Difference::name).collect();
        for name in &gone {
            file.tools.remove(*name);
        }
        !gone.is_empty()
    });
    done.map(|_| ()).map_err(failure)
}

fn failure(error: StoreError) -> Failure {
    match error {
        StoreError::Broken(error) => Failure::Config(error),
        other => Failure::other(other),
    }
}

/// Who runs this: the user of sudo, else the own one.
fn who() -> String {
    let sudo = std::env::var("SUDO_USER").ok().filter(|_| Uid::effective().is_root());
    let own = || User::from_uid(Uid::current()).ok().flatten().map(|user| user.name);
    sudo.or_else(own).unwrap_or_else(|| format!("uid {}", Uid::current()))
}
