//! `warrantd status`: what runs here, whom it serves, and how that goes.

mod session;
mod whole;

use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::instances::Instances;
use super::{Failure, output};
use crate::serve::{Answer, Instance, Overview, Refusal, Request};

/// Tell what every warrantd that runs here does
///
/// Of each: configuration, kernel, audit log and its receivers; its servers with how calls ended and whom
/// they reached; its sessions, the calls in flight with what they may do, and whether one is frozen. Exits 1
/// when no warrantd runs.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  sudo warrantd status\n  sudo warrantd status --json | jq '.[].sessions[].frozen'"
)]
pub(super) struct Status {
    /// Print JSON: a list of `{instance, version, …, servers, sessions, receivers}`
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    instances: Instances,
}

/// What one warrantd tells.
#[derive(Debug, Serialize)]
struct Told {
    instance: String,
    #[serde(flatten)]
    overview: Overview,
}

impl Status {
    pub(super) fn execute(self) -> Result<ExitCode, Failure> {
        let mut all = Vec::new();
        for (instance, answer) in self.instances.ask(&Request::Overview {})? {
            all.push(Told { instance: instance.name(), overview: told(&instance, answer)? });
        }
        if self.json {
            output::line(&serde_json::to_string_pretty(&all).map_err(Failure::other)?)?;
            return Ok(ExitCode::SUCCESS);
        }
        for (index, Told { instance, overview }) in all.iter().enumerate() {
            if index > 0 {
                output::line("")?;
            }
            whole::describe(instance, overview).iter().try_for_each(|line| output::line(line))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// What an instance told; one of another version may know of sessions alone.
pub(super) fn told(instance: &Instance, answer: Answer) -> Result<Overview, Failure> {
    let of_sessions = |sessions| Overview { sessions, ..Overview::default() };
    match answer {
        Answer::Overview(overview) => Ok(*overview),
        Answer::Refused { reason: Refusal::Request, .. } => {
            match instance.ask(&Request::Status {}).map_err(Failure::other)? {
                Answer::Sessions(sessions) => Ok(of_sessions(sessions)),
                _ => Err(Failure::Other(format!("{} answers something else", instance.name()))),
            }
        }
        Answer::Refused { message, .. } => Err(Failure::Other(message)),
        Answer::Sessions(sessions) => Ok(of_sessions(sessions)),
        _ => Err(Failure::Other(format!("{} answers something else", instance.name()))),
    }
}
