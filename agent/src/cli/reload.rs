//! `warrantd reload`: the daemon reads its configuration anew.

use std::process::ExitCode;

use clap::Args;

use super::instances::Instances;
use super::{Failure, output};
use crate::serve::{Answer, Refusal, Reloaded, Request};

/// Have the running daemon read its configuration anew
///
/// Policies, keys, limits, certificates, servers, listeners and drop-ins are checked first, and put in force
/// together: sessions go on under them, kernel tables included. Where anything is wrong, everything stays as it
/// was, and this says why and exits 78. Who ordered it, and what came of it, is in the audit log.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  warrantd check && warrantd reload")]
pub(super) struct Reload {
    /// Print JSON: `{generation, changed, added, removed, sessions, pending}`
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    instances: Instances,
}

impl Reload {
    pub(super) fn execute(self) -> Result<ExitCode, Failure> {
        match self.instances.daemon(&Request::Reload {})? {
            Answer::Reloaded(reloaded) if self.json => {
                let text = serde_json::to_string_pretty(&reloaded).map_err(Failure::other)?;
                output::line(&text)?;
            }
            Answer::Reloaded(reloaded) => {
                for line in describe(&reloaded) {
                    output::line(&line)?;
                }
            }
            Answer::Refused { reason: Refusal::Configuration, message } => {
                return Err(Failure::Unchanged(message));
            }
            Answer::Refused { message, .. } => return Err(Failure::Other(message)),
            _ => return Err(Failure::Other("it answered something else".to_owned())),
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// What came of it, for people.
fn describe(reloaded: &Reloaded) -> Vec<String> {
    let Reloaded { generation, changed, added, removed, sessions, pending } = reloaded;
    let plural = if *sessions == 1 { "session goes" } else { "sessions go" };
    let mut lines = vec![format!("configuration {generation} is in force; {sessions} {plural} on")];
    let mut topic = |name: &str, what: &[String]| {
        if !what.is_empty() {
            lines.push(format!("  {name:<10} {}", what.join(", ")));
        }
    };
    topic("changed", changed);
    topic("added", added);
    topic("removed", removed);
    if changed.is_empty() {
        lines.push("  no file has changed".to_owned());
    }
    if *pending > 0 {
        lines.push(format!(
            "  {pending} of them wait for a client that does not read, and follow before they hear more"
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_is_told() {
        let nothing = Reloaded { generation: 2, sessions: 1, ..Reloaded::default() };
        let text = describe(&nothing).join("\n");
        assert_eq!(text, "configuration 2 is in force; 1 session goes on\n  no file has changed");
        let much = Reloaded {
            generation: 3,
            changed: vec!["/etc/warrantd/files.yaml".into()],
            added: vec!["b".into(), "c".into()],
            removed: vec!["a".into()],
            sessions: 4,
            pending: 1,
        };
        let text = describe(&much).join("\n");
        assert!(text.contains(
            "4 sessions go on\n  changed    /etc/warrantd/files.yaml\n  added      b, c\n"
        ));
        assert!(text.contains("  removed    a\n  1 of them"), "{text}");
    }
}
