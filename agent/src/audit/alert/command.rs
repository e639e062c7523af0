//! Commands that are told of alerts.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use nix::unistd::{Uid, User};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Record;
use crate::config::AlertCommand;

/// Commands at a time; more wait, and beyond that are left out with a warning.
const AT_ONCE: usize = 4;
const WAITING: usize = 64;
/// How long a command may take.
const TIME: Duration = Duration::from_secs(10);

/// Commands that run.
#[derive(Debug)]
pub(super) struct Commands {
    room: Arc<Semaphore>,
    running: JoinSet<()>,
}

impl Default for Commands {
    fn default() -> Self {
        Self { room: Arc::new(Semaphore::new(AT_ONCE)), running: JoinSet::new() }
    }
}

impl Commands {
    /// Starts a command as soon as there is room.
    pub(super) fn tell(&mut self, command: &AlertCommand, record: &Record) {
        while self.running.try_join_next().is_some() {}
        let program = command.argv.first().cloned().unwrap_or_default();
        if self.running.len() >= WAITING {
            tracing::warn!(program, "{WAITING} alerts wait for commands; one more is not told");
            return;
        }
        let Ok(mut text) = serde_json::to_vec(record) else { return };
        text.push(b'\n');
        let (room, command) = (self.room.clone(), command.clone());
        self.running.spawn(async move {
            let Ok(_permit) = room.acquire().await else { return };
            match timeout(TIME, run(&command, &text)).await {
                Ok(Ok(())) => {}
                Ok(Err(why)) => tracing::warn!(program, "the alert's command: {why}"),
                // It is killed as it is dropped.
                Err(_) => tracing::warn!(program, "the alert's command took over {TIME:?}"),
            }
        });
    }

    /// Waits for those that run.
    pub(super) async fn finish(mut self) {
        while self.running.join_next().await.is_some() {}
    }
}

async fn run(command: &AlertCommand, text: &[u8]) -> Result<(), String> {
    let (program, arguments) = command.argv.split_first().ok_or("it names no program")?;
    let mut child = Command::new(program);
    child.args(arguments).env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").current_dir("/");
    child.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    if Uid::effective().is_root() {
        let user = User::from_name(&command.user).map_err(|error| error.to_string())?;
        let user = user.ok_or_else(|| format!("there is no user `{}`", command.user))?;
        child.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    }
    let mut child = child.spawn().map_err(|error| format!("it cannot be started: {error}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that does not read may still do its work.
        let _ = stdin.write_all(text).await;
    }
    let status = child.wait().await.map_err(|error| error.to_string())?;
    if status.success() { Ok(()) } else { Err(format!("it failed ({status})")) }
}
