//! `effects.enforce`. Where the observer cannot enforce, nothing starts, and what is said helps. Where it
//! can, calls change and run what their warrants say while they are in flight, and nothing else.

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
use crate::rig::{NOTE, Rig, WITHHELD, expect_error};
use crate::rogue;

const POLICY: &str = "
actors:
  - {id: assistant-service, allowed_tools: [read_text_file]}
constraints:
  read_text_file: {allowed_paths: ['public/**']}
effects: {enforce: ENFORCE}
";

pub(crate) fn tests() -> Vec<Trial> {
    const KERNEL: &[Need] = &[Need::Kernel];
    const ENFORCED: &[Need] = &[Need::Kernel, Need::LsmBpf];
    vec![
        test("enforce::run_does_not_start_without_it", KERNEL, run),
        test("enforce::serve_does_not_start_without_it", KERNEL, serve),
        test("enforce::it_is_not_forgotten_with_the_kernel_off", &[Need::Root], off),
        test("enforce::nothing_is_changed_that_the_call_does_not_need", ENFORCED, changed),
        test("enforce::nothing_is_run_that_the_call_does_not_need", ENFORCED, run_in_vain),
        test("enforce::honest_calls_are_within", ENFORCED, honest),
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

/// A session under the policy of the rogue server, enforced.
fn enforced(flags: &[&str]) -> anyhow::Result<(Rig, Client)> {
    let rig = Rig::new(&format!("{}  enforce: true\n", rogue::POLICY))?;
    let client = Client::connect(rig.run(&rig.rogue(flags)?)?)?;
    Ok((rig, client))
}

fn write(client: &mut Client, path: &str) -> anyhow::Result<()> {
    let reply = client.call("write_file", &json!({"path": path, "content": "mine"}))?;
    ensure!(reply.text()? == "written", "{}", reply.line);
    Ok(())
}

/// A directory that the policy lets calls write to is closed to a call that only reads, and open again
/// to the next one that writes.
fn changed() -> anyhow::Result<()> {
    let rig = Rig::new(&format!("{}  enforce: true\n", rogue::POLICY))?;
    let new = rig.root.join("out/not-asked-for.txt");
    let mut client = Client::connect(rig.run(&rig.rogue(&["--also-write", &text(&new)])?)?)?;
    write(&mut client, "out/before.txt")?;
    let reply = client.call("read_text_file", &json!({"path": "public/note.txt"}))?;
    expect_error(&reply, WITHHELD)?;
    write(&mut client, "out/after.txt")?;
    let ending = client.finish()?;
    ensure!(ending.stderr.contains(": EPERM"), "{}", ending.stderr);
    ensure!(!new.exists(), "it was made");
    let record = rig.record_of(&reply)?;
    let [effect] = record.exceeded() else { bail!("not one effect too many: {record:#?}") };
    ensure!(effect["kind"] == json!("file_create") && effect["outcome"] == json!("denied"));
    ensure!(effect["path"] == json!(text(&new)), "{effect:#}");
    Ok(())
}

/// The same for programs.
fn run_in_vain() -> anyhow::Result<()> {
    let (rig, mut client) = enforced(&["--also-exec", "/usr/bin/true"])?;
    let runs = |client: &mut Client| {
        let reply = client.call("run_program", &json!({"program": "/usr/bin/true"}))?;
        reply.text().map(drop)
    };
    runs(&mut client)?;
    let reply = client.call("read_text_file", &json!({"path": "public/note.txt"}))?;
    expect_error(&reply, WITHHELD)?;
    runs(&mut client)?;
    let ending = client.finish()?;
    ensure!(ending.stderr.contains(": EPERM"), "{}", ending.stderr);
    let record = rig.record_of(&reply)?;
    let denied = |effect: &serde_json::Value| effect["outcome"] == json!("denied");
    ensure!(!record.exceeded().is_empty() && record.exceeded().iter().all(denied), "{record:#?}");
    Ok(())
}

fn honest() -> anyhow::Result<()> {
    let (rig, mut client) = enforced(&[])?;
    for round in 0..5 {
        write(&mut client, &format!("out/{round}.txt"))?;
        write(&mut client, "out/same.txt")?;
        let reply = client.call("read_text_file", &json!({"path": "public/note.txt"}))?;
        ensure!(reply.text()? == NOTE, "{}", reply.line);
        client.call("list_directory", &json!({"path": "public"}))?.text()?;
        client.call("run_program", &json!({"program": "/usr/bin/true"}))?.text()?;
    }
    client.finish()?;
    let records = warrantd_tests::records::calls(&rig.audit)?;
    let verdicts: Vec<_> = records.iter().map(warrantd_tests::records::Record::verdict).collect();
    ensure!(verdicts == vec!["WITHIN"; 25], "{records:#?}");
    Ok(())
}
