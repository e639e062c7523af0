//! `warrantd serve` and `warrantd connect`: who gets in, and who does not.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use libtest_mimic::Trial;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use warrantd_tests::client::Client;
use warrantd_tests::harness::test;
use warrantd_tests::needs::Need;
use warrantd_tests::places;
use warrantd_tests::records::await_record;
use warrantd_tests::scratch::text;

use crate::processes::running;
use crate::python::{MODES, session};
use crate::rig::{NOTE, Rig, UNAUTHENTICATED, expect_error};

const POLICY: &str = "
actors:
  - {id: assistant-service, allowed_tools: [read_text_file]}
constraints:
  read_text_file: {allowed_paths: ['public/**']}
";

pub(crate) const KEY: &str = "wd-test-5f2d9c1b8e7a4360";
/// A user that the configuration knows, and one that it does not.
const KNOWN: u32 = 65533;
const UNKNOWN: u32 = 65532;

pub(crate) fn tests() -> Vec<Trial> {
    const KERNEL: &[Need] = &[Need::Kernel];
    const REAL: &[Need] = &[Need::Kernel, Need::FilesystemServer, Need::PythonClient];
    vec![
        test("daemon::the_right_key_opens", KERNEL, right_key),
        test("daemon::a_wrong_key_does_not", KERNEL, wrong_key),
        test("daemon::a_wrong_key_is_not_mended_by_a_known_user", KERNEL, wrong_key_of_known),
        test("daemon::a_known_user_needs_no_key", KERNEL, known_user),
        test("daemon::an_unknown_user_without_key_does_not_get_in", KERNEL, unknown_user),
        test("daemon::methods_that_are_not_configured_do_not_count", KERNEL, method_off),
        test("daemon::the_real_client_with_the_right_key", REAL, real_right_key),
        test("daemon::the_real_client_with_a_wrong_key", REAL, real_wrong_key),
        test("daemon::each_session_has_its_own_server", KERNEL, two_sessions),
        test("daemon::killing_the_daemon_kills_its_servers", KERNEL, killed),
        test("daemon::kernel_off_in_the_file_is_unobserved", &[Need::Root], kernel_off),
        test("daemon::a_broken_configuration_starts_nothing", &[], broken),
    ]
}

/// A machine has one daemon.
pub(crate) static ONLY: Mutex<()> = Mutex::new(());

/// A running daemon with one server, `files`.
pub(crate) struct Daemon {
    pub(crate) rig: Rig,
    pub(crate) process: Client,
    socket: PathBuf,
    // Released last: fields are dropped in order.
    _only: MutexGuard<'static, ()>,
}

impl Daemon {
    /// A daemon in front of the rogue server without misdeeds.
    fn start(auth: &str) -> anyhow::Result<Self> {
        let rig = Rig::new(POLICY)?;
        let command = rig.rogue(&[])?;
        let command: Vec<_> = command.iter().map(|word| word.to_string_lossy().into()).collect();
        Self::with(rig, auth, &command)
    }

    /// A daemon in front of the real filesystem server.
    fn of_files() -> anyhow::Result<Self> {
        let rig = Rig::new(POLICY)?;
        let mut command = places::filesystem_server().map_err(anyhow::Error::msg)?;
        command.push(rig.root.clone());
        let command: Vec<_> = command.iter().map(|word| text(word)).collect();
        Self::with(rig, "[api_key, peer_uid]", &command)
    }

    pub(crate) fn with(rig: Rig, auth: &str, command: &[String]) -> anyhow::Result<Self> {
        Self::configured(rig, auth, command, |config| config)
    }

    pub(crate) fn configured(
        rig: Rig,
        auth: &str,
        command: &[String],
        change: impl FnOnce(String) -> String,
    ) -> anyhow::Result<Self> {
        Self::at_level("info", rig, auth, command, change)
    }

