//! A server that opens files as fast as it can hides nothing by it: its accounts stay exact, its refused
//! connections refused and seen, and other sessions undisturbed.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use libtest_mimic::Failed;
use warrantd::kernel::{Drained, Session};
use warrantd::policy::network::Table;
use warrantd::warrant::{Effect, EffectKind, Outcome, Target};

use crate::load::Flood;
use crate::network::allow_both;
use crate::support::{ensure, equal, kernel, options, public_dir, run_in, runtime, spec, start};
use crate::{Test, actor};

/// The tests of this file.
pub(crate) const TESTS: &[Test] = &[
    ("a_flood_of_two_million_opens_hides_nothing", flood),
    ("the_same_work_at_a_walk_is_seen_whole", walk),
];

/// Opens a second, seconds, threads.
const RATE: &str = "200000";
const SECONDS: &str = "10";
const THREADS: &str = "2";

fn flood() -> Result<(), Failed> {
    let directory = public_dir()?;
    let path = |name: &str| -> Result<String, Failed> {
        let path = directory.path().canonicalize()?.join(name);
        std::fs::write(&path, "f")?;
        Ok(path.display().to_string())
    };
    let (before, flooded, after) = (path("before")?, path("flooded")?, path("after")?);
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let peer = listener.local_addr()?.to_string();
    // An instance of its own: other tests' drains would help, or hinder, this one's.
    let kernel = start(&options(&format!("two-million-{}", std::process::id())))?;
    let reader = runtime().spawn(Arc::clone(&kernel).run_reader());
    // What starting such an actor alone makes. Its own attempt to connect comes on top.
    let words = |seconds: &'static str| ["flood", &flooded, RATE, seconds, THREADS, &peer];
    let baseline = {
        let session = kernel.open_session("baseline", &Table::default())?;
        let run = run_in(&session, &words("0"))?;
        events(&run.drained)
    };
    // A session in which nothing happens loses only what the kernel left out, of whatever process.
    let idle = kernel.open_session("idle", &Table::default())?;
    let open = TcpListener::bind("127.0.0.1:0")?;
    let open_peer = open.local_addr()?.to_string();
    let other = kernel.open_session("other", &allow_both(&[&open_peer])?)?;
    let session = kernel.open_session("flood", &Table::default())?;
    let _ = idle.drain();

    let mut tally = Tally::default();
    ensure(saw(&run_in(&session, &["read", &before])?.drained, &before), "`before` is not seen")?;
    let over = AtomicBool::new(false);
    let (printed, rounds) = thread::scope(|scope| -> Result<_, Failed> {
        let draining = scope.spawn(|| drain_until(&session, &over, &mut tally));
        let beside = scope.spawn(|| neighbour(&other, &after, &open, &over));
        let _runtime = runtime().enter();
        let child = session.spawn(&spec(actor::command(&words(SECONDS))))?;
        let output = runtime().block_on(child.wait_with_output());
        over.store(true, Ordering::SeqCst);
        draining.join().map_err(|_| "the draining thread panicked")?;
        let rounds = beside.join().map_err(|_| "the other session's thread panicked")??;
        Ok((String::from_utf8_lossy(&output?.stdout).into_owned(), rounds))
    })?;
    let made = Flood::parse(&printed).ok_or_else(|| format!("it printed {printed:?}"))?;
    let misses = idle.drain().lost;
    reader.abort();
    println!(
        "{} opens in {} ms ({} a second): {} events seen, {} lost in {} of {} drains, of which {misses} by \
         the kernel; {} connections refused, {} of them seen; {rounds} rounds of another session, {} of them whole",
        made.opens,
        made.millis,
        made.opens * 1000 / made.millis.max(1),
        tally.seen,
        tally.lost,
        tally.lossy,
        tally.drains,
        made.refused,
        tally.refused,
        rounds.whole,
        rounds = rounds.all,
    );
    // The kernel leaves out runs without saying whose; ordinarily there are none and both sides are equal.
    let all = made.opens + made.refused + baseline;
    let accounted = tally.seen + tally.lost;
    ensure(
        accounted >= all && accounted <= all + misses,
        &format!("{all} events were made, {accounted} are accounted for, {misses} were left out"),
    )?;
    equal((made.others, listener.accept().is_ok()), (0, false))?;
    ensure(made.refused > 0 && rounds.all > 0, "nothing was tried during the flood")?;
    ensure(tally.refused <= made.refused, "more refusals than attempts")?;
    ensure(tally.refused + tally.lost >= made.refused, "a refusal is neither seen nor lost")?;
    ensure(saw(&run_in(&session, &["read", &after])?.drained, &after), "`after` is not seen")
}

