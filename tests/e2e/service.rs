//! The daemon as its unit runs it: a user of its own, eight capabilities, and a cgroup that was delegated to it.
//!
//! Systemd is not needed for that: a shell does to itself what systemd would, in a mount namespace where pins
//! are the test's own.

use std::collections::BTreeSet;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use libtest_mimic::Trial;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use warrantd_tests::client::Client;
use warrantd_tests::harness::test;
use warrantd_tests::needs::Need;
use warrantd_tests::records::await_record;

use crate::daemon::{KEY, ONLY, config};
use crate::rig::{NOTE, Rig};

const POLICY: &str = "
actors:
  - {id: assistant-service, allowed_tools: [read_text_file]}
constraints:
  read_text_file: {allowed_paths: ['public/**']}
";

/// The user of the daemon, of whom nothing else runs.
const USER: &str = "bin";

/// The packaged unit, which says what the daemon may do.
const UNIT: &str = include_str!("../../packaging/systemd/warrantd.service");

/// How long the daemon may take to start.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn tests() -> Vec<Trial> {
    const NEEDS: &[Need] = &[
        Need::Kernel,
        Need::Program("setpriv"),
        Need::Program("unshare"),
        Need::Program("python3"),
    ];
    vec![
        test("service::it_works_as_its_unit_runs_it", NEEDS, works),
        test("service::it_works_without_none_of_its_capabilities", NEEDS, needs_each),
        test("service::a_killed_daemon_leaves_no_server_and_its_sessions_are_told", NEEDS, killed),
        test("service::no_server_runs_as_the_user_of_the_daemon", NEEDS, own_user),
    ]
}

/// The capabilities of the unit's bounding set, as `setpriv` writes them.
fn capabilities() -> anyhow::Result<BTreeSet<String>> {
    let of = |key: &str| -> BTreeSet<String> {
        let lines = UNIT.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        let words = lines.flat_map(str::split_whitespace);
        words.map(|word| word.trim_start_matches("CAP_").to_lowercase()).collect()
    };
    let (bounding, ambient) = (of("CapabilityBoundingSet"), of("AmbientCapabilities"));
    ensure!(!bounding.is_empty() && bounding == ambient, "{bounding:?} and {ambient:?}");
    Ok(bounding)
}

/// The user's id.
fn user() -> anyhow::Result<u32> {
    let table = fs::read_to_string("/etc/passwd")?;
    let line = table.lines().find_map(|line| line.strip_prefix(&format!("{USER}:x:")));
    let id = line.and_then(|line| line.split(':').next()?.parse().ok());
    id.with_context(|| format!("there is no user {USER}"))
}

/// A cgroup such as systemd delegates, gone when dropped.
struct Delegated(PathBuf);

impl Delegated {
    fn new() -> anyhow::Result<Self> {
        let table = fs::read_to_string("/proc/self/mounts")?;
        let mount = table.lines().find_map(|line| {
            let mut fields = line.split(' ').skip(1);
            let place = fields.next()?;
            (fields.next()? == "cgroup2").then_some(place)
        });
        let name = format!("warrantd-test-{}.service", std::process::id());
        let made = Self(Path::new(mount.context("no cgroup2")?).join(name));
        fs::create_dir(&made.0)?;
        let user = Some(user()?);
        for file in ["", "cgroup.procs", "cgroup.subtree_control", "cgroup.threads"] {
            chown(made.0.join(file), user, user)?;
        }
        let script = "import os, sys; os.setxattr(sys.argv[1], 'user.delegate', b'1')";
        let marked = Command::new("python3").args(["-c", script]).arg(&made.0).status()?;
        ensure!(marked.success(), "the cgroup cannot be marked");
        Ok(made)
    }

    /// What systemd does when the main process has ended: everything else is killed, and the tree removed.
    fn cleared(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            for dir in self.tree() {
                let pids = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
                for pid in pids.lines().filter_map(|pid| pid.parse().ok()).filter(|pid| *pid > 0) {
                    let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
                }
                if dir != self.0 {
                    let _ = fs::remove_dir(dir);
                }
            }
            if self.tree().len() == 1 {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "processes stay in {}", self.0.display());
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// The cgroups, the deepest first.
    fn tree(&self) -> Vec<PathBuf> {
        fn below(dir: &Path, found: &mut Vec<PathBuf>) {
            for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    below(&entry.path(), found);
                }
            }
            found.push(dir.to_owned());
        }
        let mut found = Vec::new();
        below(&self.0, &mut found);
        found
    }
}

