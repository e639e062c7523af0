//! Times as people read them. All are UTC, as the log's are.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::report::foreign::Foreign;

fn format(at: Timestamp, how: &str) -> String {
    at.to_zoned(TimeZone::UTC).strftime(how).to_string()
}

/// `31 Jan 2026, 12:00:05 UTC`
pub(super) fn moment(at: Timestamp) -> String {
    format(at, "%-d %b %Y, %H:%M:%S UTC")
}

/// `31 Jan 2026, 12:00 – 13:00 UTC`: the day once, if it is one.
pub(super) fn span(from: Timestamp, to: Timestamp) -> String {
    let day = |at| format(at, "%F");
    let (from, to) = if day(from) == day(to) {
        (format(from, "%-d %b %Y, %H:%M:%S"), format(to, "%H:%M:%S UTC"))
    } else {
        (format(from, "%-d %b %Y, %H:%M"), format(to, "%-d %b %Y, %H:%M UTC"))
    };
    format!("{from} – {to}")
}

/// `31 Jan 12:00:05.123`, or what the log has where that is no time.
pub(super) fn when(timestamp: &Foreign) -> String {
    match timestamp.as_str().parse() {
        Ok(at) => format(at, "%-d %b %H:%M:%S%.3f"),
        Err(_) => timestamp.plain(),
    }
}

/// A moment on an axis whose marks are so many milliseconds apart: `12:00`, or `31 Jan` where days count.
pub(super) fn tick(millis: i64, step: i64) -> String {
    const DAY: i64 = 86_400_000;
    let Ok(at) = Timestamp::from_millisecond(millis) else { return String::new() };
    match step {
        DAY.. => format(at, "%-d %b"),
        60_000.. if millis.rem_euclid(DAY) == 0 => format(at, "%-d %b"),
        60_000.. => format(at, "%H:%M"),
        1_000.. => format(at, "%H:%M:%S"),
        _ => format(at, "%H:%M:%S%.1f"),
    }
}

/// A step's time: `31 Jan, 12:00:00 + 15 min`.
pub(super) fn step(millis: i64, length: i64) -> String {
    let Ok(at) = Timestamp::from_millisecond(millis) else { return String::new() };
    let how = if length < 1_000 { "%-d %b, %H:%M:%S%.1f" } else { "%-d %b, %H:%M:%S" };
    format!("{} + {}", format(at, how), length_of(length))
}

/// `15 min`
pub(super) fn length_of(millis: i64) -> String {
    const UNITS: [(&str, i64); 5] =
        [("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1_000), ("ms", 1)];
    let unit = UNITS.into_iter().find(|(_, unit)| millis % unit == 0 && millis >= *unit);
    let (name, unit) = unit.unwrap_or(("ms", 1));
    format!("{} {name}", millis / unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_at_a_glance() {
        let at = |text: &str| text.parse::<Timestamp>().expect("a time");
        let noon = at("2026-01-31T12:00:05.123Z");
        assert_eq!(moment(noon), "31 Jan 2026, 12:00:05 UTC");
        assert_eq!(span(noon, at("2026-01-31T13:00:00Z")), "31 Jan 2026, 12:00:05 – 13:00:00 UTC");
        assert_eq!(
            span(noon, at("2026-02-01T13:00:00Z")),
            "31 Jan 2026, 12:00 – 1 Feb 2026, 13:00 UTC"
        );
        assert_eq!(when(&"2026-01-31T12:00:05.123Z".into()), "31 Jan 12:00:05.123");
        assert_eq!(when(&"<b>\u{202e}".into()), "<b>\\u{202e}");
        assert_eq!((length_of(900_000), length_of(100)), ("15 min".into(), "100 ms".into()));
        let midnight = 1_769_904_000_000;
        assert_eq!(
            (tick(midnight, 3_600_000), tick(midnight, 1_000)),
            ("1 Feb".into(), "00:00:00".into())
        );
    }
}
