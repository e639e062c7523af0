//! The time line as inline SVG. Places are percentages, so that it is as wide as there is room and its text
//! keeps its size.

use super::clock::{length_of, step, tick};
use crate::report::outcome::{Outcome, Outcomes};
use crate::report::point::{Number, many};
use crate::report::timeline::{Mark, Step, Timeline};

/// A rectangle, in percent.
#[derive(Debug, Clone)]
pub(super) struct Bar {
    pub(super) x: String,
    pub(super) y: String,
    pub(super) width: String,
    pub(super) height: String,
    pub(super) class: &'static str,
}

/// A step of time with all that is stacked in it.
#[derive(Debug, Clone)]
pub(super) struct Stack {
    pub(super) title: String,
    pub(super) bars: Vec<Bar>,
}

/// A mark on the axis.
#[derive(Debug, Clone)]
pub(super) struct Tick {
    pub(super) x: String,
    pub(super) text: String,
    /// How the text stands to it.
    pub(super) anchor: &'static str,
}

/// A line on which something that must not be overlooked is marked where it happened, whatever its share.
#[derive(Debug, Clone)]
pub(super) struct Strip {
    pub(super) name: &'static str,
    pub(super) class: &'static str,
    pub(super) count: Number,
    pub(super) marks: Vec<(String, String, String)>,
}

/// A step in numbers, for those who cannot see the chart.
#[derive(Debug, Clone)]
pub(super) struct Figures {
    pub(super) from: String,
    pub(super) counts: Vec<Number>,
}

/// The time line.
#[derive(Debug, Clone)]
pub(super) struct Chart {
    pub(super) stacks: Vec<Stack>,
    pub(super) strips: Vec<Strip>,
    pub(super) ticks: Vec<Tick>,
    pub(super) step: String,
    pub(super) highest: Number,
    pub(super) summary: String,
    /// Columns of the table, and its rows.
    pub(super) columns: Vec<&'static str>,
    pub(super) figures: Vec<Figures>,
}

/// What an axis spans, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Axis {
    from: i64,
    to: i64,
}

/// Distances between marks of an axis, in milliseconds.
const TICKS: [i64; 17] = [
    1_000,
    5_000,
    15_000,
    60_000,
    300_000,
    900_000,
    1_800_000,
    3_600_000,
    10_800_000,
    21_600_000,
    43_200_000,
    86_400_000,
    172_800_000,
    604_800_000,
    2_419_200_000,
    14_515_200_000,
    145_152_000_000,
];
/// Marks of an axis, at most.
const MARKS: i64 = 7;

impl Axis {
    pub(super) fn new(from: i64, to: i64) -> Self {
        Self { from, to: to.max(from + 1) }
    }

    /// A place in percent.
    #[allow(clippy::cast_precision_loss)] // Less than a pixel.
    pub(super) fn place(self, at: i64) -> f64 {
        100.0 * (at - self.from) as f64 / (self.to - self.from) as f64
    }

    /// Marks at times that are easy to read.
    pub(super) fn ticks(self) -> Vec<Tick> {
        let length = self.to - self.from;
        let step = TICKS.into_iter().find(|step| length / step <= MARKS).unwrap_or(TICKS[16]);
        let first = self.from.div_euclid(step) * step;
        let times = (0..=MARKS + 2).map(|n| first + n * step);
        let inside = times.filter(|at| (self.from..=self.to).contains(at));
        let mark = |at: i64| {
            let place = self.place(at);
            let anchor = match place {
                ..4.0 => "start",
                96.0.. => "end",
                _ => "middle",
            };
            Tick { x: percent(place), text: tick(at, step), anchor }
        };
        inside.map(mark).collect()
    }
}

pub(super) fn percent(share: f64) -> String {
    format!("{share:.3}%")
}

impl Chart {
    /// Of what happened; `None` if nothing did.
    pub(super) fn new(timeline: &Timeline) -> Option<Self> {
        let (from, to) = timeline.bounds()?;
        let axis = Axis::new(from, to);
        let length = timeline.length();
        let highest = timeline.steps().map(|(_, step)| step.calls.total()).max().unwrap_or(0);
        let mut all = Outcomes::default();
        timeline.steps().for_each(|(_, step)| all.merge(&step.calls));
        let strips = strips(timeline, axis, &all);
        let used: Vec<Outcome> =
            all.each().filter(|(_, count)| *count > 0).map(|(outcome, _)| outcome).collect();
        let figures = timeline.steps().map(|(at, step_of)| {
            let calls = used.iter().map(|outcome| step_of.calls.of(*outcome));
            let others = Mark::ALL.into_iter().map(|mark| step_of.marks(mark)).sum();
            let counts = calls.chain([others]).map(Number).collect();
            Figures { from: step(at, length), counts }
        });
        let columns = used.iter().map(|outcome| outcome.name()).chain(["other events"]).collect();
        Some(Self {
            stacks: timeline.steps().map(|(at, of)| stack(axis, at, length, of, highest)).collect(),
            strips,
            ticks: axis.ticks(),
            step: length_of(length),
            highest: Number(highest),
            summary: format!("{} over time, by outcome", many(all.total(), "call")),
            columns,
            figures: figures.collect(),
        })
    }
}

