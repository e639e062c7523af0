//! Small calls over the Unix socket: one in flight, 16 in one session, and 16 sessions.

use super::{Bench, Limit, P50, P99, RATE, Variant};
use crate::daemon::Daemon;
use crate::lines::Lines;
use crate::others::Relay;
use crate::stage::Plan;

/// A relay that writes a chained record of each call and does nothing else.
const NOTARY: &str = "recorded";

/// Calls in flight where there are several.
const MANY: usize = 16;

pub(super) fn rows(bench: &mut Bench) -> anyhow::Result<()> {
    one(bench)?;
    many(bench)?;
    sessions(bench)
}

/// Who carries the calls.
struct Ways {
    daemon: Daemon,
    socat: Relay,
    notary: Relay,
    server: Vec<String>,
}

impl Ways {
    fn open(bench: &Bench) -> anyhow::Result<Self> {
        let plan = Plan::small("null");
        let server = bench.stage.server(&plan.flags)?;
        let socat = Relay::socat(bench.stage.path("socat.sock")?, &server)?;
        let notary = Relay::notary(&bench.stage, &server)?;
        let daemon = Daemon::start(&bench.stage, "unix", &[plan])?;
        Ok(Self { daemon, socat, notary, server })
    }

    fn direct(&self) -> anyhow::Result<Lines> {
        let (program, flags) = self.server.split_first().map_or(("", &[][..]), |(p, f)| (p, f));
        Lines::start(std::process::Command::new(program).args(flags))
    }

    fn variants(&self, sessions: usize, in_flight: usize) -> anyhow::Result<Vec<Variant<'_>>> {
        let each = |open: &dyn Fn() -> anyhow::Result<Lines>| -> anyhow::Result<Vec<Lines>> {
            (0..sessions).map(|_| open()).collect()
        };
        Ok(vec![
            Variant::load("direct", each(&|| self.direct())?, in_flight),
            Variant::load("socat", each(&|| self.socat.lines())?, in_flight),
            Variant::load(NOTARY, each(&|| self.notary.lines())?, in_flight),
            Variant::load("warrantd", each(&|| self.daemon.lines("null"))?, in_flight),
        ])
    }
}

fn one(bench: &mut Bench) -> anyhow::Result<()> {
    if !bench.settings.wants(&["unix-one", "unix-one-recorded", "unix-one-direct"]) {
        return Ok(());
    }
    Bench::say("Unix socket, one call in flight");
    let ways = Ways::open(bench)?;
    let measured = bench.rounds("unix-one", &mut ways.variants(1, 1)?)?;
    let title = "Unix socket, 100-byte call, one in flight: p50 against `socat`";
    let row = bench.row("unix-one", title, Limit::AtMost(1.25), "×");
    measured.fill(row, "warrantd", "socat", P50);
    let title = "the same of a relay that only writes a record";
    let row = bench.row("unix-one-recorded", title, Limit::None, "×");
    measured.fill(row, NOTARY, "socat", P50);
    let title = "the same against direct pipes";
    let row = bench.row("unix-one-direct", title, Limit::None, "×");
    measured.fill(row, "warrantd", "direct", P50);
    Ok(())
}

fn many(bench: &mut Bench) -> anyhow::Result<()> {
    if !bench.settings.wants(&["unix-16-rate", "unix-16-rate-recorded", "unix-16-p99"]) {
        return Ok(());
    }
    Bench::say("Unix socket, 16 calls in flight in a session");
    let ways = Ways::open(bench)?;
    let measured = bench.rounds("unix-16", &mut ways.variants(1, MANY)?)?;
    let title = "Unix socket, 16 in flight in one session: calls per second against `socat`";
    let row = bench.row("unix-16-rate", title, Limit::AtLeast(1.0), "×");
    measured.fill(row, "warrantd", "socat", RATE);
    let title = "the same of a relay that only writes a record";
    let row = bench.row("unix-16-rate-recorded", title, Limit::None, "×");
    measured.fill(row, NOTARY, "socat", RATE);
    let row = bench.row("unix-16-p99", "the same: p99", Limit::AtMost(1.5), "×");
    measured.fill(row, "warrantd", "socat", P99);
    Ok(())
}

fn sessions(bench: &mut Bench) -> anyhow::Result<()> {
    if !bench.settings.wants(&["unix-sessions-rate", "unix-sessions-p99"]) {
        return Ok(());
    }
    Bench::say("Unix socket, 16 sessions");
    let ways = Ways::open(bench)?;
    let measured = bench.rounds("unix-sessions", &mut ways.variants(MANY, 1)?)?;
    let title =
        "Unix socket, one in flight in each of 16 sessions: calls per second against `socat`";
    let row = bench.row("unix-sessions-rate", title, Limit::AtLeast(1.0), "×");
    measured.fill(row, "warrantd", "socat", RATE);
    let row = bench.row("unix-sessions-p99", "the same: p99", Limit::AtMost(1.5), "×");
    measured.fill(row, "warrantd", "socat", P99);
    Ok(())
}
