//! Laws of verification, for every kind of effect, warrant and ambient.

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::effect::tests::{file, peer};
use super::super::effect::{EffectKind, Outcome, Target};
use super::super::grant::{DELETE, FileGrant, PeerGrant, READ, RunGrant, Scope, WRITE, Whom};
use super::*;

const KINDS: [EffectKind; 14] = [
    EffectKind::FileRead,
    EffectKind::FileWrite,
    EffectKind::FileCreate,
    EffectKind::FileDelete,
    EffectKind::FileRename,
    EffectKind::FileMap,
    EffectKind::Exec,
    EffectKind::ConnectUnix,
    EffectKind::Mount,
    EffectKind::Connect,
    EffectKind::Send,
    EffectKind::Packet,
    EffectKind::Bind,
    EffectKind::LeaveCgroup,
];

/// Few paths, peers and words, so that effects and warrants meet.
fn path(n: u8) -> String {
    format!("/srv/{n}")
}

fn argv(words: &[u8]) -> Vec<String> {
    words.iter().map(|word| format!("w{word}")).collect()
}

fn effect() -> impl Strategy<Value = Effect> {
    let kinds = proptest::sample::select(&KINDS[..]);
    let outcomes = prop_oneof![4 => Just(Outcome::Allowed), 1 => Just(Outcome::Denied)];
    let cut = || proptest::bool::weighted(0.2);
    (kinds, outcomes, 0_u8..4, cut(), vec(0_u8..3, 0..4), cut()).prop_map(
        |(kind, outcome, n, path_cut, words, argv_cut)| {
            let network = matches!(
                kind,
                EffectKind::Connect | EffectKind::Send | EffectKind::Packet | EffectKind::Bind
            );
            let mut effect =
                if network { peer(kind, &format!("192.0.2.{n}:80")) } else { file(kind, &path(n)) };
            effect.outcome = outcome;
            if let Target::File(file) = &mut effect.target {
                file.truncated = path_cut;
            }
            if kind == EffectKind::Exec {
                (effect.argv, effect.argv_cut) = (argv(&words), argv_cut);
            }
            effect
        },
    )
}

fn warrant() -> impl Strategy<Value = Warrant> {
    let kinds = proptest::sample::select(&[READ, WRITE, DELETE][..]);
    let files = vec((kinds, 0_u8..4), 0..4);
    let runs = vec((0_u8..4, proptest::option::of(vec(0_u8..3, 0..3))), 0..3);
    let peers = vec((0_u8..4, proptest::option::of(79_u16..82)), 0..2);
    (files, runs, peers).prop_map(|(files, runs, peers)| Warrant {
        files: files
            .into_iter()
            .map(|(kinds, n)| FileGrant { kinds, scope: Scope::Exactly(path(n)) })
            .collect(),
        runs: runs
            .into_iter()
            .map(|(n, words)| RunGrant {
                program: Scope::Exactly(path(n)),
                arguments: words.map(|words| argv(&words)),
            })
            .collect(),
        peers: peers
            .into_iter()
            .map(|(n, port)| {
                let net = format!("192.0.2.{n}/32").parse().expect("net");
                PeerGrant { whom: Whom::Net(net), port }
            })
            .collect(),
    })
}

fn ambient() -> impl Strategy<Value = Ambient> {
    (vec(0_u8..4, 0..2), vec(0_u8..4, 0..2)).prop_map(|(read, peers)| {
        let read: Vec<_> = read.into_iter().map(path).collect();
        let peers: Vec<_> = peers.into_iter().map(|n| format!("192.0.2.{n}")).collect();
        let ambient = Ambient::new(&[], &read, "/srv").expect("floor");
        ambient.with_connect(&peers).expect("peers")
    })
}

/// Effects, some of which are allowed by what is returned with them.
fn scene() -> impl Strategy<Value = (Vec<Effect>, Vec<Warrant>, Ambient)> {
    (vec(effect(), 0..8), vec(warrant(), 0..3), ambient())
}

fn observe(effects: &[Effect], warrants: &[Warrant], ambient: &Ambient) -> Observation {
    let mut observation = Observation::default();
    for effect in effects {
        let standing = judge(effect, warrants, ambient);
        observation.add(Judged { effect: effect.clone(), standing });
    }
    observation
}

fn badness(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Within => 0,
        Verdict::Incomplete | Verdict::Unobserved => 1,
        Verdict::Exceeded => 2,
    }
}

