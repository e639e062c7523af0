//! Policies that change while they are used: every attempt is judged by one policy that was in force.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use libtest_mimic::Failed;
use warrantd::kernel::{Drained, Session};
use warrantd::policy::network::Table;
use warrantd::warrant::{EffectKind, Outcome, Protocol, Target};

use crate::load::{Attempt, now};
use crate::network::allow;
use crate::support::{ensure, equal, kernel, options, run_in, runtime, spec, start, wait_for_word};
use crate::{Test, actor};

/// The tests of this file.
pub(crate) const TESTS: &[Test] = &[
    ("a_thousand_policy_changes_under_load_are_each_one_step", under_load),
    ("policy_changes_without_load_decide_the_same", without_load),
];

/// Changes of the policy.
const SWAPS: u32 = 1000;

/// The peers: always allowed, allowed by even policies, by odd ones, never.
const ALWAYS: usize = 0;
const NEVER: usize = 3;

/// Listeners of ours that answer, and the two policies.
struct Stage {
    listeners: Vec<TcpListener>,
    peers: Vec<String>,
    policies: [Table; 2],
}

impl Stage {
    fn new() -> Result<Self, Failed> {
        let listeners: Vec<_> =
            (0..4).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<_, _>>()?;
        let peers: Vec<String> = listeners
            .iter()
            .map(|listener| Ok(listener.local_addr()?.to_string()))
            .collect::<Result<_, std::io::Error>>()?;
        let policies = [
            allow(&[&peers[ALWAYS], &peers[1]], Protocol::Tcp)?,
            allow(&[&peers[ALWAYS], &peers[2]], Protocol::Tcp)?,
        ];
        Ok(Self { listeners, peers, policies })
    }

    /// The policy that follows after this many changes.
    fn policy(&self, swap: u32) -> &Table {
        &self.policies[swap as usize % 2]
    }
}

/// Whether the policy after this many changes lets a peer be reached.
fn allows(swap: usize, peer: usize) -> bool {
    peer == ALWAYS || (peer != NEVER && swap % 2 == peer - 1)
}

fn without_load() -> Result<(), Failed> {
    let stage = Stage::new()?;
    let session = kernel()?.open_session("swaps-quiet", stage.policy(0))?;
    for swap in 0..10 {
        session.set_network(stage.policy(swap))?;
        for (index, peer) in stage.peers.iter().enumerate() {
            let expected = if allows(swap as usize, index) { "ok" } else { "EPERM" };
            let found = run_in(&session, &["tcp", peer])?.printed;
            equal((swap, index, found.as_str()), (swap, index, expected))?;
        }
    }
    Ok(())
}

fn under_load() -> Result<(), Failed> {
    let stage = Stage::new()?;
    // An instance of its own, whose ring nobody else fills.
    let kernel = start(&options(&format!("swaps-{}", std::process::id())))?;
    let session = kernel.open_session("swaps", stage.policy(0))?;
    let mut words = vec!["connect-all"];
    words.extend(stage.peers.iter().map(String::as_str));
    let _runtime = runtime().enter();
    let mut child = session.spawn(&spec(actor::command(&words)))?;
    wait_for_word(&mut child, "ready")?;
    let mut seen = Seen::new(&stage)?;
    let mut swaps = vec![(0, now())];
    let over = AtomicBool::new(false);
    let accepted = thread::scope(|scope| -> Result<Vec<u64>, Failed> {
        let accepting: Vec<_> = stage
            .listeners
            .iter()
            .map(|listener| scope.spawn(|| accept(listener, &over)))
            .collect();
        let changed = change(&session, &stage, &mut swaps, &mut seen);
        over.store(true, Ordering::Relaxed);
        let accepted = accepting.into_iter().map(|thread| thread.join().unwrap_or(u64::MAX));
        changed.map(|()| accepted.collect())
    })?;
    let output = runtime().block_on(child.wait_with_output())?;
    ensure(output.status.success(), &String::from_utf8_lossy(&output.stderr))?;
    seen.count(&session.drain());

    let printed = String::from_utf8_lossy(&output.stdout);
    let attempts: Vec<Attempt> = printed.lines().filter_map(Attempt::parse).collect();
    let mut totals: BTreeMap<(usize, &str), u64> = BTreeMap::new();
    for attempt in &attempts {
        *totals.entry((attempt.peer, &attempt.outcome)).or_default() += 1;
        explained(attempt, &swaps)?;
    }
    println!(
        "{} policy changes, {} attempts {totals:?}; effects {:?}, lost {}; accepted {accepted:?}",
        swaps.len() - 1,
        attempts.len(),
        seen.effects,
        seen.lost
    );
    equal(accepted[NEVER], 0)?;
    equal(seen.effects.get(&(ALWAYS, false)), None)?;
    equal(seen.effects.get(&(NEVER, true)), None)?;
    let twins =
        [(ALWAYS, "ok"), (1, "ok"), (1, "EPERM"), (2, "ok"), (2, "EPERM"), (NEVER, "EPERM")];
    ensure(twins.iter().all(|twin| totals.contains_key(twin)), "an outcome never came")?;
    // Every attempt is an effect, whatever became of it.
    let effects: u64 = seen.effects.values().sum();
    let made = attempts.len() as u64;
    ensure(effects <= made && effects + seen.lost >= made, "attempts and effects do not add up")
}

