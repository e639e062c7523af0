//! The daemon as a service: ready when systemd says so, and in front of its servers.

use std::path::Path;

use anyhow::ensure;
use libtest_mimic::Trial;
use warrantd_tests::harness::test;
use warrantd_tests::records::{self, Record};

use crate::machine::{AUDIT, UNIT, in_time, is_active, measured, property, sh, succeeds};
use crate::stage::{self, NOTE};

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        test("service::a_start_is_over_when_the_daemon_is_ready", &[], start),
        test("service::a_call_is_enforced", &[], call),
        test("service::a_stranger_is_refused", &[], stranger),
        test("service::the_unit_is_hardened", &[], hardened),
    ]
}

fn start() -> anyhow::Result<()> {
    stage::set()?;
    let start = std::time::Instant::now();
    succeeds("systemctl stop warrantd && systemctl start warrantd")?;
    measured("from `systemctl stop` and `start` until the daemon is ready", start.elapsed());
    is_active()?;
    let status = succeeds("systemctl status --no-pager warrantd")?;
    ensure!(status.contains("Active: active (running)"), "{status}");
    ensure!(
        Path::new("/run/warrantd/honest.sock").exists(),
        "ready, and its sockets are not there"
    );
    Ok(())
}

/// The record of the newest call.
pub(crate) fn last_call() -> anyhow::Result<Record> {
    let mut calls = records::calls(Path::new(AUDIT))?;
    calls.pop().ok_or_else(|| anyhow::anyhow!("no call is recorded in {AUDIT}"))
}

/// Fails unless the newest call is recorded as one that was enforced and did nothing else.
pub(crate) fn last_call_was_within() -> anyhow::Result<()> {
    let record = last_call()?;
    ensure!(record.verdict() == "WITHIN", "{record:#?}");
    ensure!(record.text("policy_decision") == "ALLOW", "{record:#?}");
    ensure!(record.text("mode") == "enforce", "{record:#?}");
    ensure!(!record.text("effects.backend").is_empty(), "no backend: {record:#?}");
    Ok(())
}

fn call() -> anyhow::Result<()> {
    let mut client = stage::connect("honest")?;
    stage::expect_note(&mut client)?;
    let ending = client.finish()?;
    ensure!(ending.status.success(), "{ending:?}");
    last_call_was_within()?;
    let record = last_call()?;
    ensure!(record.text("actor") == "tester", "{record:#?}");
    let backend = record.text("effects.backend").to_owned();
    // Debian's kernel has BPF among its security modules, so nothing less will do.
    ensure!(backend == "lsm", "observed by {backend}: does the unit take away what it needs?");
    Ok(())
}

fn stranger() -> anyhow::Result<()> {
    let reply = stage::stranger("honest")?;
    ensure!(reply.error_code() == Some(-31001), "{}", reply.line);
    ensure!(!reply.line.contains(NOTE), "{}", reply.line);
    let refused = |record: &Record| {
        record.text("event") == "authentication" && record.text("server_id") == "honest"
    };
    records::await_record(Path::new(AUDIT), refused)?;
    Ok(())
}

fn hardened() -> anyhow::Result<()> {
    let (code, said) = sh(&format!("systemd-analyze security --no-pager --threshold=30 {UNIT}"))?;
    let last = said.lines().rev().find(|line| line.contains("exposure level"));
    ensure!(code == 0, "{}", last.unwrap_or(&said));
    // A watchdog that nobody feeds would have ended it by now, at the latest in the tests to come.
    ensure!(property("WatchdogUSec")? != "0", "nobody watches over the daemon");
    ensure!(property("NRestarts")? == "0", "it was restarted by itself");
    in_time("it stays active", || is_active().is_ok())?;
    Ok(())
}
