//! `warrantd discover`: the MCP servers of this host.

mod ask;
mod files;
mod look;
mod processes;
mod table;
mod write;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

pub(super) use self::files::Files;
pub(super) use self::processes::Processes;
use super::{Failure, output};
use crate::discover::{Configured, Inventory, Mask, Sign, plan, sign};

/// Find the MCP servers of this host, and put warrantd in front of them
///
/// Looks into the files of known clients (of every user, when root asks), at what runs, and at what listens.
/// Nothing is started, and nothing is asked over the network without `--probe`. Values of environment
/// variables and headers are not shown, and secrets among arguments are masked.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  sudo warrantd discover
  sudo warrantd discover --probe --json | jq '.listening[] | select(.exposed)'
  sudo warrantd discover --config ./found

Exit code 1: there are servers that are not behind warrantd")]
pub(super) struct Discover {
    /// Look into this home only, for the user to whom it belongs; may stand several times
    #[arg(long, value_name = "DIR")]
    home: Vec<PathBuf>,
    /// Look into this project's directory, too; may stand several times
    #[arg(long, value_name = "DIR")]
    project: Vec<PathBuf>,
    /// Ask each listening port of this host whether it is an MCP server: one or two requests over loopback, and
    /// a second's patience
    #[arg(long)]
    probe: bool,
    /// Write a configuration, policies that only observe, and what to tell clients, into a new directory
    #[arg(long, value_name = "DIR")]
    config: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Discover {
    pub(super) fn execute(self) -> Result<ExitCode, Failure> {
        let mut key = vec![0; 32];
        getrandom::fill(&mut key).map_err(Failure::other)?;
        let mask = Mask::new(key).map_err(Failure::other)?;
        let files = Files::read(&self.home, &self.project)?;
        let processes = Processes::read();
        let mut inventory = inventory(&files, &processes, &mask);
        if self.probe {
            ask::all(&processes, &mask, &mut inventory)?;
        }
        if self.json {
            output::line(&serde_json::to_string_pretty(&inventory).map_err(Failure::other)?)?;
        } else {
            table::lines(&inventory).iter().try_for_each(|line| output::line(line))?;
        }
        let Some(dir) = &self.config else {
            return Ok(ExitCode::from(u8::from(inventory.has_unguarded())));
        };
        let said = write::all(dir, &plan(&files.found, &look::ThisHost(&processes)))?;
        if !self.json {
            said.iter().try_for_each(|line| output::line(line))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// What was found, as it may be shown.
fn inventory(files: &Files, processes: &Processes, mask: &Mask) -> Inventory {
    let mut inventory = Inventory { unread: files.unread.clone(), ..Inventory::default() };
    let mut known = BTreeSet::new();
    for found in &files.found {
        let pids = processes.of_entry(&found.entry);
        known.extend(pids.iter().copied());
        inventory.configured.push(Configured {
            user: found.account.as_ref().map(|account| account.name.clone()),
            client: found.client.to_owned(),
            file: found.file.clone(),
            project: found.project.clone(),
            pids,
            ..Configured::new(&found.entry, mask)
        });
    }
    let mut servers = BTreeSet::new();
    for process in processes.all() {
        let parent = processes.get(process.parent).map(|parent| parent.command.as_slice());
        let why = match sign(process, parent) {
            _ if known.contains(&process.pid) => "configured".to_owned(),
            Some(Sign::Name(word)) => {
                format!("its command line has {}", mask.text(&word))
            }
            Some(Sign::Child(client)) => {
                format!("{client} started it, and has its input and output")
            }
            None => continue,
        };
        servers.insert(process.pid);
        inventory.running.push(processes::shown(process, why, mask));
    }
    inventory.listening = processes.listening(&servers, mask);
    inventory
}