/// Changes the policy again and again, now back to back and now with a pause, and notes between which
/// moments each change was made.
fn change(
    session: &Session,
    stage: &Stage,
    swaps: &mut Vec<(u64, u64)>,
    seen: &mut Seen,
) -> Result<(), Failed> {
    for swap in 1..=SWAPS {
        let before = now();
        session.set_network(stage.policy(swap))?;
        swaps.push((before, now()));
        seen.count(&session.drain());
        // Five at once, then a pause under one of the two.
        if swap % 5 == 0 {
            thread::sleep(Duration::from_millis(20));
        }
    }
    Ok(())
}

/// Fails unless one of the policies that were in force during the attempt says what happened.
fn explained(attempt: &Attempt, swaps: &[(u64, u64)]) -> Result<(), Failed> {
    // In force: begun to be set before the attempt ended, not yet replaced when it began.
    let last = swaps.partition_point(|(before, _)| *before <= attempt.end);
    let first = swaps.partition_point(|(_, after)| *after < attempt.start).saturating_sub(1);
    let mut said = (first..last).map(|swap| allows(swap, attempt.peer));
    let good = match attempt.outcome.as_str() {
        "ok" => said.any(|allowed| allowed),
        "EPERM" => said.any(|allowed| !allowed),
        // Allowed, and its packets then refused by the policy that came in between, or nobody had time to
        // answer. The effects tell the two apart.
        "late" => said.any(|allowed| allowed),
        _ => false,
    };
    ensure(good, &format!("policies {first}..{last} do not explain {attempt:?}"))
}

/// Takes connections until told to stop, and counts them.
fn accept(listener: &TcpListener, over: &AtomicBool) -> u64 {
    let mut count = 0;
    if listener.set_nonblocking(true).is_err() {
        return u64::MAX;
    }
    loop {
        let was_over = over.load(Ordering::Relaxed);
        while listener.accept().is_ok() {
            count += 1;
        }
        if was_over {
            return count;
        }
        thread::sleep(Duration::from_micros(300));
    }
}

/// The connections that the kernel reported, by peer and whether they were allowed.
struct Seen {
    ports: BTreeMap<u16, usize>,
    effects: BTreeMap<(usize, bool), u64>,
    lost: u64,
}

impl Seen {
    fn new(stage: &Stage) -> Result<Self, Failed> {
        let port =
            |(index, listener): (usize, &TcpListener)| Ok((listener.local_addr()?.port(), index));
        let ports = stage.listeners.iter().enumerate().map(port).collect::<Result<_, Failed>>()?;
        Ok(Self { ports, effects: BTreeMap::new(), lost: 0 })
    }

    fn count(&mut self, drained: &Drained) {
        self.lost += drained.lost;
        for effect in &drained.effects {
            if let (EffectKind::Connect, Target::Peer(peer)) = (effect.kind, &effect.target) {
                let peer = self.ports.get(&peer.peer.port()).copied().unwrap_or(usize::MAX);
                *self.effects.entry((peer, effect.outcome == Outcome::Allowed)).or_default() += 1;
            }
        }
    }
}
