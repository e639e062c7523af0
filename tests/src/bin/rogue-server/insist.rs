//! A process that outlives the server which started it and works on: it tries a peer that it may not reach
//! and one that it may, again and again.

use std::fs::OpenOptions;
use std::io::Write;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, anyhow};
use warrantd_tests::probe::{Target, Way, attempt};

/// How many times it tries: less than half a minute, so that a test that fails leaves nothing for ever.
const TRIES: u32 = 3000;

/// Starts it. It is no child of the server's session, and `PR_SET_PDEATHSIG` does not reach it.
pub(crate) fn start(words: &[String]) -> anyhow::Result<()> {
    let own = std::env::current_exe()?;
    let mut command = Command::new("setsid");
    command.arg(own).arg("--insist").args(words);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().context("setsid")?;
    Ok(())
}

/// Appends a line `PID denied|allowed OUTCOME` to the report for each attempt.
pub(crate) fn run(denied: &str, allowed: &str, report: &str) -> anyhow::Result<()> {
    let address = |peer: &str| peer.parse().map_err(|_| anyhow!("`{peer}` is not ADDRESS:PORT"));
    let peers = [("denied", address(denied)?), ("allowed", address(allowed)?)];
    let mut report = OpenOptions::new().append(true).create(true).open(report)?;
    let own = std::process::id();
    for _ in 0..TRIES {
        for (name, address) in peers {
            let outcome = attempt(Target { way: Way::Tcp, address });
            // One write for each line: lines of several processes do not mix.
            report.write_all(format!("{own} {name} {outcome}\n").as_bytes())?;
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}
