//! When things happened: counts by steps of time that are as long as it takes for all to have room.

use std::collections::BTreeMap;

use super::outcome::{Outcome, Outcomes};

/// Lengths of a step in milliseconds; each divides the next.
const STEPS: [i64; 16] = [
    100,
    1_000,
    5_000,
    15_000,
    60_000,
    300_000,
    900_000,
    3_600_000,
    10_800_000,
    43_200_000,
    86_400_000,
    604_800_000,
    2_419_200_000,
    29_030_400_000,
    290_304_000_000,
    2_903_040_000_000,
];
/// Steps between the first and the last, at most.
const MOST: i64 = 140;

/// What is marked beside calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// Effects beyond ambient that belong to no call.
    Outside,
    /// A rule for alerts held.
    Alert,
    /// Something was not seen or not recorded, or a session was stopped: a gap, a failure of the log, frozen.
    Trouble,
    /// The daemon started, stopped or read its configuration anew.
    Service,
}

impl Mark {
    pub(super) const ALL: [Self; 4] = [Self::Outside, Self::Alert, Self::Trouble, Self::Service];
}

/// What happened in one step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) calls: Outcomes,
    marks: [u64; Mark::ALL.len()],
}

impl Step {
    pub(super) fn marks(&self, mark: Mark) -> u64 {
        self.marks.get(mark as usize).copied().unwrap_or_default()
    }

    fn merge(&mut self, other: &Self) {
        self.calls.merge(&other.calls);
        self.marks.iter_mut().zip(other.marks).for_each(|(count, more)| *count += more);
    }
}

/// Counts by steps of time.
#[derive(Debug, Clone, Default)]
pub(super) struct Timeline {
    /// Index of the steps' length.
    length: usize,
    /// By the steps' numbers since 1970.
    steps: BTreeMap<i64, Step>,
}

impl Timeline {
    /// Counts a call, at a time in milliseconds since 1970.
    pub(super) fn call(&mut self, at: i64, outcome: Outcome) {
        self.step(at).calls.add(outcome);
    }

    /// Counts something else.
    pub(super) fn mark(&mut self, at: i64, mark: Mark) {
        if let Some(count) = self.step(at).marks.get_mut(mark as usize) {
            *count += 1;
        }
    }

    /// Milliseconds of a step.
    pub(super) fn length(&self) -> i64 {
        STEPS.get(self.length).copied().unwrap_or(1)
    }

    /// Beginning of the first step and end of the last, in milliseconds since 1970.
    pub(super) fn bounds(&self) -> Option<(i64, i64)> {
        let (first, _) = self.steps.first_key_value()?;
        let (last, _) = self.steps.last_key_value()?;
        Some((first * self.length(), (last + 1) * self.length()))
    }

    /// The steps in which something happened, with their beginnings.
    pub(super) fn steps(&self) -> impl Iterator<Item = (i64, &Step)> {
        self.steps.iter().map(|(number, step)| (number * self.length(), step))
    }

    fn step(&mut self, at: i64) -> &mut Step {
        while self.would_span(at) > MOST && self.length + 1 < STEPS.len() {
            self.lengthen();
        }
        self.steps.entry(at.div_euclid(self.length())).or_default()
    }

    /// Steps from the first to the last, with one at this time.
    fn would_span(&self, at: i64) -> i64 {
        let number = at.div_euclid(self.length());
        let first = self.steps.first_key_value().map_or(number, |(first, _)| *first.min(&number));
        let last = self.steps.last_key_value().map_or(number, |(last, _)| *last.max(&number));
        last - first + 1
    }

    fn lengthen(&mut self) {
        let before = self.length();
        self.length += 1;
        let factor = self.length() / before;
        for (number, step) in std::mem::take(&mut self.steps) {
            self.steps.entry(number.div_euclid(factor)).or_default().merge(&step);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_length_divides_the_next() {
        assert!(STEPS.windows(2).all(|pair| pair[1] % pair[0] == 0));
    }

    #[test]
    fn a_moment_is_one_step_and_a_day_has_hours() {
        let mut timeline = Timeline::default();
        timeline.call(1_000_050, Outcome::Within);
        assert_eq!(timeline.bounds(), Some((1_000_000, 1_000_100)));
        timeline.call(1_000_050 + 86_400_000, Outcome::Denied);
        assert_eq!(timeline.length(), 900_000);
        timeline.mark(1_000_050, Mark::Alert);
        let steps: Vec<_> = timeline.steps().collect();
        assert_eq!((steps.len(), steps[0].1.marks(Mark::Alert)), (2, 1));
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_the_steps_stay_few(
            times in prop::collection::vec(-4_000_000_000_000..253_402_300_799_999_i64, 1..60)
        ) {
            let mut timeline = Timeline::default();
            for at in &times {
                timeline.call(*at, Outcome::Within);
            }
            let total: u64 = timeline.steps().map(|(_, step)| step.calls.total()).sum();
            prop_assert_eq!(total, times.len() as u64);
            let (from, to) = timeline.bounds().expect("bounds");
            prop_assert!((to - from) / timeline.length() <= MOST);
            prop_assert!(times.iter().all(|at| (from..to).contains(at)));
        }
    }
}