/// What an observation says, without the order in which it came.
fn facts(observation: &Observation) -> (Vec<String>, u64, u64, bool, Verdict) {
    let mut judged: Vec<_> = observation.judged.iter().map(|j| format!("{j:?}")).collect();
    judged.sort();
    let verdict = observation.verdict();
    (judged, observation.ambient, observation.lost, observation.cut, verdict)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn more_warrant_never_makes_it_worse(
        (effects, held, ambient) in scene(),
        more in warrant(),
        lost in 0_u64..2,
    ) {
        let mut before = observe(&effects, &held, &ambient);
        let wider: Vec<_> = held.iter().cloned().chain([more.clone()]).collect();
        let mut after = observe(&effects, &wider, &ambient);
        (before.lost, after.lost) = (lost, lost);
        prop_assert!(badness(after.verdict()) <= badness(before.verdict()));
        // Two warrants, or one that is both.
        let joined = held.into_iter().fold(more, Warrant::and);
        prop_assert_eq!(facts(&observe(&effects, &[joined], &ambient)).0, {
            after.lost = 0;
            facts(&after).0
        });
    }

    #[test]
    fn more_effects_never_make_it_better(
        (mut effects, held, ambient) in scene(),
        more in effect(),
    ) {
        let before = badness(observe(&effects, &held, &ambient).verdict());
        effects.push(more);
        prop_assert!(badness(observe(&effects, &held, &ambient).verdict()) >= before);
    }

    #[test]
    fn order_does_not_count(
        ((effects, shuffled), held, ambient) in scene().prop_flat_map(|(effects, held, ambient)| {
            let shuffled = Just(effects.clone()).prop_shuffle();
            ((Just(effects), shuffled), Just(held).prop_shuffle(), Just(ambient))
        }),
    ) {
        let one = observe(&effects, &held, &ambient);
        let other = observe(&shuffled, &held, &ambient);
        prop_assert_eq!(facts(&one), facts(&other));
    }

    #[test]
    fn two_observations_together_are_their_union(
        (effects, held, ambient) in scene(),
        (cut_at, lost, cut) in (0_usize..9, (0_u64..2, 0_u64..2), any::<(bool, bool)>()),
    ) {
        let (first, second) = effects.split_at(cut_at.min(effects.len()));
        let mut one = observe(first, &held, &ambient);
        let mut two = observe(second, &held, &ambient);
        ((one.lost, two.lost), (one.cut, two.cut)) = (lost, cut);
        let worst = badness(one.verdict()).max(badness(two.verdict()));
        let mut all = observe(&effects, &held, &ambient);
        (all.lost, all.cut) = (lost.0 + lost.1, cut.0 | cut.1);
        one.merge(two);
        prop_assert_eq!(facts(&one), facts(&all));
        prop_assert_eq!(badness(one.verdict()), worst);
    }

    #[test]
    fn loss_and_what_was_cut_are_never_within(
        (effects, held, ambient) in scene(),
        (lost, cut) in (0_u64..3, any::<bool>()),
    ) {
        let mut observation = observe(&effects, &held, &ambient);
        let path_cut = |e: &Effect| matches!(&e.target, Target::File(f) if f.truncated);
        if effects.iter().any(path_cut) {
            prop_assert_eq!(observation.verdict(), Verdict::Exceeded);
        }
        (observation.lost, observation.cut) = (lost, cut);
        if lost > 0 || cut {
            prop_assert_ne!(observation.verdict(), Verdict::Within);
        }
    }

    #[test]
    fn what_was_refused_is_never_within((effects, held, ambient) in scene()) {
        if effects.iter().any(|effect| effect.outcome == Outcome::Denied) {
            prop_assert_eq!(observe(&effects, &held, &ambient).verdict(), Verdict::Exceeded);
        }
    }

    #[test]
    fn cut_arguments_meet_no_rule_about_arguments(mut effect in effect(), held in warrant()) {
        effect.argv_cut = true;
        let runs = held.runs.iter().filter(|run| run.arguments.is_none()).cloned().collect();
        let without = Warrant { runs, ..held.clone() };
        if effect.kind == EffectKind::Exec {
            prop_assert_eq!(held.covers(&effect), without.covers(&effect));
        }
    }
}

#[test]
fn data_dropped_on_old_connections_is_told_and_not_acted_on() {
    let late = || Judged {
        effect: Effect {
            outcome: Outcome::Denied,
            ..peer(EffectKind::LatePacket, "192.0.2.1:443")
        },
        standing: Standing::Exceeded,
    };
    let mut seen = Observation::default();
    seen.add(late());
    assert!(seen.verdict() == Verdict::Exceeded && !seen.calls_for_action());
    assert!(Observation { lost: 1, ..seen.clone() }.calls_for_action());
    let other = Judged { effect: peer(EffectKind::Connect, "192.0.2.1:443"), ..late() };
    seen.add(other);
    assert!(seen.calls_for_action());
}
