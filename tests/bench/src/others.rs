//! The floors under the Unix socket: relays that know nothing of what they carry.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use crate::lines::Lines;
use crate::stage::Stage;

/// A relay that starts the same server for each connection to a Unix socket.
#[derive(Debug)]
pub struct Relay {
    process: Child,
    socket: PathBuf,
}

impl Relay {
    /// `socat`, on this socket.
    pub fn socat(socket: PathBuf, server: &[String]) -> anyhow::Result<Self> {
        let mut command = Command::new("socat");
        command.arg(format!("UNIX-LISTEN:{},fork,backlog=1024", socket.display()));
        command.arg(format!("EXEC:{}", server.join(" ")));
        Self::start(command, socket).context("socat")
    }

    /// One that also writes a chained record of each answer, and nothing else.
    pub fn notary(stage: &Stage, server: &[String]) -> anyhow::Result<Self> {
        let (socket, log) = (stage.path("notary.sock")?, stage.path("notary.log")?);
        let mut command = Command::new(stage.scratch.program("notary")?);
        command.arg(&socket).arg(log).args(server);
        Self::start(command, socket).context("notary")
    }

    fn start(mut command: Command, socket: PathBuf) -> anyhow::Result<Self> {
        let _ = std::fs::remove_file(&socket); // Of one before, which has ended.
        let spawned = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        let process = spawned.context("it is not installed")?;
        let relay = Self { process, socket };
        let deadline = Instant::now() + Duration::from_secs(10);
        while !relay.socket.exists() {
            ensure!(Instant::now() < deadline, "it does not listen");
            thread::sleep(Duration::from_millis(10));
        }
        Ok(relay)
    }

    /// A session with a server of its own.
    pub fn lines(&self) -> anyhow::Result<Lines> {
        Lines::connect(&self.socket, None)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // What it started for a connection ends with the connection.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