    /// The same with a log of its own at this level.
    pub(crate) fn at_level(
        level: &str,
        rig: Rig,
        auth: &str,
        command: &[String],
        change: impl FnOnce(String) -> String,
    ) -> anyhow::Result<Self> {
        let only = ONLY.lock().unwrap_or_else(PoisonError::into_inner);
        let runtime = rig.scratch.path("run")?;
        let config = rig.scratch.file("warrantd.yaml", change(config(&rig, auth, command)?))?;
        let mut serve = Command::new(rig.scratch.program("warrantd")?);
        serve.arg("serve").arg("--config").arg(config).env("WARRANTD_LOG", level);
        let process = Client::start(serve)?;
        let socket = runtime.join("files.sock");
        let deadline = Instant::now() + Duration::from_secs(20);
        while !socket.exists() {
            if Instant::now() > deadline {
                bail!("no socket within 20 s; stderr: {}", process.stderr());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(Self { rig, process, socket, _only: only })
    }

    /// Starts it once more, when it has ended.
    pub(crate) fn again(&self) -> anyhow::Result<Client> {
        let mut serve = Command::new(self.rig.scratch.program("warrantd")?);
        serve.arg("serve").arg("--config").arg(self.rig.scratch.path("warrantd.yaml")?);
        Client::start(serve)
    }

    /// `warrantd connect files`, with a key from a file if there is one.
    pub(crate) fn connect(&self, key: Option<&str>) -> anyhow::Result<Command> {
        let mut command = Command::new(self.rig.scratch.program("warrantd")?);
        command.arg("connect").arg("files").arg("--socket").arg(&self.socket);
        if let Some(key) = key {
            let file = self.rig.scratch.file("key", format!("{key}\n"))?;
            fs::set_permissions(&file, Permissions::from_mode(0o644))?;
            command.arg("--key-file").arg(file);
        }
        command.env_remove("WARRANTD_API_KEY");
        Ok(command)
    }

    fn connect_as(&self, uid: u32, key: Option<&str>) -> anyhow::Result<Command> {
        let mut command = self.connect(key)?;
        command.uid(uid).gid(uid);
        Ok(command)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        terminate(&self.process);
    }
}

/// Asks a daemon to end. It does not end with its stdin.
pub(crate) fn terminate(daemon: &Client) {
    if let Ok(pid) = daemon.pid().try_into() {
        let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
    }
}

/// The daemon's file: one server, `files`, that runs this command.
pub(crate) fn config(rig: &Rig, auth: &str, command: &[String]) -> anyhow::Result<String> {
    let hash = format!("{:x}", Sha256::digest(KEY));
    Ok(format!(
        "
runtime_dir: {run}
state_dir: {state}
audit: {{dir: {audit}, checkpoint: {{key: {key}}}}}
kernel: on
actors:
  - id: assistant-service
    api_keys: ['sha256:{hash}']
    uids: [{KNOWN}]
servers:
  - id: files
    command: {command}
    root: {root}
    user: nobody
    policy: policy.yaml
    auth: {auth}
",
        run = rig.scratch.path("run")?.display(),
        state = rig.scratch.path("state")?.display(),
        audit = rig.audit.display(),
        key = rig.scratch.path("audit.key")?.display(),
        root = rig.root.display(),
        command = serde_json::to_string(command)?,
    ))
}

/// Demands that the caller gets in and that its calls are recorded as this method's.
fn opens(daemon: &Daemon, command: Command, method: &str) -> anyhow::Result<()> {
    let mut client = Client::connect(command)?;
    let tools = client.request("tools/list", &json!({}))?;
    ensure!(tools.result()?["tools"].as_array().is_some_and(|tools| !tools.is_empty()));
    let reply = client.call("read_text_file", &json!({"path": "public/note.txt"}))?;
    ensure!(reply.text()? == NOTE);
    client.finish()?;
    let record = await_record(&daemon.rig.audit, |record| record.text("event") == "call")?;
    ensure!(record.text("auth_method") == method, "{record:#?}");
    ensure!(record.text("actor") == "assistant-service", "{record:#?}");
    ensure!(record.text("server_id") == "files", "{record:#?}");
    ensure!(record.verdict() == "WITHIN", "{record:#?}");
    Ok(())
}

/// Demands that the caller gets an authentication error and then nothing more: its further requests
/// stay unanswered, and no server is started.
fn stays_closed(daemon: &Daemon, command: Command) -> anyhow::Result<()> {
    let mut client = Client::start(command)?;
    let reply = client.initialize()?;
    expect_error(&reply, UNAUTHENTICATED)?;
    let message = reply.message.pointer("/error/message");
    ensure!(message == Some(&json!("authentication failed")), "{}", reply.line);
    // The connection is closed, so either sending or the answer fails.
    let tools = client.request("tools/list", &json!({}));
    ensure!(tools.is_err(), "answered: {tools:?}");
    ensure!(!client.received().contains("inputSchema"), "{}", client.received());
    ensure!(!client.received().contains(KEY), "{}", client.received());
    let server = daemon.rig.scratch.program("rogue-server")?;
    ensure!(running(&server)?.is_empty(), "a server was started");
    let record =
        await_record(&daemon.rig.audit, |record| record.text("event") == "authentication")?;
    ensure!(record.text("correlation_id") == reply.correlation_id(), "{record:#?}");
    ensure!(record.text("status") == "FAILURE", "{record:#?}");
    Ok(())
}

pub(crate) const BOTH: &str = "[api_key, peer_uid]";

fn right_key() -> anyhow::Result<()> {
    let daemon = Daemon::start(BOTH)?;
    opens(&daemon, daemon.connect_as(UNKNOWN, Some(KEY))?, "api_key")
}

fn wrong_key() -> anyhow::Result<()> {
    let daemon = Daemon::start(BOTH)?;
    stays_closed(&daemon, daemon.connect_as(UNKNOWN, Some("wd-test-5f2d9c1b8e7a4361"))?)
}

fn wrong_key_of_known() -> anyhow::Result<()> {
    let daemon = Daemon::start(BOTH)?;
    stays_closed(&daemon, daemon.connect_as(KNOWN, Some("wrong"))?)
}

fn known_user() -> anyhow::Result<()> {
    let daemon = Daemon::start(BOTH)?;
    opens(&daemon, daemon.connect_as(KNOWN, None)?, "peer_uid")
}

fn unknown_user() -> anyhow::Result<()> {
    let daemon = Daemon::start(BOTH)?;
    stays_closed(&daemon, daemon.connect_as(UNKNOWN, None)?)
}

fn method_off() -> anyhow::Result<()> {
    let daemon = Daemon::start("[api_key]")?;
    stays_closed(&daemon, daemon.connect_as(KNOWN, None)?)?;
    drop(daemon);
    let daemon = Daemon::start("[peer_uid]")?;
    stays_closed(&daemon, daemon.connect_as(UNKNOWN, Some(KEY))?)
}

fn call(rig: &Rig) -> (&'static str, Value) {
    ("read_text_file", json!({"path": text(&rig.root.join("public/note.txt"))}))
}

fn real_right_key() -> anyhow::Result<()> {
    let daemon = Daemon::of_files()?;
    for mode in MODES {
        let answer = session(&daemon.connect(Some(KEY))?, mode, &[call(&daemon.rig)])?;
        ensure!(answer["results"] == json!([{"text": NOTE, "is_error": false}]), "{answer:#}");
        let tools = answer["tools"].as_array().context("tools")?;
        ensure!(tools.contains(&json!("read_text_file")), "{answer:#}");
    }
    Ok(())
}

fn real_wrong_key() -> anyhow::Result<()> {
    let daemon = Daemon::of_files()?;
    let answer = session(&daemon.connect(Some("wrong"))?, "legacy", &[call(&daemon.rig)])?;
    ensure!(answer["failed"]["code"] == json!(UNAUTHENTICATED), "{answer:#}");
    ensure!(answer.get("tools").is_none(), "{answer:#}");
    Ok(())
}

fn two_sessions() -> anyhow::Result<()> {
    let daemon = Daemon::start(BOTH)?;
    let server = daemon.rig.scratch.program("rogue-server")?;
    let first = Client::connect(daemon.connect(Some(KEY))?)?;
    let second = Client::connect(daemon.connect(Some(KEY))?)?;
    ensure!(running(&server)?.len() == 2, "{:?}", running(&server)?);
    first.finish()?;
    second.finish()?;
    ensure!(ends(&server), "servers remain after their sessions");
    Ok(())
}

/// Whether nothing runs the program within twenty seconds.
pub(crate) fn ends(program: &Path) -> bool {
    let deadline = Instant::now() + Duration::from_secs(20);
    while Instant::now() < deadline {
        if running(program).is_ok_and(|pids| pids.is_empty()) {
            return true;
        }
        thread::sleep(Duration::from_millis(20));
    }
    false
}

fn killed() -> anyhow::Result<()> {
    let mut daemon = Daemon::start(BOTH)?;
    let server = daemon.rig.scratch.program("rogue-server")?;
    let _session = Client::connect(daemon.connect(Some(KEY))?)?;
    ensure!(running(&server)?.len() == 1, "{:?}", running(&server)?);
    daemon.process.kill()?;
    ensure!(ends(&server), "the server outlived the daemon");
    Ok(())
}

fn kernel_off() -> anyhow::Result<()> {
    let rig = Rig::new(POLICY)?;
    let command = vec![text(&rig.scratch.program("rogue-server")?)];
    let daemon = Daemon::configured(rig, BOTH, &command, |config| {
        config.replace("kernel: on", "kernel: off")
    })?;
    let mut client = Client::connect(daemon.connect(Some(KEY))?)?;
    client.call("read_text_file", &json!({"path": "public/note.txt"}))?.result()?;
    client.finish()?;
    let record = await_record(&daemon.rig.audit, |record| record.text("event") == "call")?;
    ensure!(record.verdict() == "UNOBSERVED", "{record:#?}");
    Ok(())
}

fn broken() -> anyhow::Result<()> {
    let rig = Rig::new(POLICY)?;
    let right = config(&rig, BOTH, &["/bin/true".to_owned()])?;
    let policy = rig.policy.display().to_string();
    let cases = [
        ("unknown key", right.replace("runtime_dir", "runtime_dri"), "warrantd.yaml:2:1"),
        ("bad hash", right.replace("sha256:", "sha257:"), "warrantd.yaml:8:"),
        ("bad method", right.replace("peer_uid", "peer"), "warrantd.yaml:16:"),
        ("missing policy", right.replace("policy.yaml", "absent.yaml"), "absent.yaml"),
        (
            "unknown actor",
            right.replace("id: assistant-service", "id: asistant"),
            "warrantd.yaml:7:",
        ),
        ("not YAML", right.replace("servers:", "servers: ]"), "warrantd.yaml:10:"),
    ];
    for (name, config, place) in cases {
        let config = rig.scratch.file("warrantd.yaml", config)?;
        for command in [["serve", "--config"].as_slice(), &["check"]] {
            let mut warrantd = Command::new(rig.scratch.program("warrantd")?);
            let output = warrantd.args(command).arg(&config).output()?;
            let said = String::from_utf8_lossy(&output.stderr);
            ensure!(output.status.code() == Some(78), "{name}: {}: {said}", output.status);
            ensure!(said.contains(place), "{name}: `{place}` is not mentioned: {said}");
        }
        ensure!(!rig.scratch.path("run")?.exists(), "{name}: sockets were made");
    }
    // The daemon's file is right, but the policy it names is not.
    let config = rig.scratch.file("warrantd.yaml", right)?;
    rig.scratch.file("policy.yaml", "actors: []\nefects: {}\n")?;
    let mut check = Command::new(rig.scratch.program("warrantd")?);
    let output = check.arg("check").arg(config).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(said.contains(&format!("{policy}:2:1")), "{said}");
    Ok(())
}
