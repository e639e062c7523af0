//! Numbers and times as people read them.

/// A time in two units at most: `3d 4h`, `12m 5s`, `0s`.
pub(super) fn span(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    let units = [("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)];
    let first = units.iter().position(|(_, unit)| seconds >= *unit).unwrap_or(units.len() - 1);
    let mut rest = seconds;
    let mut parts = Vec::new();
    for (name, unit) in units.iter().skip(first).take(2) {
        if rest >= *unit || parts.is_empty() {
            parts.push(format!("{}{name}", rest / unit));
        }
        rest %= unit;
    }
    parts.join(" ")
}

/// How long a call took, or takes: `<1ms`, `12ms`, `1.2s`, `3m 5s`.
pub(super) fn duration(milliseconds: u64) -> String {
    match milliseconds {
        0 => "<1ms".to_owned(),
        1..1000 => format!("{milliseconds}ms"),
        1000..60_000 => format!("{}.{}s", milliseconds / 1000, milliseconds % 1000 / 100),
        _ => span(milliseconds),
    }
}

/// A number with its noun: `no session`, `1 session`, `7 sessions`.
pub(super) fn count(number: u64, noun: &str) -> String {
    match number {
        0 => format!("no {noun}"),
        1 => format!("1 {noun}"),
        _ => format!("{number} {noun}s"),
    }
}

/// A number that fits into six places: `12345`, `123k`, `12M`.
pub(super) fn brief(number: u64) -> String {
    match number {
        0..100_000 => number.to_string(),
        100_000..10_000_000 => format!("{}k", number / 1000),
        10_000_000..10_000_000_000 => format!("{}M", number / 1_000_000),
        _ => format!("{}G", number / 1_000_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short() {
        for (milliseconds, expected) in [
            (0, "0s"),
            (999, "0s"),
            (61_000, "1m 1s"),
            (3_600_000, "1h"),
            (3_605_000, "1h"),
            (90_061_000, "1d 1h"),
            (8_640_000_000, "100d"),
        ] {
            assert_eq!(span(milliseconds), expected);
        }
        for (milliseconds, expected) in
            [(0, "<1ms"), (7, "7ms"), (999, "999ms"), (1290, "1.2s"), (61_000, "1m 1s")]
        {
            assert_eq!(duration(milliseconds), expected);
        }
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!([0, 1, 7].map(|n| count(n, "call")), ["no call", "1 call", "7 calls"]);
        let shown = [0, 99_999, 100_000, 12_345_678, u64::MAX].map(brief);
        assert_eq!(shown, ["0", "99999", "100k", "12M", "18446744073G"]);
    }
}
