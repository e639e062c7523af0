//! The warrantds of this host, for the commands that ask them.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::{Failure, output};
use crate::serve::{Answer, Instance, Refusal, Request, instances};

/// Why nobody was heard.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unheard {
    /// Whoever asks may not.
    #[error("only root may do this: use sudo")]
    Forbidden,
    /// None runs.
    #[error(
        "no warrantd runs here: {} has no control socket that answers; name its runtime_dir with \
         --runtime-dir",
        .0.display()
    )]
    Nobody(PathBuf),
    /// The directory cannot be looked at.
    #[error("cannot read {}: {}", .0.display(), .1)]
    Directory(PathBuf, std::io::Error),
    /// One of them does not answer, or ends while it does.
    #[error("{0} does not answer: {1}")]
    Silent(String, std::io::Error),
}

/// Which warrantds are asked.
#[derive(Debug, Args)]
pub(super) struct Instances {
    /// Directory of the control sockets: `runtime_dir` of the configuration
    #[arg(long, value_name = "DIR", env = "WARRANTD_RUNTIME_DIR", default_value = "/run/warrantd")]
    runtime_dir: PathBuf,
}

impl Instances {
    /// Asks all that run, and gives their answers. Fails when none runs.
    pub(super) fn ask(&self, request: &Request) -> Result<Vec<(Instance, Answer)>, Failure> {
        self.hear(request).map_err(Failure::other)
    }

    /// The same, with an error that tells whether it is worth asking again.
    pub(super) fn hear(&self, request: &Request) -> Result<Vec<(Instance, Answer)>, Unheard> {
        let dir = &self.runtime_dir;
        let mut answers = Vec::new();
        let found = instances(dir);
        for instance in found.map_err(|error| Unheard::Directory(dir.clone(), error))? {
            if let Some(answer) = Self::one(&instance, request)? {
                answers.push((instance, answer));
            }
        }
        if answers.is_empty() { Err(Unheard::Nobody(dir.clone())) } else { Ok(answers) }
    }

    /// Asks one, and gives nothing when its process was killed, or has ended meanwhile.
    fn one(instance: &Instance, request: &Request) -> Result<Option<Answer>, Unheard> {
        match instance.ask(request) {
            Ok(Answer::Refused { reason: Refusal::Permission, .. }) => Err(Unheard::Forbidden),
            Ok(answer) => Ok(Some(answer)),
            Err(error)
                if matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::NotFound) =>
            {
                Ok(None)
            }
            Err(error) if error.kind() == ErrorKind::PermissionDenied => Err(Unheard::Forbidden),
            Err(error) => Err(Unheard::Silent(instance.name(), error)),
        }
    }

    /// Asks the daemon.
    pub(super) fn daemon(&self, request: &Request) -> Result<Answer, Failure> {
        let none = || {
            let dir = self.runtime_dir.display();
            Failure::Other(format!(
                "no warrantd serve runs here: {dir} has no control socket of one that answers; name \
                 its runtime_dir with --runtime-dir"
            ))
        };
        let found = instances(&self.runtime_dir).map_err(|_| none())?;
        let daemon = found.into_iter().find(Instance::is_daemon).ok_or_else(none)?;
        let asked = Self::one(&daemon, request).map_err(Failure::other)?;
        asked.ok_or_else(none)
    }

    /// Gives an order about a session to the one that has it, and prints `done`.
    pub(super) fn order(&self, request: &Request, done: &str) -> Result<ExitCode, Failure> {
        let mut refused = None;
        for (_, answer) in self.ask(request)? {
            match answer {
                Answer::Done => {
                    output::line(done)?;
                    return Ok(ExitCode::SUCCESS);
                }
                Answer::Refused { reason, message } => {
                    // Another one may know it.
                    if reason != Refusal::Unknown || refused.is_none() {
                        refused = Some(message);
                    }
                }
                Answer::Sessions(_) | Answer::Overview(_) | Answer::Reloaded(_) => {}
            }
        }
        Err(Failure::Other(refused.unwrap_or_else(|| "it answered something else".to_owned())))
    }
}
