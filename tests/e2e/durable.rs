//! Released means recorded: a daemon that is killed at any moment under load has a record of every answer that a
//! client got, in a log whose chain is whole.
//!
//! `WARRANTD_TEST_KILLS` says how often; the moments follow from `WARRANTD_TEST_SEED`.

#![allow(clippy::print_stderr)] // The figures are part of what the test finds.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use warrantd_tests::client::Client;
use warrantd_tests::harness::test;
use warrantd_tests::needs::Need;
use warrantd_tests::scratch::text;

use crate::crash::Random;
use crate::daemon::{ONLY, config};
use crate::lifecycle::within_seconds;
use crate::rig::Rig;

const POLICY: &str = "
actors:
  - {id: assistant-service, allowed_tools: [repeat]}
effects: {tools: {repeat: {}}}
";

/// Clients at a time.
const CLIENTS: usize = 3;
/// Milliseconds after the first answer within which a daemon is killed.
const WORKING: u64 = 120;

pub(crate) fn tests() -> Vec<Trial> {
    vec![test("durable::every_answer_of_a_killed_daemon_is_recorded", &[Need::Kernel], killed)]
}

fn killed() -> anyhow::Result<()> {
    let _only = ONLY.lock().unwrap_or_else(PoisonError::into_inner);
    let number = |name: &str, otherwise: u64| {
        std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
    };
    let kills = number("WARRANTD_TEST_KILLS", 25);
    let seed = number("WARRANTD_TEST_SEED", u64::from(std::process::id()));
    eprintln!("{kills} kills with the seed {seed}");
    let stage = Stage::new()?;
    let mut random = Random(seed);
    let answered = (0..kills).try_fold(0, |answered, round| {
        let got = stage.round(round, &mut random).with_context(|| format!("round {round}"))?;
        anyhow::Ok(answered + got)
    })?;
    // The next one repairs what the last left.
    drop(stage.start()?);
    let log = Log::read(&stage.rig.audit)?;
    let repairs = log.records.iter().filter(|record| record["event"] == "repair").count();
    eprintln!(
        "{answered} answers to clients, {} records, {repairs} of them of a cut line",
        log.records.len()
    );
    ensure!(log.cut == 0, "{} bytes of a cut line are left", log.cut);
    ensure!(u64::try_from(repairs)? <= kills, "more cut lines than kills");
    ensure!(answered > kills, "nothing was tried");
    Ok(())
}

struct Stage {
    rig: Rig,
    config: PathBuf,
    socket: PathBuf,
}

/// A daemon that dies when it is dropped.
struct Daemon(Client);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
    }
}

impl Stage {
    fn new() -> anyhow::Result<Self> {
        let rig = Rig::new(POLICY)?;
        let command = [text(&rig.scratch.program("teller")?)];
        let uid = nix::unistd::Uid::effective();
        let config = config(&rig, "[peer_uid]", &command)?;
        // What counts here is the log; without the kernel layer a daemon starts ten times as fast.
        let config = config.replace("kernel: on", "kernel: off");
        let config: Vec<_> =
            config
                .lines()
                .map(|line| {
                    if line.contains("uids:") { format!("    uids: [{uid}]") } else { line.into() }
                })
                .collect();
        let config = rig.scratch.file("warrantd.yaml", config.join("\n"))?;
        Ok(Self { config, socket: rig.scratch.path("run")?.join("files.sock"), rig })
    }

    /// Starts a daemon and waits until it listens.
    fn start(&self) -> anyhow::Result<Daemon> {
        let mut serve = Command::new(self.rig.scratch.program("warrantd")?);
        serve.arg("serve").arg("--config").arg(&self.config).env_remove("WARRANTD_LOG");
        let daemon = Daemon(Client::start(serve)?);
        let listens = || UnixStream::connect(&self.socket).is_ok();
        ensure!(within_seconds(20, listens), "no socket: {}", daemon.0.stderr());
        Ok(daemon)
    }

