//! What verifying a call costs, by the number of its effects.
//!
//! Run with `cargo bench --bench verification`. The figures to compare are those of one run.
#![allow(clippy::expect_used, clippy::unwrap_used)] // A benchmark that cannot start should stop.

use std::hint::black_box;

use divan::Bencher;
use divan::counter::ItemsCount;
use serde_json::Map;
use warrantd::config::EffectsSection;
use warrantd::policy::Decision;
use warrantd::warrant::{
    Ambient, Effect, EffectKind, FileTarget, Judged, Observation, Outcome, Peer, Process, Protocol,
    Rules, Target, Verdict, Warrant, judge,
};

fn main() {
    divan::main();
}

/// A tool that reads a tree, replaces a file and talks to a host.
const EFFECTS: &str = "
tools:
  build: {read: ['src/**', /etc/hosts], write: ['out/report.md', 'out/*.tmp'], connect: ['192.0.2.7:443']}
";

fn warrant() -> Warrant {
    let section: EffectsSection = serde_yaml::from_str(EFFECTS).expect("effects");
    let rules = Rules::compile(&section, "/srv").expect("rules");
    let decision = Decision::denied("", "");
    rules.issue(&decision, "build", &Map::new()).expect("a warrant")
}

/// What such a call does: of ten effects four are the runtime's own, four read the tree, one writes and
/// one connects.
fn effects(count: usize) -> Vec<Effect> {
    let file = |kind, path: String| {
        (kind, Target::File(FileTarget { path, dev: 1, ino: 2, truncated: false }))
    };
    let peer = || {
        let peer = "192.0.2.7:443".parse().expect("a peer");
        Target::Peer(Peer { peer, protocol: Protocol::Tcp, names: Vec::new() })
    };
    let one = |n: usize| {
        let (kind, target) = match n % 10 {
            0..=3 => file(EffectKind::FileRead, format!("/usr/lib/node/module/{n}/index.js")),
            4..=7 => file(EffectKind::FileRead, format!("/srv/src/part/{n}.md")),
            8 => file(EffectKind::FileWrite, "/srv/out/report.md".to_owned()),
            _ => (EffectKind::Connect, peer()),
        };
        Effect {
            kind,
            outcome: Outcome::Allowed,
            target,
            argv: Vec::new(),
            argv_cut: false,
            process: Process { pid: 71, tid: 71, uid: 1000, exe: "/usr/bin/node".into() },
            seq: n as u64,
            boot_ns: n as u64,
        }
    };
    (0..count).map(one).collect()
}

/// Judging every effect, and the verdict.
#[divan::bench(args = [10, 100, 1000, 10_000])]
fn verify(bencher: Bencher, count: usize) {
    let warrant = warrant();
    let ambient = Ambient::new(&[], &[], "/srv").expect("ambient");
    let drained = effects(count);
    bencher.counter(ItemsCount::new(count)).with_inputs(|| drained.clone()).bench_values(
        |drained| {
            let mut observation = Observation::default();
            for effect in drained {
                let standing = judge(&effect, [black_box(&warrant)], &ambient);
                observation.add(Judged { effect, standing });
            }
            assert_eq!(observation.verdict(), Verdict::Within);
            observation
        },
    );
}
