//! A receiver that can be killed.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::{Outcome, receivers};

/// A receiver that can be killed.
pub(crate) trait Receiver {
    /// The section of the configuration that leads to it.
    fn config(&self) -> String;
    /// Kills it, as `kill -9` does.
    fn kill(&mut self) -> Outcome<()>;
    /// Starts it again with what it has stored.
    fn revive(&mut self) -> Outcome<()>;
    /// The numbers of the records that it has stored, in its order.
    fn stored(&self) -> Outcome<Vec<u64>>;
}

/// A program that listens on a port of loopback.
pub(crate) struct Program {
    command: Vec<String>,
    port: u16,
    running: Option<Child>,
}

impl Program {
    pub(crate) fn start(command: &[&str], port: u16) -> Outcome<Self> {
        let command = command.iter().map(|&word| word.to_owned()).collect();
        let mut program = Self { command, port, running: None };
        program.revive()?;
        Ok(program)
    }

    pub(crate) fn kill(&mut self) -> Outcome<()> {
        if let Some(mut child) = self.running.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    pub(crate) fn revive(&mut self) -> Outcome<()> {
        let place = receivers();
        let libraries = ["usr/lib/x86_64-linux-gnu", "usr/lib/syslog-ng", "lib/x86_64-linux-gnu"];
        let libraries = libraries.map(|dir| place.join(dir).display().to_string()).join(":");
        let (program, arguments) = self.command.split_first().ok_or("a program")?;
        let mut command = Command::new(place.join(program));
        command.args(arguments).env("LD_LIBRARY_PATH", libraries).stdin(Stdio::null());
        self.running = Some(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?);
        let deadline = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            if Instant::now() > deadline {
                return Err(format!("{command:?} does not listen").into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// A port that nobody listens on.
pub(crate) fn free_port() -> Outcome<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// A certificate for 127.0.0.1, which is its own authority, and its key.
pub(crate) fn certificate(dir: &Path) -> Outcome<(PathBuf, PathBuf)> {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()])?;
    let (cert, key) = (dir.join("cert.pem"), dir.join("key.pem"));
    std::fs::write(&cert, made.cert.pem())?;
    std::fs::write(&key, made.signing_key.serialize_pem())?;
    Ok((cert, key))
}
