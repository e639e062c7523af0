//! Medians and quartiles, and how they are shown.

/// The middle of some figures, and the quarters below and above.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    pub(crate) low: f64,
    pub(crate) median: f64,
    pub(crate) high: f64,
}

impl Spread {
    /// Of at least one figure.
    pub(crate) fn of(figures: &[f64]) -> Option<Self> {
        let quantile = |part: f64| quantile(figures, part);
        Some(Self { low: quantile(0.25)?, median: quantile(0.5)?, high: quantile(0.75)? })
    }

    /// Of the differences between figures of the same round.
    pub(crate) fn of_differences(figures: &[f64], from: &[f64]) -> Option<Self> {
        let differences: Vec<f64> =
            figures.iter().zip(from).map(|(figure, from)| figure - from).collect();
        Self::of(&differences)
    }
}

/// The figure in the middle.
pub(crate) fn median(figures: &[f64]) -> Option<f64> {
    quantile(figures, 0.5)
}

/// The figure below which this part of all lies, between neighbours in proportion.
fn quantile(figures: &[f64], part: f64) -> Option<f64> {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = u32::try_from(sorted.len().checked_sub(1)?).ok()?;
    let place = part * f64::from(last);
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "not negative, small"
    )]
    let below = place.floor() as usize;
    let first = *sorted.get(below)?;
    let second = *sorted.get(below + 1).unwrap_or(&first);
    Some(first + (second - first) * place.fract())
}

/// Nanoseconds as microseconds.
pub(crate) fn microseconds(nanoseconds: f64) -> String {
    let value = nanoseconds / 1e3;
    if value.abs() < 100.0 { format!("{value:.2}") } else { format!("{value:.0}") }
}

/// What was added to `bare`: `+0.51 (0.48 to 0.55), +24 %`.
pub(crate) fn added(spread: Spread, bare: f64) -> String {
    let Spread { low, median, high } = spread;
    let sign = |value: f64| if value < 0.0 { "−" } else { "+" };
    let whole = |value: f64| format!("{}{}", sign(value), microseconds(value.abs()));
    let part = median / bare * 100.0;
    format!(
        "{} ({} to {}), {}{:.1} %",
        whole(median),
        whole(low),
        whole(high),
        sign(part),
        part.abs()
    )
}
