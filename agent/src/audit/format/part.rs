//! The events that one record becomes.

use super::entry::Entry;
use super::severity::Severity;
use crate::warrant::{Effect, Outcome, Verdict};

/// Most effects of one record that become events of their own. The record's own event says how many more
/// there were; the log has them all.
pub(super) const MAX_EFFECTS: usize = 64;

/// One event of a record.
#[derive(Debug, Clone, Copy)]
pub(super) enum Part<'a> {
    /// The record itself.
    Whole,
    /// That something happened for which there was no warrant, or that nobody can say.
    Finding(Verdict),
    /// An effect, and whether nothing covered it.
    Effect(&'a Effect, bool),
}

/// The events of a record in the order in which they are sent.
pub(super) fn parts<'a>(entry: &'a Entry<'_>) -> Vec<Part<'a>> {
    let mut parts = vec![Part::Whole];
    if let Some(verdict @ (Verdict::Exceeded | Verdict::Incomplete)) = entry.verdict() {
        parts.push(Part::Finding(verdict));
    }
    let effects = entry.all_effects().take(MAX_EFFECTS);
    parts.extend(effects.map(|(effect, exceeded)| Part::Effect(effect, exceeded)));
    parts
}

/// How many effects of a record have no event of their own.
pub(super) fn left_out(entry: &Entry<'_>) -> usize {
    entry.all_effects().count().saturating_sub(MAX_EFFECTS)
}

impl Part<'_> {
    pub(super) fn severity(self, entry: &Entry<'_>) -> Severity {
        match self {
            Self::Whole => entry.severity(),
            Self::Finding(Verdict::Exceeded) => Severity::High,
            Self::Finding(_) => Severity::Medium,
            Self::Effect(_, false) => Severity::Informational,
            Self::Effect(effect, true) => match effect.outcome {
                Outcome::Allowed => Severity::High,
                Outcome::Denied => Severity::Medium,
            },
        }
    }
}
