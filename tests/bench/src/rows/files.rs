//! Calls whose server opens ten files, each of which the kernel reports.

use super::{Bench, Limit, P50, Variant};
use crate::daemon::Daemon;
use crate::lines::Lines;
use crate::others::Relay;
use crate::stage::Plan;

pub(super) fn rows(bench: &mut Bench) -> anyhow::Result<()> {
    if !bench.settings.wants(&["files", "files-direct"]) {
        return Ok(());
    }
    Bench::say("calls that open ten files");
    let plan = Plan { flags: bench.stage.opening(), ..Plan::small("files") };
    let server = bench.stage.server(&plan.flags)?;
    let socat = Relay::socat(bench.stage.path("files.sock")?, &server)?;
    let daemon = Daemon::start(&bench.stage, "files", &[plan])?;
    let (program, flags) = server.split_first().map_or(("", &[][..]), |(p, f)| (p.as_str(), f));
    let direct = Lines::start(std::process::Command::new(program).args(flags))?;
    let mut variants = [
        Variant::load("direct", vec![direct], 1),
        Variant::load("socat", vec![socat.lines()?], 1),
        Variant::load("warrantd", vec![daemon.lines("files")?], 1),
    ];
    let measured = bench.rounds("files", &mut variants)?;
    let title = "a call whose server opens 10 files, over the Unix socket: p50 against `socat`";
    let row = bench.row("files", title, Limit::AtMost(1.5), "×");
    measured.fill(row, "warrantd", "socat", P50);
    let row = bench.row("files-direct", "the same against direct pipes", Limit::None, "×");
    measured.fill(row, "warrantd", "direct", P50);
    Ok(())
}
