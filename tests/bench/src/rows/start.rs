//! From exec to the moment when clients can connect.

use serde_json::json;

use super::{Bench, Limit};
use crate::daemon::Daemon;
use crate::figures::Spread;
use crate::stage::Plan;

/// Servers that are configured.
const SERVERS: usize = 10;

pub(super) fn rows(bench: &mut Bench) -> anyhow::Result<()> {
    if !bench.settings.wants(&["start"]) {
        return Ok(());
    }
    Bench::say("starts");
    let plans: Vec<Plan> = (0..SERVERS).map(|n| Plan::small(&format!("server-{n}"))).collect();
    let mut times = Vec::new();
    for n in 0..bench.settings.starts {
        let daemon = Daemon::start(&bench.stage, &format!("start-{n}"), &plans)?;
        times.push(daemon.started.as_secs_f64() * 1000.0);
    }
    bench.raw.push(json!({ "group": "start", "milliseconds": times }));
    let title = "start: from exec to ready, 10 servers configured";
    let row = bench.row("start", title, Limit::AtMost(150.0), "ms");
    row.figures = format!("{} starts", times.len());
    row.value = Spread::of(times);
    Ok(())
}