impl Drop for Delegated {
    fn drop(&mut self) {
        let _ = self.cleared();
        let _ = fs::remove_dir(&self.0);
    }
}

/// Surroundings in which the daemon can be started more than once, with the same pins.
struct Host {
    rig: Rig,
    cgroup: Delegated,
    config: PathBuf,
    /// Holds the mount namespace with the pins.
    keeper: Child,
    _only: MutexGuard<'static, ()>,
}

impl Host {
    fn new(server_user: &str) -> anyhow::Result<Self> {
        let user = user()?;
        let only = ONLY.lock().unwrap_or_else(PoisonError::into_inner);
        let rig = Rig::new(POLICY)?;
        let command = rig.rogue(&[])?;
        let command: Vec<_> = command.iter().map(|word| word.to_string_lossy().into()).collect();
        for dir in ["run", "state", "audit"] {
            chown(rig.scratch.writable_directory(dir)?, Some(user), Some(user))?;
        }
        // What the server works on is its own user's alone.
        chown(&rig.root, Some(65534), Some(65534))?;
        fs::set_permissions(&rig.root, Permissions::from_mode(0o700))?;
        let text = config(&rig, "[api_key]", &command)?;
        let key = rig.scratch.path("audit.key")?.display().to_string();
        let own_key = rig.scratch.path("state/audit.key")?.display().to_string();
        let text =
            text.replace(&key, &own_key).replace("user: nobody", &format!("user: {server_user}"));
        let config = rig.scratch.file("warrantd.yaml", text)?;
        let script = format!(
            "mount -t bpf bpf /sys/fs/bpf -o mode=700
             [ -e /sys/kernel/tracing/events ] || mount -t tracefs tracefs /sys/kernel/tracing
             mkdir -m 700 /sys/fs/bpf/warrantd
             chown {user}:{user} /sys/fs/bpf/warrantd
             echo ready
             exec sleep 600"
        );
        let mut keeper = Command::new("unshare");
        keeper.args(["--mount", "--propagation", "private", "sh", "-ec", &script]);
        let mut keeper = keeper.stdout(Stdio::piped()).spawn()?;
        let mut said = [0; 5];
        let mut output = keeper.stdout.take().context("its output is piped")?;
        std::io::Read::read_exact(&mut output, &mut said).context("no mount namespace")?;
        let cgroup = Delegated::new()?;
        Ok(Self { rig, cgroup, config, keeper, _only: only })
    }

    /// Starts the daemon with these capabilities.
    fn serve(&self, capabilities: &BTreeSet<String>) -> anyhow::Result<Daemon> {
        let all = capabilities.iter().fold(String::new(), |all, name| all + ",+" + name);
        let stderr = self.rig.scratch.path("stderr")?;
        let script =
            "echo $$ > \"$1/cgroup.procs\"; export SYSTEMD_EXEC_PID=$$; shift; exec \"$@\"";
        let mut serve = Command::new("nsenter");
        serve.args([
            "--mount",
            "--target",
            &self.keeper.id().to_string(),
            "sh",
            "-ec",
            script,
            "sh",
        ]);
        serve.arg(&self.cgroup.0).arg("setpriv");
        let user = user()?.to_string();
        serve.args(["--reuid", &user, "--regid", &user, "--clear-groups"]);
        for set in ["--inh-caps", "--ambient-caps", "--bounding-set"] {
            serve.arg(format!("{set}=-all{all}"));
        }
        serve.arg("--no-new-privs").arg(self.rig.scratch.program("warrantd")?);
        serve.args(["serve", "--config"]).arg(&self.config).env_remove("WARRANTD_LOG");
        serve.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&stderr)?);
        Ok(Daemon { process: serve.spawn()?, stderr })
    }

    fn client(&self) -> anyhow::Result<Client> {
        let mut command = Command::new(self.rig.scratch.program("warrantd")?);
        command
            .args(["connect", "files", "--socket"])
            .arg(self.rig.scratch.path("run/files.sock")?);
        command.arg("--key-file").arg(self.rig.scratch.file("key", KEY)?);
        Client::connect(command)
    }

    /// Makes a call that is allowed.
    fn call(&self) -> anyhow::Result<Client> {
        let mut client = self.client()?;
        let reply = client.call("read_text_file", &json!({"path": "public/note.txt"}))?;
        ensure!(reply.text()? == NOTE, "{}", reply.line);
        Ok(client)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.cgroup.cleared();
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}

