//! The daemon is killed while a server works on.

use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, ensure};
use libtest_mimic::Trial;
use warrantd_tests::client::Client;
use warrantd_tests::harness::test;
use warrantd_tests::records;

use crate::hosts::hosts;
use crate::machine::{AUDIT, UNIT, in_time, is_active, measured, property, succeeds};
use crate::service::last_call_was_within;
use crate::stage::{self, REPORT};

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        test("killed::a_killed_daemon_leaves_no_server_unenforced", &[], || killed("main")),
        test("killed::nor_does_one_that_is_killed_with_all_its_processes", &[], || killed("all")),
    ]
}

/// A session whose server has left a process behind that tries two hosts again and again.
pub(crate) struct Insistent {
    /// Held open: the end of the session would be the end of the process.
    _client: Client,
}

impl Insistent {
    /// Starts it, and waits until it was refused one host and has reached the other.
    pub(crate) fn start() -> anyhow::Result<Self> {
        let known = report().len();
        let client = stage::connect("lasting")?;
        tried_after(known)?;
        Ok(Self { _client: client })
    }
}

/// Waits until both hosts were tried after so much of the report, and as it should be.
pub(crate) fn tried_after(known: usize) -> anyhow::Result<()> {
    let told = |what: &str| report().get(known..).is_some_and(|lines| lines.contains(what));
    in_time("a process tries both hosts", || told(" denied EPERM\n") && told(" allowed ok\n"))?;
    Ok(())
}

/// What such processes told: `PID denied|allowed OUTCOME`.
pub(crate) fn report() -> String {
    let text = fs::read_to_string(REPORT).unwrap_or_default();
    // The last line may still be in the making.
    text.rsplit_once('\n').map_or_else(String::new, |(whole, _)| format!("{whole}\n"))
}

/// Fails unless every attempt was decided as policy says, by what the processes saw and by what the hosts saw.
pub(crate) fn always_enforced() -> anyhow::Result<()> {
    for line in report().lines() {
        let as_it_should = line.ends_with(" denied EPERM") || line.ends_with(" allowed ok");
        ensure!(as_it_should, "an attempt was decided otherwise: {line}");
    }
    let hosts = hosts()?;
    ensure!(hosts.denied() == 0, "{} connections came through that policy denies", hosts.denied());
    ensure!(hosts.allowed() > 0, "nothing reached the host that policy allows");
    Ok(())
}

fn killed(whom: &str) -> anyhow::Result<()> {
    let _insistent = Insistent::start()?;
    let pid = property("MainPID")?;
    succeeds(&format!("systemctl kill --signal=KILL --kill-whom={whom} {UNIT}"))?;
    let start = Instant::now();
    in_time("systemd starts the daemon again", || {
        property("MainPID").is_ok_and(|now| now != pid && now != "0") && is_active().is_ok()
    })?;
    measured(&format!("from the death of the daemon ({whom}) until it is ready"), start.elapsed());
    always_enforced()?;

    let gap = format!("of process {pid} ended without cleaning up");
    let told = |record: &records::Record| {
        record.text("event") == "gap" && record.text("error").contains(&gap)
    };
    records::await_record(Path::new(AUDIT), told).context("the gap is not recorded")?;

    // Those who come now find everything as it was: servers, policy and enforcement.
    stage::is_served()?;
    last_call_was_within()?;
    let allowed = hosts()?.allowed();
    drop(Insistent::start()?);
    ensure!(hosts()?.allowed() > allowed, "nothing reached the host that policy allows");
    always_enforced()
}
