//! Network namespaces in which foreign addresses are hosts of our own.
//!
//! The addresses are put on the namespace's loopback interface and nothing else is in it, so no
//! packet can leave the machine.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail, ensure};

/// How long listeners say nothing that have told all.
const SILENCE: Duration = Duration::from_millis(300);

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A network namespace, removed when dropped.
#[derive(Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// A namespace whose loopback interface has `addresses` beside its own.
    pub fn new(addresses: &[&str]) -> anyhow::Result<Self> {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("warrantd-{}-{number}", std::process::id());
        run(Command::new("ip").args(["netns", "add", &name]))?;
        let namespace = Self { name };
        run(namespace.enter("ip").args(["link", "set", "lo", "up"]))?;
        for address in addresses {
            let mut add = namespace.enter("ip");
            add.args(["addr", "add", address, "dev", "lo"]);
            if address.contains(':') {
                add.arg("nodad");
            }
            run(&mut add)?;
        }
        Ok(namespace)
    }

    /// A command that runs a program inside. Not `ip netns exec`, which would hide the cgroup and
    /// BPF file systems behind a new /sys, nor `ip -n`, which does the same to itself.
    pub fn enter(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        let mut net = std::ffi::OsString::from("--net=");
        net.push(self.path());
        command.arg(net).arg("--").arg(program);
        command
    }

    /// Does something on a thread inside. Sockets that are made there stay there.
    pub fn within<T: Send>(&self, act: impl FnOnce() -> T + Send) -> anyhow::Result<T> {
        let namespace = std::fs::File::open(self.path()).context("the network namespace")?;
        thread::scope(|scope| {
            let inside = scope.spawn(|| -> anyhow::Result<T> {
                nix::sched::setns(namespace, nix::sched::CloneFlags::CLONE_NEWNET)?;
                Ok(act())
            });
            inside.join().unwrap_or_else(|_| bail!("what was done inside panicked"))
        })
    }

    fn path(&self) -> PathBuf {
        Path::new("/run/netns").join(&self.name)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // There is nobody to report to; a namespace that stays is visible in `ip netns`.
        let _ = run(Command::new("ip").args(["netns", "del", &self.name]));
    }
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let done = command.output().with_context(|| format!("running {command:?}"))?;
    let complaint = String::from_utf8_lossy(&done.stderr);
    ensure!(done.status.success(), "{command:?}: {}", complaint.trim());
    Ok(())
}

/// What hosts answer, when nothing else is said.
pub const ANSWER: &str = "reached a peer";

/// Hosts that answer every connection and every datagram, stopped when dropped.
#[derive(Debug)]
pub struct Listeners {
    process: Child,
    lines: Receiver<String>,
}

impl Listeners {
    /// Starts `net-probe` on `ADDRESS:PORT`s inside a namespace, and waits until it listens. It
    /// answers [`ANSWER`].
    pub fn start(net: &Namespace, probe: &Path, addresses: &[&str]) -> anyhow::Result<Self> {
        Self::answering(ANSWER, net, probe, addresses)
    }

    /// As [`Self::start`], with another answer.
    pub fn answering(
        answer: &str,
        net: &Namespace,
        probe: &Path,
        addresses: &[&str],
    ) -> anyhow::Result<Self> {
        let mut process = net
            .enter(probe)
            .args(["listen", answer])
            .args(addresses)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting net-probe")?;
        let stdout = process.stdout.take().context("its output is piped")?;
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let mut listeners = Self { process, lines };
        match listeners.lines.recv_timeout(Duration::from_secs(10)) {
            Ok(line) if line == "ready" => Ok(listeners),
            other => {
                listeners.stop();
                bail!("net-probe does not listen on {addresses:?}: {other:?}")
            }
        }
    }

    /// Whom they answered since the last time: `tcp ADDRESS:PORT` or `udp ADDRESS:PORT`. They tell of it after
    /// they have answered, so this returns when they have been silent for a while.
    pub fn answered(&self) -> Vec<String> {
        std::iter::from_fn(|| self.lines.recv_timeout(SILENCE).ok()).collect()
    }

    fn stop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Listeners {
    fn drop(&mut self) {
        self.stop();
    }
}