struct Daemon {
    process: Child,
    stderr: PathBuf,
}

impl Daemon {
    fn said(&self) -> String {
        fs::read_to_string(&self.stderr).unwrap_or_default()
    }

    /// Waits until it listens. The error is what it said instead.
    fn listens(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !self.said().contains("listening on") {
            if let Some(status) = self.process.try_wait()? {
                bail!("{status}: {}", self.said());
            }
            ensure!(Instant::now() < deadline, "it does not listen: {}", self.said());
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn end(&mut self, signal: Signal) -> anyhow::Result<()> {
        kill(Pid::from_raw(self.process.id().try_into()?), signal)?;
        self.process.wait()?;
        Ok(())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn works() -> anyhow::Result<()> {
    let host = Host::new("nobody")?;
    let mut daemon = host.serve(&capabilities()?)?;
    daemon.listens()?;
    let own = host.cgroup.0.join("daemon/cgroup.procs");
    ensure!(
        fs::read_to_string(&own)?.trim() == daemon.process.id().to_string(),
        "{}",
        own.display()
    );
    let client = host.call().with_context(|| daemon.said())?;
    let sessions = host.cgroup.0.join("warrantd/serve");
    let session = fs::read_dir(&sessions)?.flatten().find(|entry| {
        fs::read_to_string(entry.path().join("cgroup.procs")).is_ok_and(|pids| !pids.is_empty())
    });
    ensure!(session.is_some(), "no server in {}", sessions.display());
    ensure!(
        fs::read_to_string(host.cgroup.0.join("cgroup.procs"))?.is_empty(),
        "it holds processes"
    );
    client.finish()?;
    let record = await_record(&host.rig.audit, |record| record.text("event") == "call")?;
    ensure!(record.verdict() == "WITHIN", "{record:#?}");
    daemon.end(Signal::SIGTERM)?;
    ensure!(!sessions.exists(), "its cgroup is left: {}", daemon.said());
    Ok(())
}

/// Without any of them it does not start, or does not do its work; and says what is missing.
fn needs_each() -> anyhow::Result<()> {
    let all = capabilities()?;
    let host = Host::new("nobody")?;
    for missing in &all {
        let mut fewer = all.clone();
        fewer.remove(missing);
        let mut daemon = host.serve(&fewer)?;
        let Err(error) = daemon.listens() else { bail!("it starts without {missing}") };
        let error = error.to_string();
        let says = match missing.as_str() {
            "dac_read_search" => "Permission denied",
            other => &format!("CAP_{}", other.to_uppercase()),
        };
        ensure!(error.contains(says), "{missing} is not named: {error}");
    }
    // The twin.
    host.serve(&all)?.listens()
}

fn killed() -> anyhow::Result<()> {
    let host = Host::new("nobody")?;
    let mut daemon = host.serve(&capabilities()?)?;
    daemon.listens()?;
    let _client = host.call()?;
    let record = await_record(&host.rig.audit, |record| record.text("event") == "call")?;
    let session = record.text("session_id").to_owned();
    daemon.end(Signal::SIGKILL)?;
    host.cgroup.cleared()?;

    // The cgroups are gone, and what happened in them is told all the same.
    let mut next = host.serve(&capabilities()?)?;
    next.listens()?;
    let gap = await_record(&host.rig.audit, |record| {
        record.text("event") == "gap" && record.text("session_id").ends_with(&session)
    });
    gap.with_context(|| next.said())?;
    host.call().with_context(|| next.said())?;
    next.end(Signal::SIGTERM)
}

fn own_user() -> anyhow::Result<()> {
    let host = Host::new(USER)?;
    let mut daemon = host.serve(&capabilities()?)?;
    let Err(error) = daemon.listens() else { bail!("it starts") };
    ensure!(error.to_string().contains("name another user"), "{error}");
    Ok(())
}
