//! What was measured, and what is made of it.

use std::time::Duration;

use serde::Serialize;

/// A stretch of calls without a pause.
#[derive(Debug, Default)]
pub struct Stretch {
    /// How long each call took, in nanoseconds.
    pub latencies: Vec<u32>,
    /// How long all took.
    pub took: Duration,
}

/// The figures of a stretch.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Figures {
    /// Calls that were answered.
    pub calls: usize,
    /// Half of the calls took no longer, in microseconds.
    pub p50_us: f64,
    /// Nine in ten.
    pub p90_us: f64,
    /// Ninety-nine in a hundred.
    pub p99_us: f64,
    /// Calls in a second.
    pub rate: f64,
}

impl Stretch {
    /// Its figures.
    #[must_use]
    pub fn figures(mut self) -> Figures {
        self.latencies.sort_unstable();
        let at = |part: f64| f64::from(quantile(&self.latencies, part).unwrap_or(0)) / 1000.0;
        let calls = self.latencies.len();
        Figures {
            calls,
            p50_us: at(0.5),
            p90_us: at(0.9),
            p99_us: at(0.99),
            rate: count(calls) / self.took.as_secs_f64(),
        }
    }
}

/// A count as a number to calculate with.
#[must_use]
pub fn count(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// What stands at a part of a sorted row.
fn quantile<T: Copy>(sorted: &[T], part: f64) -> Option<T> {
    let last = sorted.len().checked_sub(1)?;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the row")]
    let index = (count(last) * part).round() as usize;
    sorted.get(index).copied()
}

/// A value measured several times.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// The middle.
    pub median: f64,
    /// A quarter of the values are below.
    pub low: f64,
    /// A quarter of the values are above.
    pub high: f64,
}

impl Spread {
    /// Of at least one value.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let at = |part| quantile(&values, part);
        Some(Self { median: at(0.5)?, low: at(0.25)?, high: at(0.75)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_of_the_row() {
        let latencies = (1..=100).rev().map(|n| n * 1000).collect();
        let figures = Stretch { latencies, took: Duration::from_secs(2) }.figures();
        assert!((figures.p50_us - 51.0).abs() < 1.5, "{figures:?}");
        assert!((figures.p99_us - 99.0).abs() < 0.5, "{figures:?}");
        assert!((figures.rate - 50.0).abs() < 1e-9, "{figures:?}");
        let spread = Spread::of([3.0, 1.0, 2.0]).expect("values");
        assert!((spread.median - 2.0).abs() < 1e-9);
        assert_eq!(Spread::of([]), None);
    }
}