/// Calls of a step on top of each other, the gravest at the bottom, where its size is seen best.
#[allow(clippy::cast_precision_loss)] // Less than a pixel.
fn stack(axis: Axis, at: i64, length: i64, of: &Step, highest: u64) -> Stack {
    let (left, right) = (axis.place(at), axis.place(at + length));
    let (x, width) = (percent(left), percent((right - left) * 0.86));
    let mut top = 100.0;
    let mut bars = Vec::new();
    let mut told = Vec::new();
    for (outcome, count) in of.calls.each().filter(|(_, count)| *count > 0) {
        let height = 100.0 * count as f64 / highest.max(1) as f64;
        top -= height;
        let (x, width) = (x.clone(), width.clone());
        let (y, height) = (percent(top), percent(height));
        bars.push(Bar { x, y, width, height, class: outcome.name() });
        told.push(format!("{} {}", Number(count), outcome.name()));
    }
    Stack { title: format!("{}: {}", step(at, length), told.join(", ")), bars }
}

fn strips(timeline: &Timeline, axis: Axis, all: &Outcomes) -> Vec<Strip> {
    let length = timeline.length();
    let marks = |of: &dyn Fn(&Step) -> u64, what: &str| {
        let there = timeline.steps().map(|(at, step)| (at, of(step)));
        let there = there.filter(|(_, count)| *count > 0);
        let mark = |(at, count): (i64, u64)| {
            let (left, right) = (axis.place(at), axis.place(at + length));
            let title = format!("{}: {} {what}", step(at, length), Number(count));
            (percent(left), percent((right - left) * 0.86), title)
        };
        there.map(mark).collect::<Vec<_>>()
    };
    let mut strips = Vec::new();
    for (outcome, count) in all.each() {
        if count == 0 || outcome == Outcome::Within {
            continue;
        }
        let name = outcome.name();
        let marks = marks(&|step| step.calls.of(outcome), name);
        strips.push(Strip { name, class: name, count: Number(count), marks });
    }
    for (mark, name, class) in [
        (Mark::Outside, "outside of calls", "exceeded"),
        (Mark::Alert, "alerts", "alert"),
        (Mark::Trouble, "gaps, frozen", "trouble"),
        (Mark::Service, "starts, reloads", "service"),
    ] {
        let count: u64 = timeline.steps().map(|(_, step)| step.marks(mark)).sum();
        if count > 0 {
            let marks = marks(&|step| step.marks(mark), name);
            strips.push(Strip { name, class, count: Number(count), marks });
        }
    }
    strips
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_inside_and_one_call_among_thousands_is_seen() {
        let mut timeline = Timeline::default();
        (0..5_000).for_each(|n| timeline.call(1_769_860_800_000 + n * 10_000, Outcome::Within));
        timeline.call(1_769_860_800_000, Outcome::Exceeded);
        timeline.mark(1_769_860_800_000, Mark::Alert);
        let chart = Chart::new(&timeline).expect("a chart");
        let value = |text: &str| text.trim_end_matches('%').parse::<f64>().expect("a number");
        for bar in chart.stacks.iter().flat_map(|stack| &stack.bars) {
            assert!(value(&bar.x) >= 0.0 && value(&bar.x) + value(&bar.width) <= 100.0, "{bar:?}");
            assert!(value(&bar.y) > -0.01 && value(&bar.height) > 0.0, "{bar:?}");
        }
        let names: Vec<_> =
            chart.strips.iter().map(|strip| (strip.name, strip.marks.len())).collect();
        assert_eq!(names, [("exceeded", 1), ("alerts", 1)]);
        assert!((2..=9).contains(&chart.ticks.len()), "{:?}", chart.ticks);
        assert_eq!(chart.columns, ["exceeded", "within", "other events"]);
        assert!(Chart::new(&Timeline::default()).is_none());
    }

    #[test]
    fn a_moment_has_an_axis_too() {
        let axis = Axis::new(5, 5);
        assert!(axis.place(5).abs() < 0.001 && axis.ticks().len() < 9);
    }
}
