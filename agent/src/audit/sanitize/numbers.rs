//! Numbers of people: cards, social security, telephones; and IPv4 addresses, which are told from
//! them here.
//!
//! A run of groups of digits is looked through from its start. What is a date or an address is none
//! of the others.

use super::context::Surroundings;
use super::groups::{Group, Run, Separator};
use super::keys::Meaning;
use super::span::Span;
use super::{card, phone};
use crate::config::Kind;

/// No number that is found here has fewer digits: an IPv4 address has four.
pub(super) const FEWEST_DIGITS: usize = 4;

/// What was recognised at the beginning of some groups.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    /// What it is; a date is nothing to take out.
    pub(super) kind: Option<Kind>,
    /// How many groups it has.
    pub(super) count: usize,
}

/// Finds numbers. `meaning` is what the name of the value says.
pub(super) fn find(text: &str, meaning: Meaning, spans: &mut Vec<Span>) {
    let mut run = Run::default();
    let mut at = 0;
    while run.read(text.as_bytes(), at) {
        at = run.end;
        if run.digits() >= FEWEST_DIGITS {
            look_through(text, &run, &Surroundings::new(text, &run, meaning), spans);
        }
    }
}

fn look_through(text: &str, run: &Run, around: &Surroundings<'_>, spans: &mut Vec<Span>) {
    let (mut at, mut claimed) = (0, 0);
    while let Some(first) = run.groups.get(at) {
        // A number begins where another ended or a blank separates it.
        let found = if at == claimed || run.is_cut(at) || first.bracketed {
            recognise(text, run, at, at == claimed, around)
        } else {
            None
        };
        let Some(Found { kind, count }) = found else {
            at += 1;
            continue;
        };
        let last = run.groups.get(at + count - 1).unwrap_or(first);
        if let Some(kind) = kind {
            spans.push(span(text, run, (at, first), (at + count, last), kind));
        }
        at += count;
        claimed = at;
    }
}

/// What begins at the group `at`.
fn recognise(
    text: &str,
    run: &Run,
    at: usize,
    is_free: bool,
    around: &Surroundings<'_>,
) -> Option<Found> {
    let groups = run.groups.get(at..)?;
    if let Some(count) = date(text, groups) {
        return Some(Found { kind: None, count });
    }
    if is_ip(text, groups) {
        return Some(Found { kind: Some(Kind::Ip), count: 4 });
    }
    if let Some(count) = ssn(text, run, at, around) {
        return Some(Found { kind: Some(Kind::Ssn), count });
    }
    if let Some(count) = card::find(text, run, at, around) {
        return Some(Found { kind: Some(Kind::Card), count });
    }
    let count = phone::find(text, run, at, is_free, around)?;
    Some(Found { kind: Some(Kind::Phone), count })
}

/// The place of a number: a telephone number has its sign, brackets and extension with it.
fn span(
    text: &str,
    run: &Run,
    (at, first): (usize, &Group),
    (next, last): (usize, &Group),
    kind: Kind,
) -> Span {
    if kind != Kind::Phone {
        return Span { start: first.start, end: last.end, kind };
    }
    let start = if at == 0 { run.start } else { first.start - usize::from(first.bracketed) };
    let end = last.end + usize::from(last.bracketed);
    let extension = || super::groups::extension(text.as_bytes(), end);
    let end = if next == run.groups.len() { extension().unwrap_or(end) } else { end };
    Span { start, end, kind }
}

/// How many groups a date has: three, in the order year, month, day or with the year at the end.
fn date(text: &str, groups: &[Group]) -> Option<usize> {
    let [a, b, c, ..] = groups else { return None };
    let is_year = |g: &Group| g.len() == 4 && (1900..2100).contains(&g.value(text));
    let is_part = |g: &Group| g.len() <= 2 && (1..=31).contains(&g.value(text));
    let is_date =
        (is_year(a) && is_part(b) && is_part(c)) || (is_part(a) && is_part(b) && is_year(c));
    (is_date && b.separator == c.separator && b.separator != Separator::None).then_some(3)
}

/// Whether four groups are an IPv4 address, and not part of a longer version or object identifier.
fn is_ip(text: &str, groups: &[Group]) -> bool {
    let [a, b, c, d, rest @ ..] = groups else { return false };
    [a, b, c, d].iter().all(|g| g.len() <= 3 && g.value(text) <= 255)
        && [b, c, d].iter().all(|g| g.separator == Separator::Dot)
        && rest.first().is_none_or(|next| next.separator != Separator::Dot)
}

/// How many groups a social security number has: three with separators, or one where the text says
/// what it is. Numbers that are never issued are none; those of taxpayers (9xx) are.
fn ssn(text: &str, run: &Run, at: usize, around: &Surroundings<'_>) -> Option<usize> {
    let groups = run.groups.get(at..)?;
    if run.plus {
        return None;
    }
    match groups {
        [a, b, c, ..] if (a.len(), b.len(), c.len()) == (3, 2, 4) => {
            let is_issued = [a, b, c].iter().all(|g| g.value(text) > 0);
            let is_grouped = b.separator == c.separator
                && matches!(b.separator, Separator::Hyphen | Separator::Blank);
            (is_issued && is_grouped && run.is_cut(at + 3)).then_some(3)
        }
        [a, ..] if a.len() == 9 && around.context().ssn && run.is_cut(at + 1) => Some(1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(Kind, &str)> {
        let mut spans = Vec::new();
        find(text, Meaning::Plain, &mut spans);
        spans.iter().map(|s| (s.kind, &text[s.start..s.end])).collect()
    }

    #[test]
    fn kinds_are_told_apart() {
        for (text, expected) in [
            ("at 10.0.0.1:8080", vec![(Kind::Ip, "10.0.0.1")]),
            ("10.0.0.1-10.0.0.9", vec![(Kind::Ip, "10.0.0.1"), (Kind::Ip, "10.0.0.9")]),
            ("192.168.0.0/16", vec![(Kind::Ip, "192.168.0.0")]),
            ("SSN 054-28-6917.", vec![(Kind::Ssn, "054-28-6917")]),
            ("054 28 6917", vec![(Kind::Ssn, "054 28 6917")]),
            ("my ssn is 054286917", vec![(Kind::Ssn, "054286917")]),
            ("4111-1111-1111-1111", vec![(Kind::Card, "4111-1111-1111-1111")]),
            ("(898)666-3621x0135", vec![(Kind::Phone, "(898)666-3621x0135")]),
            ("2024-01-15 4111 1111 1111 1111", vec![(Kind::Card, "4111 1111 1111 1111")]),
        ] {
            assert_eq!(found(text), expected, "{text}");
        }
    }

    #[test]
    fn dates_versions_and_identifiers_are_left() {
        for text in [
            "1978-04-13 12:20:39",
            "12/1/1981",
            "15.01.2024",
            "2024-01-15T10:30:00Z",
            "data/2024/01/15/20",
            "1.2.3.4.5",
            "v1.2.3.4",
            "1.3.6.1.4.1.311",
            "256.1.1.1",
            "550e8400-e29b-41d4-a716-446655440000",
            "12345678-1234-1234-1234-123456789012",
            "000-12-3456",
            "054-28-6917-1",
            "054286917",
            "1700000000",
            "1700000000000",
            "3.141592653589793",
            "-122.4194155",
            "1024x768",
            "lines 100-200",
            "id 123456789",
            "100 200 300 400 500",
            "2019-2023",
            "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18",
        ] {
            assert_eq!(found(text), [], "{text}");
        }
    }
}
