//! What happened between the death of one warrantd and the start of the next is in the log.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Context, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use warrantd_tests::client::Client;
use warrantd_tests::harness::test;
use warrantd_tests::needs::Need;
use warrantd_tests::records::{self, Record};
use warrantd_tests::scratch::text;

use crate::crash::Peer;
use crate::lifecycle::within_seconds;
use crate::rig::{NOTE, Rig};

pub(crate) fn tests() -> Vec<Trial> {
    const KERNEL: &[Need] = &[Need::Kernel];
    vec![test("gap::what_happened_after_a_crash_is_in_the_next_log", KERNEL, recorded)]
}

const POLICY: &str = "
actors:
  - {id: tester, allowed_tools: [read_text_file]}
";

/// A mount namespace with a bpf file system of its own: other tests' starts clean up after dead instances,
/// and would find this one's first.
struct Apart(Child);

impl Apart {
    fn new() -> anyhow::Result<Self> {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c"]);
        command.arg("mount -t bpf bpf /sys/fs/bpf && echo ready && exec cat");
        let mut holder = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let stdout = holder.stdout.take().context("its output is piped")?;
        let apart = Self(holder);
        let mut said = String::new();
        BufReader::new(stdout).read_line(&mut said)?;
        ensure!(said == "ready\n", "no bpf file system of its own: {said}");
        Ok(apart)
    }

    /// `warrantd run` around the rogue server, inside.
    fn run(&self, rig: &Rig, flags: &[&str]) -> anyhow::Result<Command> {
        let inner = rig.run(&rig.rogue(flags)?)?;
        let mut command = Command::new("nsenter");
        command.arg(format!("--mount=/proc/{}/ns/mnt", self.0.id()));
        command.arg("--").arg(inner.get_program()).args(inner.get_args());
        command.env_remove("SUDO_UID").env_remove("WARRANTD_LOG");
        Ok(command)
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        // It ends with its stdin as well.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn recorded() -> anyhow::Result<()> {
    let (denied, allowed) = (Peer::new()?, Peer::new()?);
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| denied.serve(&over));
        scope.spawn(|| allowed.serve(&over));
        let done = crash_and_restart(&denied.address()?, &allowed.address()?);
        over.store(true, Ordering::SeqCst);
        done.and(denied.expect_none())
    })
}

fn crash_and_restart(denied: &str, allowed: &str) -> anyhow::Result<()> {
    let apart = Apart::new()?;
    let (_, port) = allowed.rsplit_once(':').context("a port")?;
    let rig = Rig::new(&format!(
        "{POLICY}\nnetwork: {{allow: [{{cidr: 127.0.0.1/32, ports: [{port}]}}]}}\neffects: {{network: always}}\n"
    ))?;
    let report = rig.root.join("out/report.txt");
    let tries = || fs::read_to_string(&report).unwrap_or_default().lines().count();
    let flags = ["--descendant", denied, allowed, &text(&report)];
    let mut client = Client::connect(apart.run(&rig, &flags)?)?;
    ensure!(within_seconds(20, || tries() > 2), "the descendant does not try");
    let pid = client.pid();
    client.kill()?;
    let known = tries();
    ensure!(within_seconds(20, || tries() > known + 20), "the descendant did not live on");

    let next = session(&apart)?;
    let gaps = gaps(&next)?;
    let [instance, session] = gaps.as_slice() else { anyhow::bail!("{gaps:#?}") };
    let whose = format!("instance run-{pid} of process {pid} ended without cleaning up");
    ensure!(instance.text("error").starts_with(&whose), "{instance:#?}");
    ensure!(*instance.get("session_id") == Value::Null, "{instance:#?}");
    ensure!(session.text("session_id").starts_with("rogue-server-"), "{session:#?}");
    ensure!(*session.get("actor") == Value::Null, "{session:#?}");
    ensure!(session.verdict() == "EXCEEDED", "{session:#?}");
    let count = |outcome: &str, peer: &str| {
        let wanted = |effect: &&Value| {
            effect["kind"] == "connect" && effect["outcome"] == outcome && effect["peer"] == peer
        };
        session.exceeded().iter().filter(wanted).count()
    };
    // Ten of each at least are of the time after the crash.
    ensure!(count("denied", denied) >= 10 && count("allowed", denied) == 0, "{session:#?}");
    ensure!(count("allowed", allowed) >= 10 && count("denied", allowed) == 0, "{session:#?}");
    chain(&next)?;

    // The twin: that one ended in order, and the one after it has nothing to tell.
    let after = session_records(&apart)?;
    ensure!(after.is_empty(), "{after:#?}");
    Ok(())
}

/// A session from its beginning to its end.
fn session(apart: &Apart) -> anyhow::Result<Rig> {
    let rig = Rig::new(POLICY)?;
    let mut client = Client::connect(apart.run(&rig, &[])?)?;
    let reply = client.call("read_text_file", &json!({"path": "public/note.txt"}))?;
    ensure!(reply.text()? == NOTE, "{}", reply.line);
    let ending = client.finish()?;
    ensure!(ending.status.success(), "{ending:?}");
    Ok(rig)
}

fn session_records(apart: &Apart) -> anyhow::Result<Vec<Record>> {
    gaps(&session(apart)?)
}

fn gaps(rig: &Rig) -> anyhow::Result<Vec<Record>> {
    let mut records = records::read(&rig.audit)?;
    records.retain(|record| record.text("event") == "gap");
    Ok(records)
}

/// Fails unless the log's lines are bound to each other as their format says.
fn chain(rig: &Rig) -> anyhow::Result<()> {
    for file in fs::read_dir(&rig.audit)? {
        let mut before = "0".repeat(64);
        for line in read(&file?.path())?.lines() {
            let (body, _) = line.rsplit_once(",\"hash\":").context("no hash")?;
            let record: Value = serde_json::from_str(line)?;
            ensure!(record["prev_hash"] == json!(before), "the chain breaks at {line}");
            before = format!("{:x}", Sha256::digest(body));
            ensure!(record["hash"] == json!(before), "the hash is wrong in {line}");
        }
    }
    Ok(())
}

fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| path.display().to_string())
}
