//! Results of 1 MiB.

use super::{Bench, Limit, RATE, Variant};
use crate::daemon::Daemon;
use crate::others::Relay;
use crate::stage::Plan;

pub(super) fn rows(bench: &mut Bench) -> anyhow::Result<()> {
    if !bench.settings.wants(&["large"]) {
        return Ok(());
    }
    Bench::say("results of 1 MiB");
    let flags = vec!["--result".to_owned(), (1 << 20).to_string()];
    let plan = Plan { flags, ..Plan::small("large") };
    let server = bench.stage.server(&plan.flags)?;
    let socat = Relay::socat(bench.stage.path("large.sock")?, &server)?;
    let daemon = Daemon::start(&bench.stage, "large", &[plan])?;
    let mut variants = [
        Variant::load("socat", vec![socat.lines()?], 1),
        Variant::load("warrantd", vec![daemon.lines("large")?], 1),
    ];
    let measured = bench.rounds("large", &mut variants)?;
    let title = "1 MiB result, one in flight: throughput against `socat`";
    let row = bench.row("large", title, Limit::AtLeast(0.8), "×");
    measured.fill(row, "warrantd", "socat", RATE);
    Ok(())
}
