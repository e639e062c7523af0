//! The response gate: complete, exact in its accounts, and honest about loss.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use libtest_mimic::Failed;
use warrantd::policy::network::Table;
use warrantd::warrant::EffectKind;

use crate::support::{ensure, equal, file, kernel, options, run_in, runtime, spec, start};
use crate::{Test, actor};

/// Opens whose records need more than twice the ring.
const OPENS: u64 = 60_000;

/// The tests of this file.
pub(crate) const TESTS: &[Test] = &[
    ("a_drain_misses_nothing_that_came_before", complete),
    ("effects_are_numbered_and_taken_once", numbered),
    ("a_flood_is_counted_to_the_last_event", flood),
    ("the_reader_keeps_the_ring_from_filling", reader),
];

fn complete() -> Result<(), Failed> {
    let session = kernel()?.open_session("complete", &Table::default())?;
    for round in 0..50 {
        let run = run_in(&session, &["read", "/etc/hostname"])?;
        file(&run, EffectKind::FileRead, "/etc/hostname")
            .map_err(|error| format!("round {round}: {}", error.message().unwrap_or_default()))?;
    }
    Ok(())
}

fn numbered() -> Result<(), Failed> {
    let session = kernel()?.open_session("numbered", &Table::default())?;
    let first = run_in(&session, &["read", "/etc/hostname"])?.drained;
    let second = run_in(&session, &["read", "/etc/hostname"])?.drained;
    let numbers: Vec<u64> =
        first.effects.iter().chain(&second.effects).map(|effect| effect.seq).collect();
    ensure(numbers.first() == Some(&1), "numbers begin with 1")?;
    ensure(numbers.windows(2).all(|pair| pair[0] <= pair[1]), "numbers are in order")?;
    let third = session.drain();
    equal((third.effects.len(), third.lost, third.incomplete), (0, 0, false))
}

/// More opens than the ring holds, and nobody reads: what was seen and what was lost add up.
fn flood() -> Result<(), Failed> {
    // An instance of its own: the others' gate would empty the ring.
    let name = format!("flood-{}", std::process::id());
    let kernel = start(&options(&name))?;
    let baseline = {
        let session = kernel.open_session("baseline", &Table::default())?;
        count(&run_in(&session, &["read-many", "/etc/hostname", "0"])?.drained)
    };
    let session = kernel.open_session("flood", &Table::default())?;
    let times = OPENS.to_string();
    let _runtime = runtime().enter();
    let child = session.spawn(&spec(actor::command(&["read-many", "/etc/hostname", &times])))?;
    let output = runtime().block_on(child.wait_with_output())?;
    equal(String::from_utf8_lossy(&output.stdout).trim(), "ok")?;
    let drained = session.drain();
    ensure(!drained.incomplete, "nothing was in flight any more")?;
    ensure(drained.lost > 0, "the ring is larger than the flood: make the flood larger")?;
    equal(count(&drained) + drained.lost, OPENS + baseline)?;
    // The next drain begins with a clean slate.
    let after = session.drain();
    equal((after.effects.len(), after.lost, after.incomplete), (0, 0, false))
}

/// The same flood with the reader at work: without it, more than half is lost. A busy host may still make
/// it late for some.
fn reader() -> Result<(), Failed> {
    let name = format!("reader-{}", std::process::id());
    let kernel = start(&options(&name))?;
    let session = kernel.open_session("reader", &Table::default())?;
    let background = runtime().spawn(std::sync::Arc::clone(&kernel).run_reader());
    let finished = AtomicBool::new(false);
    let (seen, lost) = std::thread::scope(|scope| -> Result<(u64, u64), Failed> {
        let gate = scope.spawn(|| {
            let (mut seen, mut lost) = (0, 0);
            loop {
                let is_last = finished.load(Ordering::SeqCst);
                let drained = session.drain();
                seen += count(&drained);
                lost += drained.lost;
                if is_last {
                    return (seen, lost);
                }
            }
        });
        let _runtime = runtime().enter();
        let child = session.spawn(&spec(actor::command(&[
            "read-many",
            "/etc/hostname",
            &OPENS.to_string(),
        ])))?;
        let output = runtime().block_on(child.wait_with_output());
        finished.store(true, Ordering::SeqCst);
        equal(String::from_utf8_lossy(&output?.stdout).trim(), "ok")?;
        gate.join().map_err(|_| "the draining thread panicked".into())
    })?;
    background.abort();
    // Those of the loader come on top.
    ensure(seen + lost >= OPENS, "events are missing from the accounts")?;
    ensure(lost * 10 < OPENS, &format!("{lost} of {OPENS} events were lost"))
}

/// Events, not effects: one event may be several.
fn count(drained: &warrantd::kernel::Drained) -> u64 {
    let numbers: BTreeSet<u64> = drained.effects.iter().map(|effect| effect.seq).collect();
    numbers.len() as u64
}
