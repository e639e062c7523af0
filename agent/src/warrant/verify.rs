//! Verification: do the effects of a call stay within what it may do?
//!
//! Each effect is judged when it is drained, against the warrants in flight at that moment; a
//! call's verdict follows from its judged effects. Both steps only ever add suspicion: more effects
//! never make a verdict better, and a wider warrant never makes it worse.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ambient::Ambient;
use super::effect::{Effect, EffectKind};
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

    /// Adds what another observation has: the two together are what would have been observed at once.
    pub fn merge(&mut self, other: Self) {
        self.judged.extend(other.judged);
        self.ambient += other.ambient;
        self.lost += other.lost;
        self.cut |= other.cut;
    }

    /// The effects that nothing covers.
    pub fn exceeded(&self) -> impl Iterator<Item = &Effect> {
        self.judged.iter().filter(|j| j.standing == Standing::Exceeded).map(|j| &j.effect)
    }

    /// Whether policy is to act on it. Not on data alone that the kernel dropped on connections of earlier
    /// calls: none of it left, and an honest server says goodbye that way.
    pub fn calls_for_action(&self) -> bool {
        let grave = |effect: &Effect| effect.kind != EffectKind::LatePacket;
        self.lost > 0 || self.cut || self.exceeded().any(grave)
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
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
#[path = "verify_tests.rs"]
mod tests;
