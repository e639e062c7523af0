//! The daemon is killed at any moment under load: whatever a client got an answer to is in the log, and the
//! log is whole.
//!
//! How often is said by `WARRANTD_TEST_AUDIT_KILLS` (20); the moments follow from `WARRANTD_TEST_SEED`,
//! which is printed.
#![allow(clippy::print_stderr, reason = "the counts tell what a run was worth")]

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::PoisonError;
use std::thread;
use std::time::Duration;

use anyhow::{Context, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use warrantd_tests::client::Client;
use warrantd_tests::harness::test;
use warrantd_tests::needs::Need;
use warrantd_tests::records::Record;

use crate::audit_disk::verify;
use crate::crash::Random;
use crate::daemon::{ONLY, config};
use crate::lifecycle::within_seconds;
use crate::rig::Rig;

const POLICY: &str = "
actors:
  - {id: assistant-service, allowed_tools: [read_text_file]}
constraints:
  read_text_file: {allowed_paths: ['public/**']}
";

/// Clients at once.
const CLIENTS: u64 = 3;
/// Milliseconds under load within which a daemon is killed.
const LOADED: u64 = 60;

pub(crate) fn tests() -> Vec<Trial> {
    vec![test("audit_kill::what_was_answered_is_recorded", &[Need::Root], killed)]
}

fn killed() -> anyhow::Result<()> {
    let _only = ONLY.lock().unwrap_or_else(PoisonError::into_inner);
    let number = |name: &str, otherwise: u64| {
        std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
    };
    let kills = number("WARRANTD_TEST_AUDIT_KILLS", 20);
    let seed = number("WARRANTD_TEST_SEED", u64::from(std::process::id()));
    let stage = Stage::new()?;
    let mut random = Random(seed);
    let (mut answered, mut recorded) = (BTreeSet::new(), BTreeSet::new());
    for round in 0..kills {
        let got = stage.round(round, &mut random).with_context(|| format!("round {round}"))?;
        answered.extend(got);
        if round % 50 == 49 || round + 1 == kills {
            verify(&stage.rig, &stage.rig.audit, &["--open"])
                .or_else(|error| {
                    // The last line alone may be cut; the next start takes it off.
                    let said = error.to_string();
                    let found = said.lines().filter(|line| line.starts_with("FOUND")).count();
                    ensure!(found == 1 && said.contains("the last line is cut"), "{said}");
                    Ok(said)
                })
                .with_context(|| format!("round {round}"))?;
        }
    }
    let last = stage.start()?;
    last.finish_by_term()?;
    let said = verify(&stage.rig, &stage.rig.audit, &[])?;
    let (mut count, mut cut) = (0_u64, 0_u64);
    each_record(&stage.rig.audit, |record| {
        count += 1;
        match record.text("event") {
            "call" => drop(recorded.insert(record.text("arguments.path").to_owned())),
            "repair" => cut += 1,
            _ => {}
        }
    })?;
    let missing: Vec<&String> = answered.difference(&recorded).collect();
    eprintln!(
        "{kills} kills with the seed {seed}: {} answers, {} calls recorded, {count} records, {cut} cut lines \
         repaired; {said}",
        answered.len(),
        recorded.len()
    );
    ensure!(missing.is_empty(), "answered and not recorded: {missing:?}");
    ensure!(answered.len() as u64 > kills, "there was no load");
    Ok(())
}

/// Goes through a log that may be too large to be held.
fn each_record(dir: &Path, mut with: impl FnMut(Record)) -> anyhow::Result<()> {
    for entry in fs::read_dir(dir)? {
        for line in BufReader::new(File::open(entry?.path())?).lines() {
            with(Record(serde_json::from_str(&line?)?));
        }
    }
    Ok(())
}

struct Stage {
    rig: Rig,
    config: PathBuf,
    socket: PathBuf,
}

/// A daemon, and what ends it.
struct Running(Client);

impl Stage {
    fn new() -> anyhow::Result<Self> {
        let rig = Rig::new(POLICY)?;
        let command: Vec<String> =
            rig.rogue(&[])?.iter().map(|word| word.to_string_lossy().into()).collect();
        let config = config(&rig, "[peer_uid]", &command)?
            .replace("kernel: on", "kernel: off")
            .replace("uids: [", "uids: [0, ")
            // Files are put away under load, too.
            .replace("audit: {", "audit: {rotate: {size: 256KiB}, ");
        let config = rig.scratch.file("warrantd.yaml", config)?;
        let socket = rig.scratch.path("run")?.join("files.sock");
        Ok(Self { rig, config, socket })
    }

    fn start(&self) -> anyhow::Result<Running> {
        let mut serve = Command::new(self.rig.scratch.program("warrantd")?);
        serve.arg("serve").arg("--config").arg(&self.config).env_remove("WARRANTD_LOG");
        let daemon = Client::start(serve)?;
        let ready = || UnixStream::connect(&self.socket).is_ok();
        let mut ready_in_time = false;
        for _ in 0..4000 {
            if ready() {
                ready_in_time = true;
                break;
            }
            thread::sleep(Duration::from_millis(5));
        }
        ensure!(ready_in_time, "no socket: {}", daemon.stderr());
        Ok(Running(daemon))
    }

    /// Kills a daemon while clients call; gives the calls that were answered.
    fn round(&self, round: u64, random: &mut Random) -> anyhow::Result<Vec<String>> {
        let Running(mut daemon) = self.start()?;
        let after = Duration::from_millis(20 + random.below(LOADED));
        thread::scope(|scope| {
            let calls = |client| move || self.call(&format!("public/{round}-{client}"));
            let clients: Vec<_> = (0..CLIENTS).map(|client| scope.spawn(calls(client))).collect();
            thread::sleep(after);
            daemon.kill()?;
            let answers = clients.into_iter().map(|client| client.join().unwrap_or_default());
            Ok(answers.flatten().collect())
        })
    }

    /// Calls until nobody answers any more; gives the paths of the calls that were answered.
    fn call(&self, prefix: &str) -> Vec<String> {
        let mut answered = Vec::new();
        let Ok(stream) = UnixStream::connect(&self.socket) else { return answered };
        let Ok(mut writer) = stream.try_clone() else { return answered };
        let mut lines = BufReader::new(stream).lines();
        let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
            "protocolVersion": "2025-06-18", "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"}}});
        let mut say = |message: &Value| writer.write_all(format!("{message}\n").as_bytes()).is_ok();
        if !say(&hello) || !matches!(lines.next(), Some(Ok(_))) {
            return answered;
        }
        say(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        // Several in flight: a kill finds them in every state.
        let path = |number: u64| format!("{prefix}-{number}");
        let call = |number: u64| {
            json!({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": {
                "name": "read_text_file", "arguments": {"path": path(number)}}})
        };
        if !(1..=4).all(|number| say(&call(number))) {
            return answered;
        }
        for next in 5.. {
            // A cut line was not received.
            let Some(Ok(line)) = lines.next() else { break };
            let Ok(answer) = serde_json::from_str::<Value>(&line) else { break };
            if let Some(number) = answer.get("id").and_then(Value::as_u64) {
                answered.push(path(number));
            }
            // Where nobody hears it any more, what was answered before is still to be read.
            say(&call(next));
        }
        answered
    }
}

impl Running {
    fn finish_by_term(self) -> anyhow::Result<()> {
        crate::daemon::terminate(&self.0);
        let mut daemon = self.0;
        let over = within_seconds(20, || !crate::processes::alive(daemon.pid()));
        if !over {
            daemon.kill()?;
        }
        let ending = daemon.ending()?;
        ensure!(over && ending.status.success(), "{ending:?}");
        Ok(())
    }
}
