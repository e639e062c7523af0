//! The daemon is killed at any moment, a hundred times, while a server works on.
//!
//! How often is said by `WARRANTD_TEST_KILLS`; the moments follow from `WARRANTD_TEST_SEED`, which is
//! printed.
#![allow(
    clippy::print_stderr,
    reason = "the seed repeats a run, the counts tell what it was worth"
)]

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use libtest_mimic::Trial;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use warrantd_tests::client::Client;
use warrantd_tests::harness::test;
use warrantd_tests::needs::Need;
use warrantd_tests::scratch::text;

use crate::daemon::{KEY, ONLY, config};
use crate::lifecycle::{cgroups, within_seconds};
use crate::processes::{alive, running};
use crate::rig::Rig;

pub(crate) fn tests() -> Vec<Trial> {
    const KERNEL: &[Need] = &[Need::Kernel];
    vec![test("crash::a_daemon_killed_a_hundred_times_opens_nothing", KERNEL, hundred)]
}

/// Milliseconds after its start within which a daemon is killed that may not be ready yet.
const STARTING: u64 = 400;
/// The same after its server has been seen to work.
const WORKING: u64 = 60;

fn hundred() -> anyhow::Result<()> {
    let _only = ONLY.lock().unwrap_or_else(PoisonError::into_inner);
    let number = |name: &str, otherwise: u64| {
        std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
    };
    let kills = number("WARRANTD_TEST_KILLS", 100);
    let seed = number("WARRANTD_TEST_SEED", u64::from(std::process::id()));
    eprintln!("{kills} kills with the seed {seed}");
    let stage = Stage::new()?;
    let over = AtomicBool::new(false);
    let (mut random, mut tally) = (Random(seed), Tally::default());
    let done = thread::scope(|scope| {
        scope.spawn(|| stage.denied.serve(&over));
        scope.spawn(|| stage.allowed.serve(&over));
        let rounds = (0..kills).try_for_each(|round| {
            stage.round(&mut random, &mut tally).with_context(|| format!("round {round}"))
        });
        let done = rounds.and_then(|()| stage.end());
        over.store(true, Ordering::SeqCst);
        done
    });
    stage.denied.expect_none().and(done)?;
    let report = stage.report();
    let count = |what: &str| report.lines().filter(|line| line.ends_with(what)).count();
    let (refused, passed) = (count(" denied EPERM"), count(" allowed ok"));
    eprintln!(
        "{tally:?}; {refused} connections refused, {passed} of the twin; accepted: {} of the twin",
        stage.allowed.accepted.load(Ordering::SeqCst)
    );
    let denied = report.lines().filter(|line| line.contains(" denied ")).count();
    ensure!(denied == refused, "not every connection was refused with EPERM");
    ensure!(kills < 20 || (tally.survivors > 0 && passed > 0), "nothing was tried: {tally:?}");
    Ok(())
}

/// What the rounds were worth.
#[derive(Debug, Default)]
struct Tally {
    /// Killed before the server was seen to work.
    starting: u64,
    /// Killed afterwards.
    working: u64,
    /// Rounds in which a process outlived the daemon and was refused after that.
    survivors: u64,
    /// Session cgroups that were found behind a dead daemon and tried.
    cgroups: u64,
}

/// A daemon's surroundings, and the two peers.
struct Stage {
    rig: Rig,
    config: PathBuf,
    socket: PathBuf,
    key: PathBuf,
    server: PathBuf,
    denied: Peer,
    allowed: Peer,
}

impl Stage {
    fn new() -> anyhow::Result<Self> {
        let (denied, allowed) = (Peer::new()?, Peer::new()?);
        let port = allowed.listener.local_addr()?.port();
        let rig = Rig::new(&format!(
            "
actors:
  - {{id: assistant-service, allowed_tools: [read_text_file]}}
network:
  allow:
    - {{cidr: 127.0.0.1/32, ports: [{port}]}}
effects: {{network: always}}
"
        ))?;
        let report = text(&rig.root.join("out/report.txt"));
        let peers = [denied.address()?, allowed.address()?];
        let command = rig.rogue(&["--descendant", &peers[0], &peers[1], &report])?;
        let command: Vec<_> = command.iter().map(|word| word.to_string_lossy().into()).collect();
        let config = rig.scratch.file("warrantd.yaml", config(&rig, "[api_key]", &command)?)?;
        Ok(Self {
            config,
            socket: rig.scratch.path("run")?.join("files.sock"),
            key: rig.scratch.file("key", KEY)?,
            server: rig.scratch.program("rogue-server")?,
            rig,
            denied,
            allowed,
        })
    }

    /// Starts a daemon, kills it, and looks at what it left.
    fn round(&self, random: &mut Random, tally: &mut Tally) -> anyhow::Result<()> {
        let known = self.report().len();
        let mut daemon = self.start()?;
        let killed = AtomicBool::new(false);
        let early = random.below(3) == 0;
        let ready = thread::scope(|scope| {
            let client = scope.spawn(|| self.connect(&killed));
            let ready = early || within_seconds(20, || self.report().len() > known);
            thread::sleep(Duration::from_millis(random.below(if early {
                STARTING
            } else {
                WORKING
            })));
            let done = daemon.kill();
            killed.store(true, Ordering::SeqCst);
            // The client's end does not matter: its daemon is dead.
            let _ = client.join();
            done.map(|()| ready)
        })?;
        ensure!(ready, "the daemon did not start a server: {}", daemon.stderr());
        *(if early { &mut tally.starting } else { &mut tally.working }) += 1;
        self.all_confined()?;
        tally.survivors += u64::from(self.survivor_is_refused()?);
        for cgroup in session_cgroups()? {
            tally.cgroups += u64::from(self.is_enforced(&cgroup)?);
        }
        Ok(())
    }

