//! warrantd as it is measured: everything on, nothing left out.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::http::Session;
use crate::lines::Lines;
use crate::stage::{ACTOR, Plan, Stage};

/// What the caller proves itself with.
pub const KEY: &str = "wd-bench-5f2d9c1b8e7a4360";
/// How long the daemon may take to start or to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running daemon.
#[derive(Debug)]
pub struct Daemon {
    process: Child,
    directory: PathBuf,
    address: SocketAddr,
    notify: UnixDatagram,
    /// From exec to the moment when it said that it was ready.
    pub started: Duration,
}

impl Daemon {
    /// Starts one in front of these servers. `name` is that of its directory.
    pub fn start(stage: &Stage, name: &str, plans: &[Plan]) -> anyhow::Result<Self> {
        let directory = stage.path(name)?;
        fs::create_dir_all(&directory)?;
        let address = free_address()?;
        let file = directory.join("warrantd.yaml");
        fs::write(&file, config(stage, &directory, address, plans)?)?;
        let socket = directory.join("notify");
        let _ = fs::remove_file(&socket); // Of a daemon before, which has ended.
        let notify = UnixDatagram::bind(&socket).context("a socket to be notified on")?;
        notify.set_read_timeout(Some(PATIENCE))?;
        let log = File::create(directory.join("stderr"))?;
        let mut command = Command::new(stage.scratch.program("warrantd")?);
        command.arg("serve").arg("--config").arg(&file);
        command.env("NOTIFY_SOCKET", &socket).env_remove("WARRANTD_LOG");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let begun = Instant::now();
        let process = command.spawn().context("starting warrantd")?;
        let mut daemon = Self { process, directory, address, notify, started: Duration::ZERO };
        daemon.await_ready()?;
        daemon.started = begun.elapsed();
        Ok(daemon)
    }

    fn await_ready(&mut self) -> anyhow::Result<()> {
        self.notify.set_read_timeout(Some(Duration::from_millis(200)))?;
        let deadline = Instant::now() + PATIENCE;
        let mut said = [0; 4096];
        while Instant::now() < deadline {
            if let Ok(length) = self.notify.recv(&mut said)
                && String::from_utf8_lossy(&said[..length]).lines().any(|line| line == "READY=1")
            {
                return Ok(());
            }
            if let Some(status) = self.process.try_wait()? {
                bail!("warrantd ended ({status}): {}", self.said());
            }
        }
        bail!("warrantd was not ready within {} s: {}", PATIENCE.as_secs(), self.said())
    }

    /// Has it read its configuration anew, and waits until it has.
    pub fn reload(&mut self) -> anyhow::Result<()> {
        self.signal(Signal::SIGHUP)?;
        self.await_ready()
    }

    /// A session over the socket of a server.
    pub fn lines(&self, server: &str) -> anyhow::Result<Lines> {
        Lines::connect(&self.socket(server), Some(KEY)).with_context(|| self.said())
    }

    /// The socket of a server.
    #[must_use]
    pub fn socket(&self, server: &str) -> PathBuf {
        self.directory.join("run").join(format!("{server}.sock"))
    }

    /// A session over HTTP.
    pub fn session(&self, server: &str) -> anyhow::Result<Session> {
        let path = format!("/{server}/mcp");
        let headers = format!("Authorization: Bearer {KEY}\r\n");
        Session::begin(self.address, &path, &headers).with_context(|| self.said())
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Where its audit log is.
    #[must_use]
    pub fn audit(&self) -> PathBuf {
        self.directory.join("audit")
    }

    /// The last lines it wrote for people.
    #[must_use]
    pub fn said(&self) -> String {
        let text = fs::read_to_string(self.directory.join("stderr")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(10)..].join("\n")
    }

    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let pid = Pid::from_raw(self.process.id().try_into()?);
        Ok(kill(pid, signal)?)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let asked = self.signal(Signal::SIGTERM);
        let deadline = Instant::now() + PATIENCE;
        while asked.is_ok() && Instant::now() < deadline {
            if !matches!(self.process.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        let _ = self.process.kill(); // It may have ended by itself.
        let _ = self.process.wait();
    }
}

/// An address on loopback that nobody listens on.
pub fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

fn config(
    stage: &Stage,
    directory: &Path,
    address: SocketAddr,
    plans: &[Plan],
) -> anyhow::Result<String> {
    let mut servers = Vec::new();
    for plan in plans {
        servers.push(json!({
            "id": plan.id,
            "command": stage.server(&plan.flags)?,
            "root": stage.root(),
            "user": "nobody",
            "policy": stage.policy(plan)?,
            "auth": ["api_key"],
        }));
    }
    let limits = json!({
        "max_connections": 10_000,
        "max_sessions": 10_000,
        "max_sessions_per_actor": 10_000,
        "requests_per_second": 1_000_000,
    });
    // JSON is YAML.
    let config = json!({
        "runtime_dir": directory.join("run"),
        "state_dir": directory.join("state"),
        "audit": { "dir": directory.join("audit"), "durability": "process" },
        "kernel": "on",
        "actors": [{ "id": ACTOR, "api_keys": [format!("sha256:{:x}", Sha256::digest(KEY))] }],
        "listen": [{ "address": address.to_string() }],
        "limits": limits,
        "servers": servers,
    });
    Ok(serde_json::to_string_pretty(&config)?)
}
