//! The rows of the table, by what they are measured with. Variants follow each other within a round, in an
//! order that turns round, so that what the machine does meanwhile meets them all alike.

mod files;
mod growth;
mod http;
mod large;
mod memory;
mod micro;
mod start;
mod unix;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use crate::figures::{Figures, Spread, Stretch};
use crate::load::{Channel, run};
use crate::stage::Stage;

/// What a row has to reach.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub enum Limit {
    /// No more than this.
    AtMost(f64),
    /// No less than this.
    AtLeast(f64),
    /// Shown for comparison.
    None,
}

/// A row of the table.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// By which `--rows` finds it.
    pub id: String,
    /// What was measured.
    pub title: String,
    /// What it has to reach.
    pub limit: Limit,
    /// In what it is measured: `×` for ratios.
    pub unit: &'static str,
    /// What it is; `None` when it could not be measured.
    pub value: Option<Spread>,
    /// warrantd's own figure and that of the floor, for people.
    pub figures: String,
}

impl Row {
    /// Whether it reaches what it has to; `None` when it need not or nobody knows.
    #[must_use]
    pub fn is_reached(&self) -> Option<bool> {
        let value = self.value?.median;
        match self.limit {
            Limit::AtMost(most) => Some(value <= most),
            Limit::AtLeast(least) => Some(value >= least),
            Limit::None => None,
        }
    }
}

/// How it is measured.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Rounds of each comparison.
    pub rounds: usize,
    /// How long a stretch of calls is.
    pub stretch: Duration,
    /// Idle sessions for the memory of one.
    pub idle: usize,
    /// Sessions in the large case of growth.
    pub sessions: usize,
    /// Rules in the large case of growth.
    pub rules: usize,
    /// Starts of the daemon.
    pub starts: usize,
    /// Parts of rows' names, of which a row must have one.
    pub filters: Vec<String>,
    /// The program of the micro rows.
    pub micro: Option<PathBuf>,
}

impl Settings {
    fn wants(&self, ids: &[&str]) -> bool {
        self.filters.is_empty() || ids.iter().any(|id| self.wants_row(id))
    }

    fn wants_row(&self, id: &str) -> bool {
        self.filters.is_empty() || self.filters.iter().any(|filter| id.contains(filter.as_str()))
    }
}

/// A measurement while it goes on.
pub struct Bench {
    /// How.
    pub settings: Settings,
    /// Where.
    pub stage: Stage,
    /// Everything that was measured.
    pub raw: Vec<Value>,
    /// The rows so far.
    pub rows: Vec<Row>,
    /// What could not be measured, and why.
    pub notes: Vec<String>,
}

impl Bench {
    /// Measures all rows that are wanted.
    pub fn measure(&mut self) -> anyhow::Result<()> {
        unix::rows(self)?;
        large::rows(self)?;
        http::rows(self)?;
        files::rows(self)?;
        micro::rows(self)?;
        memory::rows(self)?;
        start::rows(self)?;
        growth::rows(self)?;
        let settings = &self.settings;
        self.rows.retain(|row| settings.wants_row(&row.id));
        Ok(())
    }

    /// Says what is being done.
    #[allow(clippy::print_stderr, reason = "progress of a tool for a terminal")]
    fn say(what: &str) {
        eprintln!("==> {what}");
    }

    /// Runs each variant once to get warm, and then in rounds.
    fn rounds(&mut self, group: &str, variants: &mut [Variant<'_>]) -> anyhow::Result<Measured> {
        let mut measured = Measured::default();
        for round in 0..=self.settings.rounds {
            let mut order: Vec<usize> = (0..variants.len()).collect();
            if round % 2 == 1 {
                order.reverse();
            }
            for index in order {
                let variant = &mut variants[index];
                let figures = (variant.run)(self.settings.stretch)
                    .map_err(|error| error.context(format!("{group}, {}", variant.name)))?;
                if round > 0 {
                    let (name, group) = (variant.name, group.to_owned());
                    self.raw.push(
                        json!({ "group": group, "variant": name, "round": round, "figures": figures }),
                    );
                    measured.by.entry(variant.name).or_default().push(figures);
                }
            }
        }
        Ok(measured)
    }

    fn row(&mut self, id: &str, title: &str, limit: Limit, unit: &'static str) -> &mut Row {
        let row = Row {
            id: id.to_owned(),
            title: title.to_owned(),
            limit,
            unit,
            value: None,
            figures: String::new(),
        };
        self.rows.push(row);
        let last = self.rows.len() - 1;
        &mut self.rows[last]
    }
}

/// One of the things that are compared.
struct Variant<'a> {
    name: &'static str,
    run: Box<dyn FnMut(Duration) -> anyhow::Result<Figures> + 'a>,
}

impl<'a> Variant<'a> {
    /// Calls on these connections.
    fn load<C: Channel + 'a>(name: &'static str, mut channels: Vec<C>, in_flight: usize) -> Self {
        let mut serial = 0;
        let run =
            move |length| run(&mut channels, in_flight, length, &mut serial).map(Stretch::figures);
        Self { name, run: Box::new(run) }
    }
}

/// The figures of each variant, by round.
#[derive(Debug, Default)]
struct Measured {
    by: BTreeMap<&'static str, Vec<Figures>>,
}

/// One of the figures of a stretch.
#[derive(Clone, Copy)]
struct Figure {
    of: fn(&Figures) -> f64,
    unit: &'static str,
}

const P50: Figure = Figure { of: |figures| figures.p50_us, unit: "µs" };
const P99: Figure = Figure { of: |figures| figures.p99_us, unit: "µs" };
const RATE: Figure = Figure { of: |figures| figures.rate, unit: "calls/s" };

impl Measured {
    fn of(&self, name: &str) -> &[Figures] {
        self.by.get(name).map_or(&[], Vec::as_slice)
    }

    /// How one figure of two variants compares, round by round.
    fn ratio(&self, ours: &str, floor: &str, figure: Figure) -> Option<Spread> {
        let pairs = self.of(ours).iter().zip(self.of(floor));
        Spread::of(pairs.map(|(ours, floor)| (figure.of)(ours) / (figure.of)(floor)))
    }

    fn median(&self, name: &str, figure: Figure) -> f64 {
        Spread::of(self.of(name).iter().map(figure.of)).map_or(f64::NAN, |spread| spread.median)
    }

    /// Fills in a row that compares two variants.
    fn fill(&self, row: &mut Row, ours: &str, floor: &str, figure: Figure) {
        row.value = self.ratio(ours, floor, figure);
        let number = |name| rounded(self.median(name, figure));
        row.figures =
            format!("{} {} against {} ({floor})", number(ours), figure.unit, number(floor));
    }
}

/// A number with three digits that count.
#[must_use]
pub fn rounded(value: f64) -> String {
    match value.abs() {
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
