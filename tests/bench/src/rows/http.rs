//! Streamable HTTP against others that put stdio servers behind it.

use super::{Bench, Figure, Limit, Measured, P50, RATE, Variant};
use crate::daemon::Daemon;
use crate::http::{Connection, Session};
use crate::peers::{Peer, alone};
use crate::stage::Plan;

/// What answers without a proxy.
const ALONE: &str = "an HTTP server that answers itself";

/// Connections of the session where there are several, with a call in flight on each.
const MANY: usize = 32;

pub(super) fn rows(bench: &mut Bench) -> anyhow::Result<()> {
    compare(bench, 1, "http-one", "one in flight")?;
    compare(bench, MANY, "http-32", "32 in flight")
}

fn compare(bench: &mut Bench, connections: usize, id: &str, what: &str) -> anyhow::Result<()> {
    let (p50, rate) = (format!("{id}-p50"), format!("{id}-rate"));
    if !bench.settings.wants(&[&p50, &rate]) {
        return Ok(());
    }
    Bench::say(&format!("Streamable HTTP, {what}"));
    let plan = Plan::small("null");
    let server = bench.stage.server(&plan.flags)?;
    let daemon = Daemon::start(&bench.stage, id, &[plan])?;
    let mut variants = vec![load("warrantd", &daemon.session("null")?, connections)?];
    let direct = alone(&bench.stage)?;
    variants.push(load(ALONE, &direct.session()?, connections)?);
    let mut running = Vec::new();
    for peer in Peer::ALL.into_iter().filter(|peer| peer.is_installed()) {
        match start(bench, peer, &server, connections) {
            Ok((process, variant)) => {
                running.push(process);
                variants.push(variant);
            }
            Err(error) => bench.notes.push(format!("{}: {error:#}", peer.name())),
        }
    }
    let measured = bench.rounds(id, &mut variants)?;
    let title = format!("Streamable HTTP, {what}: p50 against the best peer");
    against_best(bench, &measured, (&p50, &title), Limit::AtMost(0.5), P50);
    let title = format!("the same against {ALONE}");
    let row = bench.row(&format!("{p50}-alone"), &title, Limit::None, "×");
    measured.fill(row, "warrantd", ALONE, P50);
    let title = format!("Streamable HTTP, {what}: calls per second against the best peer");
    against_best(bench, &measured, (&rate, &title), Limit::AtLeast(3.0), RATE);
    for peer in Peer::ALL {
        let name = peer.name();
        if measured.of(name).is_empty() {
            continue;
        }
        let id = format!("{rate}-{}", if name.contains("crates") { "crate" } else { name });
        let title = format!("the same against {name}");
        let row = bench.row(&id, &title, Limit::None, "×");
        measured.fill(row, "warrantd", name, RATE);
    }
    Ok(())
}

type Started = (crate::peers::Running, Variant<'static>);

/// A peer that answers a stretch of calls.
fn start(
    bench: &Bench,
    peer: Peer,
    server: &[String],
    connections: usize,
) -> anyhow::Result<Started> {
    let process = peer.start(&bench.stage, server)?;
    let mut variant = load(peer.name(), &process.session()?, connections)?;
    (variant.run)(bench.settings.stretch)?;
    Ok((process, variant))
}

fn load(
    name: &'static str,
    session: &Session,
    connections: usize,
) -> anyhow::Result<Variant<'static>> {
    let open = (0..connections).map(|_| session.connect());
    Ok(Variant::load(name, open.collect::<anyhow::Result<Vec<Connection>>>()?, 1))
}

/// The best peer is the one with the best figure.
fn against_best(
    bench: &mut Bench,
    measured: &Measured,
    (id, title): (&str, &str),
    limit: Limit,
    figure: Figure,
) {
    let names = Peer::ALL.iter().map(|peer| peer.name());
    let names = names.filter(|name| !measured.of(name).is_empty());
    let better = |a: &&str, b: &&str| {
        let order = measured.median(a, figure).total_cmp(&measured.median(b, figure));
        if matches!(limit, Limit::AtLeast(_)) { order } else { order.reverse() }
    };
    let best = names.max_by(better);
    let row = bench.row(id, title, limit, "×");
    match best {
        Some(best) => measured.fill(row, "warrantd", best, figure),
        None => "no peer is installed".clone_into(&mut row.figures),
    }
}
