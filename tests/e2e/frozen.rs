//! Frozen sessions, and the operators who look at them, let them go on or kill them.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use libtest_mimic::Trial;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use warrantd_tests::client::Client;
use warrantd_tests::harness::test;
use warrantd_tests::needs::Need;
use warrantd_tests::records::{await_record, read};
use warrantd_tests::scratch::text;

use crate::daemon::{BOTH, Daemon, KEY, ends};
use crate::rig::{NOTE, Rig, WITHHELD, expect_error};

const POLICY: &str = "
actors:
  - {id: assistant-service, allowed_tools: [read_text_file]}
constraints:
  read_text_file: {allowed_paths: ['public/**']}
effects:
  on_exceeded: freeze
";

/// The code of a request to a frozen session.
const FROZEN: i64 = -31012;

pub(crate) fn tests() -> Vec<Trial> {
    const KERNEL: &[Need] = &[Need::Kernel];
    vec![
        test("frozen::a_session_that_exceeded_stands_still_and_can_go_on", KERNEL, thawed),
        test("frozen::a_frozen_session_can_be_killed", KERNEL, killed),
        test("frozen::twin_an_honest_session_is_not_frozen", KERNEL, twin),
        test("frozen::unsolicited_effects_freeze_as_well", KERNEL, unsolicited),
        test("frozen::a_start_that_exceeded_is_frozen_if_policy_says_so", KERNEL, at_start),
        test("frozen::a_client_that_leaves_ends_nothing_before_the_thaw", KERNEL, client_left),
        test("frozen::the_end_of_the_daemon_kills_frozen_sessions", KERNEL, daemon_stops),
        test("frozen::others_than_root_are_not_heard", KERNEL, not_root),
    ]
}

/// A command of an operator.
fn operator(rig: &Rig, words: &[&str]) -> anyhow::Result<Command> {
    let mut command = Command::new(rig.scratch.program("warrantd")?);
    command.args(words).env("WARRANTD_RUNTIME_DIR", rig.scratch.path("run")?);
    Ok(command)
}

fn said(output: &Output) -> String {
    let text = [output.stdout.as_slice(), &output.stderr].concat();
    String::from_utf8_lossy(&text).into_owned()
}

/// The sessions that `warrantd status` tells of.
fn status(rig: &Rig) -> anyhow::Result<Vec<Value>> {
    let output = operator(rig, &["status", "--json"])?.output()?;
    ensure!(output.status.success(), "{}", said(&output));
    let told: Value = serde_json::from_slice(&output.stdout)?;
    let sessions = told[0]["sessions"].as_array().context("sessions")?;
    Ok(sessions.clone())
}

fn only(rig: &Rig) -> anyhow::Result<Value> {
    let sessions = status(rig)?;
    let [session] = sessions.as_slice() else { bail!("not one session: {sessions:#?}") };
    Ok(session.clone())
}

fn order(rig: &Rig, command: &str, session: &Value) -> anyhow::Result<()> {
    let id = session["id"].as_str().context("id")?;
    let output = operator(rig, &[command, id])?.output()?;
    ensure!(output.status.success() && said(&output).contains(id), "{}", said(&output));
    Ok(())
}

/// Whether the kernel says that a process stands still.
fn stands_still(pid: &Value) -> anyhow::Result<bool> {
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup"))?;
    let group = groups.lines().find_map(|line| line.strip_prefix("0::")).context("cgroup")?;
    let roots = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];
    let files = roots.map(|root| PathBuf::from(format!("{root}{group}/cgroup.events")));
    let events = files.iter().find_map(|file| fs::read_to_string(file).ok());
    Ok(events.context("cgroup.events")?.contains("frozen 1"))
}

fn await_frozen(session: &Value) -> anyhow::Result<()> {
    let pids = session["pids"].as_array().context("pids")?;
    ensure!(!pids.is_empty(), "{session:#}");
    let deadline = Instant::now() + Duration::from_secs(20);
    for pid in pids {
        while !stands_still(pid)? {
            ensure!(Instant::now() < deadline, "process {pid} moves");
            thread::sleep(Duration::from_millis(10));
        }
    }
    Ok(())
}

