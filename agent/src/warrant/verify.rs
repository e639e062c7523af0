//! Verification: do the effects of a call stay within what it may do?
//!
//! Each effect is judged when it is drained, against the warrants in flight at that moment; a
//! call's verdict follows from its judged effects. Both steps only ever add suspicion: more effects
//! never make a verdict better, and a wider warrant never makes it worse.

use serde::{Deserialize, Serialize};

use super::ambient::Ambient;
use super::effect::Effect;
use super::grant::Warrant;

/// Where an effect stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// The server may have it at any time.
    Ambient,
    /// A warrant in flight covers it.
    Warranted,
    /// Nothing covers it.
    Exceeded,
}

/// An effect and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// What the kernel saw.
    pub effect: Effect,
    /// Where it stands.
    pub standing: Standing,
}

/// Judges an effect against the warrants in flight.
pub fn judge<'a>(
    effect: &Effect,
    warrants: impl IntoIterator<Item = &'a Warrant>,
    ambient: &Ambient,
) -> Standing {
    if ambient.covers(effect) {
        Standing::Ambient
    } else if warrants.into_iter().any(|warrant| warrant.covers(effect)) {
        Standing::Warranted
    } else {
        Standing::Exceeded
    }
}

/// What is known of a call's effects.
#[derive(Debug, Clone, Default)]
pub struct Observation {
    /// Effects beyond ambient.
    pub judged: Vec<Judged>,
    /// How many ambient effects there were.
    pub ambient: u64,
    /// Kernel events that were lost.
    pub lost: u64,
    /// The drain ended before all events were read.
    pub cut: bool,
}

impl Observation {
    /// Adds a judged effect.
    pub fn add(&mut self, judged: Judged) {
        if judged.standing == Standing::Ambient {
            self.ambient += 1;
        } else {
            self.judged.push(judged);
        }
    }

    /// The effects that nothing covers.
    pub fn exceeded(&self) -> impl Iterator<Item = &Effect> {
        self.judged.iter().filter(|j| j.standing == Standing::Exceeded).map(|j| &j.effect)
    }

    /// The verdict. An effect that nothing covers outweighs lost events: what was seen is certain.
    pub fn verdict(&self) -> Verdict {
        if self.exceeded().next().is_some() {
            Verdict::Exceeded
        } else if self.lost > 0 || self.cut {
            Verdict::Incomplete
        } else {
            Verdict::Within
        }
    }
}

/// Whether a call kept to its warrant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[must_use]
pub enum Verdict {
    /// Every effect is covered.
    Within,
    /// An effect is not covered.
    Exceeded,
    /// Kernel events were lost or cut, so nobody can say.
    Incomplete,
    /// There is no kernel view.
    Unobserved,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::effect::tests::{file, peer};
    use super::super::effect::{EffectKind, Outcome, Target};
    use super::super::grant::{FileGrant, PeerGrant, READ, Scope, WRITE, Whom};
    use super::*;

    fn effects() -> impl Strategy<Value = Effect> {
        let kinds = prop_oneof![
            Just(EffectKind::FileRead),
            Just(EffectKind::FileWrite),
            Just(EffectKind::Exec),
            Just(EffectKind::Connect),
        ];
        let outcomes = prop_oneof![Just(Outcome::Allowed), Just(Outcome::Denied)];
        (kinds, outcomes, 0_u8..4, any::<bool>()).prop_map(|(kind, outcome, n, cut)| {
            let mut effect = if kind == EffectKind::Connect {
                peer(kind, &format!("192.0.2.{n}:80"))
            } else {
                file(kind, &format!("/srv/{n}"))
            };
            effect.outcome = outcome;
            if let Target::File(file) = &mut effect.target {
                file.truncated = cut;
            }
            effect
        })
    }

    fn warrants() -> impl Strategy<Value = Warrant> {
        (proptest::collection::vec((0_u8..4, any::<bool>()), 0..4), 0_u8..4).prop_map(|(f, p)| {
            let files = f.into_iter().map(|(n, write)| FileGrant {
                kinds: if write { WRITE } else { READ },
                scope: Scope::Exactly(format!("/srv/{n}")),
            });
            let whom = Whom::Net(format!("192.0.2.{p}/32").parse().expect("net"));
            Warrant { files: files.collect(), peers: vec![PeerGrant { whom, port: None }] }
        })
    }

    fn observe(effects: &[Effect], warrants: &[Warrant], lost: u64) -> Observation {
        let ambient = Ambient::new(&[], &[], "/srv").expect("floor");
        let mut observation = Observation { lost, ..Observation::default() };
        for effect in effects {
            let standing = judge(effect, warrants, &ambient);
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

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn more_warrant_never_makes_it_worse(
            effects in proptest::collection::vec(effects(), 0..6),
            held in proptest::collection::vec(warrants(), 0..3),
            more in warrants(),
            lost in 0_u64..2,
        ) {
            let before = badness(observe(&effects, &held, lost).verdict());
            let wider: Vec<_> = held.into_iter().chain([more]).collect();
            prop_assert!(badness(observe(&effects, &wider, lost).verdict()) <= before);
        }

        #[test]
        fn more_effects_never_make_it_better_and_order_does_not_count(
            mut effects in proptest::collection::vec(effects(), 0..6),
            more in effects(),
            held in proptest::collection::vec(warrants(), 0..3),
        ) {
            let before = badness(observe(&effects, &held, 0).verdict());
            effects.push(more);
            let after = badness(observe(&effects, &held, 0).verdict());
            prop_assert!(after >= before);
            effects.reverse();
            prop_assert_eq!(badness(observe(&effects, &held, 0).verdict()), after);
        }

        #[test]
        fn loss_and_cut_paths_are_never_within(
            effects in proptest::collection::vec(effects(), 0..6),
            held in proptest::collection::vec(warrants(), 0..3),
        ) {
            prop_assert_ne!(observe(&effects, &held, 1).verdict(), Verdict::Within);
            let cut = |e: &Effect| matches!(&e.target, Target::File(f) if f.truncated);
            if effects.iter().any(cut) {
                prop_assert_eq!(observe(&effects, &held, 0).verdict(), Verdict::Exceeded);
            }
        }
    }
}