/// The benign twin: the same actor, slowly.
fn walk() -> Result<(), Failed> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let peer = listener.local_addr()?.to_string();
    let session = kernel()?.open_session("walk", &allow_both(&[&peer])?)?;
    let run = run_in(&session, &["flood", "/etc/hostname", "100", "1", "1", &peer])?;
    let made = Flood::parse(&run.printed).ok_or_else(|| run.printed.clone())?;
    let opened = run.drained.effects.iter().filter(|effect| on(effect, "/etc/hostname")).count();
    equal(opened as u64, made.opens)?;
    let connected = run.drained.effects.iter().filter(|e| e.kind == EffectKind::Connect).count();
    equal((made.refused, made.others), (0, connected as u64))?;
    ensure(made.opens > 0 && connected > 0, "nothing was done")
}

/// What drains brought.
#[derive(Debug, Default)]
struct Tally {
    drains: u64,
    lossy: u64,
    seen: u64,
    lost: u64,
    refused: u64,
}

/// Drains until the flood is over, and once more.
fn drain_until(session: &Session, over: &AtomicBool, tally: &mut Tally) {
    loop {
        let is_last = over.load(Ordering::SeqCst);
        let drained = session.drain();
        let refused = |effect: &&Effect| {
            effect.kind == EffectKind::Connect && effect.outcome == Outcome::Denied
        };
        tally.drains += 1;
        tally.lossy += u64::from(drained.lost > 0);
        tally.seen += events(&drained);
        tally.lost += drained.lost;
        tally.refused += drained.effects.iter().filter(refused).count() as u64;
        if is_last {
            return;
        }
        // The ring holds a tenth of a second of the flood.
        thread::sleep(Duration::from_millis(2));
    }
}

/// Rounds of the other session.
#[derive(Debug, Default)]
struct Rounds {
    all: u64,
    whole: u64,
}

/// Another session reads a file and reaches its peer during the flood. Each round is seen whole, or is
/// known not to be.
fn neighbour(
    session: &Session,
    path: &str,
    peer: &TcpListener,
    over: &AtomicBool,
) -> Result<Rounds, Failed> {
    let address = peer.local_addr()?.to_string();
    let mut rounds = Rounds::default();
    while !over.load(Ordering::SeqCst) {
        let _runtime = runtime().enter();
        for words in [["read", path], ["tcp", &address]] {
            let child = session.spawn(&spec(actor::command(&words)))?;
            let output = runtime().block_on(child.wait_with_output())?;
            equal(String::from_utf8_lossy(&output.stdout).trim(), "ok")?;
        }
        peer.accept()?;
        let drained = session.drain();
        let connected = drained.effects.iter().any(|effect| effect.kind == EffectKind::Connect);
        let whole = saw(&drained, path) && connected;
        ensure(whole || drained.lost > 0 || drained.incomplete, "a loss was not told")?;
        rounds.all += 1;
        rounds.whole += u64::from(whole && drained.lost == 0 && !drained.incomplete);
        thread::sleep(Duration::from_millis(50));
    }
    Ok(rounds)
}

fn saw(drained: &Drained, path: &str) -> bool {
    drained.effects.iter().any(|effect| on(effect, path))
}

fn on(effect: &Effect, path: &str) -> bool {
    matches!(&effect.target, Target::File(file) if file.path == path)
}

/// Events, not effects: one event may be several, which follow each other.
fn events(drained: &Drained) -> u64 {
    let mut last = 0;
    let new = |effect: &&Effect| std::mem::replace(&mut last, effect.seq) != effect.seq;
    drained.effects.iter().filter(new).count() as u64
}