fn misdeed(rig: &Rig) -> anyhow::Result<Vec<std::ffi::OsString>> {
    rig.rogue(&["--also-read", &text(&rig.root.join("secret.txt")), "--on", "1"])
}

fn read_note(client: &mut Client) -> anyhow::Result<warrantd_tests::client::Reply> {
    client.call("read_text_file", &json!({"path": "public/note.txt"}))
}

/// Lets the server exceed, and demands that the session is frozen.
fn frozen(rig: &Rig, client: &mut Client) -> anyhow::Result<Value> {
    let reply = read_note(client)?;
    expect_error(&reply, WITHHELD)?;
    ensure!(reply.line.contains("frozen"), "{}", reply.line);
    let session = only(rig)?;
    ensure!(session["frozen"]["why"].as_str().is_some_and(|why| why.contains("secret.txt")));
    ensure!(session["verdicts"]["exceeded"] == 1, "{session:#}");
    await_frozen(&session)?;
    Ok(session)
}

fn thawed() -> anyhow::Result<()> {
    let rig = Rig::new(POLICY)?;
    let mut client = Client::connect(rig.run(&misdeed(&rig)?)?)?;
    let session = frozen(&rig, &mut client)?;
    let refused = read_note(&mut client)?;
    expect_error(&refused, FROZEN)?;
    let shown = said(&operator(&rig, &["status"])?.output()?);
    ensure!(shown.contains("FROZEN") && shown.contains("secret.txt"), "{shown}");
    order(&rig, "thaw", &session)?;
    ensure!(only(&rig)?["frozen"].is_null());
    let again = operator(&rig, &["thaw", session["id"].as_str().unwrap_or_default()])?.output()?;
    ensure!(
        again.status.code() == Some(1) && said(&again).contains("not frozen"),
        "{}",
        said(&again)
    );
    ensure!(!client.received().contains("note that may be read"), "{}", client.received());
    ensure!(read_note(&mut client)?.text()? == NOTE, "it goes on");
    ensure!(client.finish()?.status.success());
    for event in ["frozen", "thawed"] {
        let record = await_record(&rig.audit, |record| record.text("event") == event)?;
        ensure!(record.get("session_id") == &session["id"], "{record:#?}");
    }
    let thawed = await_record(&rig.audit, |record| record.text("event") == "thawed")?;
    ensure!(thawed.get("operator_uid") == 0, "{thawed:#?}");
    let record = rig.record_of(&refused)?;
    ensure!(record.text("policy_decision") == "DENY", "{record:#?}");
    Ok(())
}

fn killed() -> anyhow::Result<()> {
    let rig = Rig::new(POLICY)?;
    let mut client = Client::connect(rig.run(&misdeed(&rig)?)?)?;
    let session = frozen(&rig, &mut client)?;
    let unknown = operator(&rig, &["kill", "nobody"])?.output()?;
    ensure!(unknown.status.code() == Some(1), "{}", said(&unknown));
    ensure!(said(&unknown).contains("warrantd status"), "{}", said(&unknown));
    order(&rig, "kill", &session)?;
    let ending = client.ending()?;
    ensure!(ending.status.code() == Some(1), "{ending:?}");
    ensure!(ending.stderr.contains("operator"), "{ending:?}");
    ensure!(ends(&rig.scratch.program("rogue-server")?), "the server still runs");
    let record = await_record(&rig.audit, |record| record.text("event") == "killed")?;
    ensure!(record.get("operator_uid") == 0, "{record:#?}");
    let gone = operator(&rig, &["status"])?.output()?;
    ensure!(
        gone.status.code() == Some(1) && said(&gone).contains("no warrantd runs"),
        "{}",
        said(&gone)
    );
    Ok(())
}

