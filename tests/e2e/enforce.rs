//! `effects.enforce` where the observer cannot enforce: nothing starts, and what is said helps.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::PoisonError;
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
use warrantd_tests::scratch::text;

use crate::daemon::{ONLY, config};
use crate::rig::{NOTE, Rig};

const POLICY: &str = "
actors:
  - {id: assistant-service, allowed_tools: [read_text_file]}
constraints:
  read_text_file: {allowed_paths: ['public/**']}
effects: {enforce: ENFORCE}
";

pub(crate) fn tests() -> Vec<Trial> {
    const KERNEL: &[Need] = &[Need::Kernel];
    vec![
        test("enforce::run_does_not_start_without_it", KERNEL, run),
        test("enforce::serve_does_not_start_without_it", KERNEL, serve),
        test("enforce::it_is_not_forgotten_with_the_kernel_off", &[Need::Root], off),
    ]
}

fn rig(enforce: bool) -> anyhow::Result<Rig> {
    Rig::new(&POLICY.replace("ENFORCE", &enforce.to_string()))
}

/// Whether the observer that warrantd has here can enforce, as `doctor` says.
fn enforces(rig: &Rig) -> anyhow::Result<bool> {
    let mut doctor = Command::new(rig.scratch.program("warrantd")?);
    let said = doctor.args(["doctor", "--json"]).output().context("warrantd doctor")?;
    let said: serde_json::Value = serde_json::from_slice(&said.stdout).context("its JSON")?;
    said["enforces_files"].as_bool().with_context(|| format!("no `enforces_files` in {said:#}"))
}

/// The server would leave a mark.
fn marking(rig: &Rig) -> [String; 2] {
    ["/usr/bin/touch".to_owned(), text(&mark(rig))]
}

fn mark(rig: &Rig) -> PathBuf {
    rig.root.join("out/started")
}

/// Demands that a command ends by itself with an error that names the key and a way out, and that no
/// server was started.
fn refused(rig: &Rig, mut command: Command, way_out: &str) -> anyhow::Result<()> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("{command:?}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(!output.status.success() && output.stdout.is_empty(), "{}: {said}", output.status);
    let last = said.lines().last().unwrap_or_default();
    ensure!(last.starts_with("error: effects.enforce: "), "{said}");
    ensure!(last.contains(way_out), "no way out: {said}");
    ensure!(!mark(rig).exists(), "the server was started: {said}");
    Ok(())
}

fn run() -> anyhow::Result<()> {
    let rig = rig(true)?;
    if enforces(&rig)? {
        let mut client = Client::connect(rig.run(&rig.rogue(&[])?)?)?;
        let reply = client.call("read_text_file", &json!({"path": "public/note.txt"}))?;
        ensure!(reply.text()? == NOTE, "{}", reply.line);
        return Ok(());
    }
    refused(&rig, rig.run(&marking(&rig))?, "effects.landlock")?;
    ensure!(warrantd_tests::records::calls(&rig.audit)?.is_empty());

    // The twin.
    let rig = self::rig(false)?;
    let mut command = rig.run(&marking(&rig))?;
    command.stdin(Stdio::null()).output().context("warrantd run")?;
    ensure!(mark(&rig).exists(), "the server was not started");
    Ok(())
}

/// `warrantd serve` for one server.
fn serving(rig: &Rig) -> anyhow::Result<Command> {
    let config = config(rig, "[peer_uid]", &marking(rig))?;
    let config = rig.scratch.file("warrantd.yaml", config)?;
    let mut serve = Command::new(rig.scratch.program("warrantd")?);
    serve.arg("serve").arg("--config").arg(config).env_remove("WARRANTD_LOG");
    Ok(serve)
}

fn serve() -> anyhow::Result<()> {
    let _only = ONLY.lock().unwrap_or_else(PoisonError::into_inner);
    let rig = rig(true)?;
    let socket = |rig: &Rig| rig.scratch.path("run/files.sock");
    if !enforces(&rig)? {
        refused(&rig, serving(&rig)?, "effects.landlock")?;
        ensure!(!socket(&rig)?.exists(), "it listens");
    }

    // The twin.
    let rig = self::rig(false)?;
    let daemon = Client::start(serving(&rig)?)?;
    let deadline = Instant::now() + Duration::from_secs(20);
    while !socket(&rig)?.exists() {
        if Instant::now() > deadline {
            bail!("no socket within 20 s; stderr: {}", daemon.stderr());
        }
        thread::sleep(Duration::from_millis(20));
    }
    kill(Pid::from_raw(daemon.pid().try_into()?), Signal::SIGTERM)?;
    Ok(())
}

fn off() -> anyhow::Result<()> {
    let rig = rig(true)?;
    let mut command = Command::new(rig.scratch.program("warrantd")?);
    command.args(["run", "--kernel", "off", "--policy"]).arg(&rig.policy);
    command
        .arg("--audit")
        .arg(&rig.audit)
        .arg("--root")
        .arg(&rig.root)
        .arg("--")
        .args(marking(&rig));
    command.env_remove("SUDO_UID").env_remove("WARRANTD_LOG");
    refused(&rig, command, "--kernel off")
}
