//! Sizes and times as people write them: `64MiB`, `90d`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A number of bytes: `4096`, `64KiB`, `4GiB`, or in powers of ten `10MB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

/// A length of time: `500ms`, `60s`, `15m`, `24h`, `90d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

const SIZES: [(&str, u64); 10] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("B", 1),
    ("", 1),
];

/// In milliseconds. `ms` stands before `m` and `s`, whose letters it has.
const SPANS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// A whole number and its unit, multiplied.
fn product(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = text.get(digits.len()..)?.trim_start();
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse::<u64>().ok()?.checked_mul(*factor)
}

impl Size {
    fn read(text: &str) -> Option<Self> {
        product(text, &SIZES).map(Self)
    }
}

impl Span {
    /// So many seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    fn read(text: &str) -> Option<Self> {
        product(text, &SPANS).map(|millis| Self(Duration::from_millis(millis)))
    }
}

impl FromStr for Span {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::read(text).ok_or("write a whole number with ms, s, m, h or d")
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = SIZES[..4]
            .iter()
            .rev()
            .find(|(_, factor)| self.0 > 0 && self.0.is_multiple_of(*factor));
        match unit {
            Some((name, factor)) => write!(f, "{}{name}", self.0 / factor),
            None => write!(f, "{}B", self.0),
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        let unit =
            SPANS.iter().rev().find(|(_, factor)| millis.is_multiple_of(u128::from(*factor)));
        let (name, factor) = unit.unwrap_or(&SPANS[0]);
        write!(f, "{}{name}", millis / u128::from(*factor))
    }
}

struct SizeVisitor;

impl Visitor<'_> for SizeVisitor {
    type Value = Size;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a size in bytes, or such as 64MiB")
    }

    fn visit_u64<E: Error>(self, bytes: u64) -> Result<Size, E> {
        Ok(Size(bytes))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Size, E> {
        Size::read(text).ok_or_else(|| {
            E::custom(format!("`{text}` is no size; write bytes, or a number with KiB, MiB or GiB"))
        })
    }
}

struct SpanVisitor;

impl Visitor<'_> for SpanVisitor {
    type Value = Span;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time such as 60s, 24h or 90d")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Span, E> {
        Span::read(text).ok_or_else(|| {
            E::custom(format!("`{text}` is no time; write a whole number with ms, s, m, h or d"))
        })
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(SizeVisitor)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(SpanVisitor)
    }
}

// For defaults in the schema.
impl Serialize for Size {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl JsonSchema for Size {
    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Bytes, or a number with a unit: 64KiB, 64MiB, 4GiB, 10MB.",
            "type": ["integer", "string"],
            "minimum": 0,
            "pattern": "^[0-9]+ ?(|B|kB|KB|MB|GB|KiB|MiB|GiB|TiB)$"
        })
    }
}

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A length of time: 500ms, 60s, 15m, 24h, 90d.",
            "type": "string",
            "pattern": "^[0-9]+ ?(ms|s|m|h|d)$"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_are_read_and_shown() {
        for (text, bytes) in
            [("0", 0), ("4096", 4096), ("64MiB", 64 << 20), ("4 GiB", 4 << 30), ("10kB", 10_000)]
        {
            assert_eq!(Size::read(text), Some(Size(bytes)), "{text}");
        }
        for (text, seconds) in [("60s", 60), ("15m", 900), ("24h", 86_400), ("90d", 7_776_000)] {
            assert_eq!(Span::read(text), Some(Span::seconds(seconds)), "{text}");
        }
        assert_eq!(Span::read("500ms"), Some(Span(Duration::from_millis(500))));
        assert_eq!(Size(64 << 20).to_string(), "64MiB");
        assert_eq!(Size(1000).to_string(), "1000B");
        assert_eq!(Span::seconds(86_400).to_string(), "1d");
        assert_eq!(Span::seconds(90).to_string(), "90s");
    }

    #[test]
    fn what_is_neither_is_refused() {
        for text in [
            "",
            "MiB",
            "-1",
            "1.5GiB",
            "64mib",
            "+4",
            "99999999999999999999",
            "1 000",
            "9999999TiB9",
        ] {
            assert_eq!(Size::read(text), None, "{text}");
        }
        for text in ["", "60", "s", "-1s", "1.5h", "1w", "300000000000000d", "1h30m"] {
            assert_eq!(Span::read(text), None, "{text}");
        }
    }
}