fn twin() -> anyhow::Result<()> {
    let rig = Rig::new(POLICY)?;
    let mut client = Client::connect(rig.run(&rig.rogue(&[])?)?)?;
    ensure!(read_note(&mut client)?.text()? == NOTE);
    let session = only(&rig)?;
    ensure!(session["frozen"].is_null() && session["verdicts"]["within"] == 1, "{session:#}");
    ensure!(!stands_still(&session["pids"][0])?, "{session:#}");
    ensure!(session["actor"] == "assistant-service" && session["uid"] == 0, "{session:#}");
    client.finish()?;
    ensure!(read(&rig.audit)?.iter().all(|record| record.text("event") != "frozen"));
    Ok(())
}

fn unsolicited() -> anyhow::Result<()> {
    let rig = Rig::new(POLICY)?;
    let mut client = Client::connect(rig.run(&rig.rogue(&[])?)?)?;
    read_note(&mut client)?.result()?;
    let path = text(&rig.root.join("secret.txt"));
    let params = json!({"progressToken": 1, "progress": 1, "message": path});
    client
        .send(&json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": params}))?;
    let seen = await_record(&rig.audit, |record| record.text("event") == "unsolicited")?;
    ensure!(seen.text("error").starts_with("frozen: "), "{seen:#?}");
    await_frozen(&only(&rig)?)?;
    expect_error(&read_note(&mut client)?, FROZEN)?;
    order(&rig, "kill", &only(&rig)?)?;
    client.ending()?;
    Ok(())
}

fn at_start() -> anyhow::Result<()> {
    let rig = Rig::new(&format!("{POLICY}  startup: {{on_exceeded: freeze}}\n"))?;
    let rogue = rig.scratch.program("rogue-server")?;
    let script = format!("read line < secret.txt; exec {}", rogue.display());
    let mut client = Client::start(rig.run(&["/bin/sh", "-c", &script])?)?;
    let start = await_record(&rig.audit, |record| record.text("event") == "startup")?;
    ensure!(start.text("error").starts_with("frozen: "), "{start:#?}");
    await_frozen(&only(&rig)?)?;
    ensure!(client.initialize()?.error_code() == Some(FROZEN));
    order(&rig, "kill", &only(&rig)?)?;
    client.ending()?;
    Ok(())
}

fn daemon() -> anyhow::Result<Daemon> {
    let rig = Rig::new(POLICY)?;
    let command: Vec<_> = misdeed(&rig)?.iter().map(|word| word.to_string_lossy().into()).collect();
    Daemon::with(rig, BOTH, &command)
}

fn client_left() -> anyhow::Result<()> {
    let daemon = daemon()?;
    let mut client = Client::connect(daemon.connect(Some(KEY))?)?;
    let session = frozen(&daemon.rig, &mut client)?;
    // The daemon's answer is all that the client waits for.
    drop(client);
    let left = only(&daemon.rig)?;
    ensure!(left["client_left"] == true && !left["frozen"].is_null(), "{left:#}");
    await_frozen(&left)?;
    order(&daemon.rig, "thaw", &session)?;
    ensure!(ends(&daemon.rig.scratch.program("rogue-server")?), "the server still runs");
    Ok(())
}

fn daemon_stops() -> anyhow::Result<()> {
    let daemon = daemon()?;
    let mut client = Client::connect(daemon.connect(Some(KEY))?)?;
    frozen(&daemon.rig, &mut client)?;
    kill(Pid::from_raw(daemon.process.pid().try_into()?), Signal::SIGTERM)?;
    ensure!(ends(&daemon.rig.scratch.program("rogue-server")?), "the server still runs");
    Ok(())
}

fn not_root() -> anyhow::Result<()> {
    let rig = Rig::new(POLICY)?;
    let mut client = Client::connect(rig.run(&rig.rogue(&[])?)?)?;
    let session = only(&rig)?;
    for words in [vec!["status"], vec!["kill", session["id"].as_str().unwrap_or_default()]] {
        let output = operator(&rig, &words)?.uid(65534).gid(65534).output()?;
        ensure!(output.status.code() == Some(1), "{}", said(&output));
        ensure!(said(&output).contains("only root"), "{}", said(&output));
    }
    ensure!(read_note(&mut client)?.text()? == NOTE, "it was killed");
    client.finish()?;
    Ok(())
}