    /// Kills a daemon at work, and looks for the records of what it answered. How much that was.
    fn round(&self, round: u64, random: &mut Random) -> anyhow::Result<u64> {
        let mut daemon = self.start()?;
        let (over, count) = (AtomicBool::new(false), AtomicU64::new(0));
        let answered = thread::scope(|scope| {
            let clients: Vec<_> = (0..CLIENTS)
                .map(|client| {
                    let (over, count) = (&over, &count);
                    scope.spawn(move || {
                        let mut got = BTreeSet::new();
                        let name = format!("r{round}c{client}");
                        // Its end does not matter: the daemon is killed.
                        let _ = self.call(&name, over, |text| {
                            count.fetch_add(1, Ordering::SeqCst);
                            got.insert(text);
                        });
                        got
                    })
                })
                .collect();
            let working = within_seconds(20, || count.load(Ordering::SeqCst) > 0);
            thread::sleep(Duration::from_millis(random.below(WORKING)));
            let done = daemon.0.kill();
            over.store(true, Ordering::SeqCst);
            let got = clients.into_iter().filter_map(|client| client.join().ok());
            let all: BTreeSet<String> = got.flatten().collect();
            ensure!(working, "nothing was answered: {}", daemon.0.stderr());
            done.map(|()| all)
        })?;
        let log = Log::read(&self.rig.audit)?;
        let recorded: BTreeSet<&str> = log.records.iter().filter_map(answer_of).collect();
        let lost: Vec<_> =
            answered.iter().filter(|text| !recorded.contains(text.as_str())).collect();
        ensure!(lost.is_empty(), "answered and not recorded: {lost:?}");
        Ok(answered.len().try_into()?)
    }

    /// Calls and calls, and tells of every answer.
    fn call(
        &self,
        name: &str,
        over: &AtomicBool,
        mut tell: impl FnMut(String),
    ) -> anyhow::Result<()> {
        let mut stream = UnixStream::connect(&self.socket)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut line = String::new();
        let version = json!({"protocolVersion": "2025-06-18", "capabilities": {},
            "clientInfo": {"name": name, "version": "1"}});
        writeln!(
            stream,
            "{}",
            json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": version})
        )?;
        reader.read_line(&mut line)?;
        writeln!(stream, "{}", json!({"jsonrpc": "2.0", "method": "notifications/initialized"}))?;
        for id in 1.. {
            if over.load(Ordering::SeqCst) {
                break;
            }
            let text = format!("{name}n{id}");
            let params = json!({"name": "repeat", "arguments": {"text": text}});
            let request =
                json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params});
            writeln!(stream, "{request}")?;
            line.clear();
            if reader.read_line(&mut line)? == 0 {
                break;
            }
            let answer: Value = serde_json::from_str(&line)?;
            let said = answer.pointer("/result/content/0/text").and_then(Value::as_str);
            ensure!(said == Some(&text), "{line}");
            tell(text);
        }
        Ok(())
    }
}

/// What a call was answered with, if it was.
fn answer_of(record: &Value) -> Option<&str> {
    (record["event"] == "call" && record["status"] == "SUCCESS")
        .then(|| record.pointer("/arguments/text")?.as_str())?
}

/// A log whose chain was followed from its beginning.
struct Log {
    records: Vec<Value>,
    /// Bytes after the last whole line.
    cut: usize,
}

impl Log {
    /// Reads it, and checks number and hash of each line as the log's documentation says.
    fn read(dir: &Path) -> anyhow::Result<Self> {
        let text = fs::read(dir.join("audit.jsonl"))?;
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let mut before = "0".repeat(64);
        let mut records = Vec::new();
        let lines = text.get(..whole).unwrap_or_default().split_inclusive(|byte| *byte == b'\n');
        for (number, line) in (1_u64..).zip(lines) {
            let line = std::str::from_utf8(line)?.trim_end_matches('\n');
            let (body, _) = line.rsplit_once(",\"hash\":").context("a hash")?;
            let record: Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
            let hash = format!("{:x}", Sha256::digest(body));
            ensure!(record["hash"] == hash && record["prev_hash"] == before, "chain: {line}");
            ensure!(record["seq"] == number, "number {number}: {line}");
            before = hash;
            records.push(record);
        }
        Ok(Self { records, cut: text.len() - whole })
    }
}
