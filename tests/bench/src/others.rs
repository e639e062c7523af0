//! The floor under the Unix socket: a relay that knows nothing of what it carries.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use crate::lines::Lines;

/// `socat` that starts the same server for each connection to a Unix socket.
#[derive(Debug)]
pub struct Socat {
    process: Child,
    socket: PathBuf,
}

impl Socat {
    /// Starts it on this socket.
    pub fn start(socket: PathBuf, server: &[String]) -> anyhow::Result<Self> {
        let _ = std::fs::remove_file(&socket); // Of one before, which has ended.
        let mut command = Command::new("socat");
        command.arg(format!("UNIX-LISTEN:{},fork,backlog=1024", socket.display()));
        command.arg(format!("EXEC:{}", server.join(" ")));
        let spawned = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        let process = spawned.context("socat is not installed")?;
        let socat = Self { process, socket };
        let deadline = Instant::now() + Duration::from_secs(10);
        while !socat.socket.exists() {
            ensure!(Instant::now() < deadline, "socat does not listen");
            thread::sleep(Duration::from_millis(10));
        }
        Ok(socat)
    }

    /// A session with a server of its own.
    pub fn lines(&self) -> anyhow::Result<Lines> {
        Lines::connect(&self.socket, None)
    }
}

impl Drop for Socat {
    fn drop(&mut self) {
        // What it started for a connection ends with the connection.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
