//! What a call costs when there is more of everything.

use std::time::Duration;

use anyhow::Context;
use serde_json::json;

use super::{Bench, Limit, P50, Variant, rounded};
use crate::daemon::Daemon;
use crate::figures::{Spread, Stretch};
use crate::lines::Lines;
use crate::load::run;
use crate::stage::Plan;

/// Of sessions and of rules in the small case.
const FEW: usize = 10;

pub(super) fn rows(bench: &mut Bench) -> anyhow::Result<()> {
    rules(bench)?;
    sessions(bench)
}

fn rules(bench: &mut Bench) -> anyhow::Result<()> {
    if !bench.settings.wants(&["growth-rules"]) {
        return Ok(());
    }
    let many = bench.settings.rules;
    Bench::say(&format!("policies of {FEW} and of {many} rules"));
    let few = Plan { more_rules: FEW, ..Plan::small("few") };
    let large = Plan { more_rules: many, ..Plan::small("many") };
    let daemon = Daemon::start(&bench.stage, "rules", &[few, large])?;
    let mut variants = [
        Variant::load("few", vec![daemon.lines("few")?], 1),
        Variant::load("many", vec![daemon.lines("many")?], 1),
    ];
    let measured = bench.rounds("growth-rules", &mut variants)?;
    let title = format!("growth: {FEW} → {many} policy rules: p50 of a call");
    let row = bench.row("growth-rules", &title, Limit::AtMost(1.2), "×");
    measured.fill(row, "many", "few", P50);
    Ok(())
}

/// Sessions cannot come and go as quickly as stretches follow each other, so few and many take turns a few
/// times.
fn sessions(bench: &mut Bench) -> anyhow::Result<()> {
    if !bench.settings.wants(&["growth-sessions"]) {
        return Ok(());
    }
    let many = bench.settings.sessions;
    Bench::say(&format!("{FEW} and {many} sessions"));
    let daemon = Daemon::start(&bench.stage, "sessions", &[Plan::small("null")])?;
    let open = |count: usize| -> anyhow::Result<Vec<Lines>> {
        (0..count).map(|_| daemon.lines("null")).collect()
    };
    let mut calling = [daemon.lines("null")?];
    let mut serial = 0;
    let mut p50 = |length: Duration| -> anyhow::Result<f64> {
        run(&mut calling, 1, length / 4, &mut serial)?;
        let figures = run(&mut calling, 1, length * 4, &mut serial).map(Stretch::figures)?;
        Ok(figures.p50_us)
    };
    let always = open(FEW - 1)?;
    let (mut few_us, mut many_us, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..(bench.settings.rounds / 7).max(2) {
        let before = p50(bench.settings.stretch)?;
        let more = open(many - FEW).with_context(|| daemon.said())?;
        std::thread::sleep(Duration::from_millis(500));
        let with = p50(bench.settings.stretch)?;
        drop(more);
        std::thread::sleep(Duration::from_secs(3));
        let after = p50(bench.settings.stretch)?;
        let few = f64::midpoint(before, after);
        few_us.push(few);
        many_us.push(with);
        ratios.push(with / few);
    }
    drop(always);
    bench.raw.push(json!({ "group": "growth-sessions", "few_us": few_us, "many_us": many_us }));
    let title = format!("growth: {FEW} → {many} sessions: p50 of a call");
    let row = bench.row("growth-sessions", &title, Limit::AtMost(1.2), "×");
    row.value = Spread::of(ratios);
    let middle = |values: &[f64]| Spread::of(values.iter().copied()).map_or(f64::NAN, |s| s.median);
    row.figures =
        format!("{} µs against {} µs", rounded(middle(&many_us)), rounded(middle(&few_us)));
    Ok(())
}
