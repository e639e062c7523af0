//! What the daemon holds in memory: at rest, and for each session that does nothing.

use std::thread;
use std::time::Duration;

use anyhow::Context;
use serde_json::json;

use super::{Bench, Limit, rounded};
use crate::daemon::Daemon;
use crate::figures::{Spread, count};
use crate::lines::Lines;
use crate::load::run;
use crate::memory::Memory;
use crate::stage::Plan;

/// What was begun has ended after this.
const REST: Duration = Duration::from_secs(2);

pub(super) fn rows(bench: &mut Bench) -> anyhow::Result<()> {
    if !bench.settings.wants(&["memory-rest", "memory-session"]) {
        return Ok(());
    }
    Bench::say("memory");
    let daemon = Daemon::start(&bench.stage, "memory", &[Plan::small("null")])?;
    thread::sleep(REST);
    let rest = Memory::of(daemon.pid())?;
    let title = "memory: the daemon at rest, resident";
    let row = bench.row("memory-rest", title, Limit::AtMost(12.0), "MiB");
    row.value = Spread::of([rest.rss / 1024.0]);
    row.figures = format!(
        "{} MiB of them proportional, {} MiB of no file",
        rounded(rest.pss / 1024.0),
        rounded(rest.anonymous / 1024.0)
    );
    // The first session has what all share read in.
    let first = session(&daemon)?;
    thread::sleep(REST);
    let before = Memory::of(daemon.pid())?;
    let idle = bench.settings.idle;
    let open: Vec<Lines> = (0..idle).map(|_| session(&daemon)).collect::<Result<_, _>>()?;
    thread::sleep(REST);
    let after = Memory::of(daemon.pid())?;
    drop((open, first));
    bench.raw.push(json!({
        "group": "memory", "rest": rest, "before": before, "after": after, "sessions": idle,
    }));
    let title = "memory: an idle session, without its server";
    let row = bench.row("memory-session", title, Limit::AtMost(64.0), "KiB");
    row.value = Spread::of([(after.rss - before.rss) / count(idle)]);
    row.figures = format!("{idle} sessions, each of which had made calls");
    Ok(())
}

/// A session that has made calls.
fn session(daemon: &Daemon) -> anyhow::Result<Lines> {
    let mut channels = [daemon.lines("null")?];
    run(&mut channels, 1, Duration::from_millis(2), &mut 0)?;
    channels.into_iter().next().context("one")
}