    fn start(&self) -> anyhow::Result<Client> {
        let mut serve = Command::new(self.rig.scratch.program("warrantd")?);
        serve.arg("serve").arg("--config").arg(&self.config).env_remove("WARRANTD_LOG");
        Client::start(serve)
    }

    /// A client that comes as soon as it can and stays until the daemon is dead.
    fn connect(&self, killed: &AtomicBool) -> anyhow::Result<()> {
        while UnixStream::connect(&self.socket).is_err() {
            if killed.load(Ordering::SeqCst) {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(5));
        }
        let mut command = Command::new(self.rig.scratch.program("warrantd")?);
        command.arg("connect").arg("files").arg("--socket").arg(&self.socket);
        command.arg("--key-file").arg(&self.key).env_remove("WARRANTD_API_KEY");
        let mut client = Client::start(command)?;
        let _ = client.initialize();
        while !killed.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(5));
        }
        client.kill()
    }

    /// No process of the server is outside the sessions of the daemon.
    fn all_confined(&self) -> anyhow::Result<()> {
        for pid in running(&self.server)? {
            let cgroup = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
            let own = cgroup.lines().any(|line| line.contains("::/warrantd/serve/files-"));
            ensure!(own || !alive(pid), "process {pid} runs outside: {cgroup}");
        }
        Ok(())
    }

    /// Whether a process outlived the daemon. It must go on being refused one peer and reaching the other.
    fn survivor_is_refused(&self) -> anyhow::Result<bool> {
        let known = self.report().len();
        let lines = || self.report().get(known..).unwrap_or_default().to_owned();
        let works = || lines().contains(" denied EPERM\n") && lines().contains(" allowed ok\n");
        let none = || running(&self.server).is_ok_and(|pids| pids.is_empty());
        ensure!(within_seconds(10, || works() || none()), "the survivor is stuck: {}", lines());
        Ok(works())
    }

    /// Moves a process of ours into a cgroup that a dead daemon left: the peer must be refused to it as well.
    /// False when somebody has cleaned it up meanwhile.
    fn is_enforced(&self, cgroup: &Path) -> anyhow::Result<bool> {
        let mut command = Command::new("sh");
        command.args(["-c", "echo $$ >\"$0/cgroup.procs\" && exec \"$1\" try \"tcp $2\""]);
        command.arg(cgroup).arg(self.rig.scratch.program("net-probe")?).arg(self.denied.address()?);
        let output = command.output()?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        if !cgroup.exists() {
            return Ok(false);
        }
        ensure!(said.trim().ends_with(" EPERM"), "in {}: {said} {output:?}", cgroup.display());
        Ok(true)
    }

    /// A last daemon starts, cleans up after the others, and ends in peace.
    fn end(&self) -> anyhow::Result<()> {
        let daemon = self.start()?;
        let ready = || UnixStream::connect(&self.socket).is_ok();
        ensure!(within_seconds(20, ready), "the last daemon did not start: {}", daemon.stderr());
        ensure!(running(&self.server)?.is_empty(), "servers of dead daemons run");
        kill(Pid::from_raw(daemon.pid().try_into()?), Signal::SIGTERM)?;
        let ending = daemon.ending()?;
        ensure!(ending.status.success(), "{ending:?}");
        let (pins, cgroup) = (Path::new("/sys/fs/bpf/warrantd/serve"), serve_cgroup()?);
        ensure!(!pins.exists() && !cgroup.exists(), "something was left behind");
        Ok(())
    }

    /// What the server's descendants wrote.
    fn report(&self) -> String {
        let text = fs::read_to_string(self.rig.root.join("out/report.txt")).unwrap_or_default();
        // The last line may still be in the making.
        text.rsplit_once('\n').map_or_else(String::new, |(whole, _)| format!("{whole}\n"))
    }
}

fn serve_cgroup() -> anyhow::Result<PathBuf> {
    Ok(cgroups()?.join("warrantd/serve"))
}

/// The sessions' cgroups that are there.
fn session_cgroups() -> anyhow::Result<Vec<PathBuf>> {
    let Ok(entries) = fs::read_dir(serve_cgroup()?) else { return Ok(Vec::new()) };
    Ok(entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect())
}

/// A host that answers every connection with a byte.
pub(crate) struct Peer {
    listener: TcpListener,
    pub(crate) accepted: AtomicU64,
}

impl Peer {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener, accepted: AtomicU64::new(0) })
    }

    pub(crate) fn address(&self) -> anyhow::Result<String> {
        Ok(self.listener.local_addr()?.to_string())
    }

    pub(crate) fn serve(&self, over: &AtomicBool) {
        while !over.load(Ordering::SeqCst) {
            while let Ok((mut stream, _)) = self.listener.accept() {
                self.accepted.fetch_add(1, Ordering::SeqCst);
                let _ = stream.write_all(b"x");
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    pub(crate) fn expect_none(&self) -> anyhow::Result<()> {
        match self.accepted.load(Ordering::SeqCst) {
            0 => Ok(()),
            count => bail!("{count} connections came through that policy denies"),
        }
    }
}

/// Random enough for moments, and the same for the same seed (splitmix64, public domain).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }
}
