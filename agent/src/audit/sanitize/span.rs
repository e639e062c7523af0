//! Places in a text that were recognised.

use crate::config::Kind;

/// A recognised place, in bytes of the text. Both ends are character boundaries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) kind: Kind,
}

/// Joins overlapping spans, so that no byte of any of them is left, under the first kind in the
/// order of precedence. The result is sorted.
pub(super) fn join(spans: &mut Vec<Span>) {
    spans.sort_unstable_by_key(|span| (span.start, span.end));
    let mut joined: Vec<Span> = Vec::with_capacity(spans.len());
    for span in spans.drain(..) {
        match joined.last_mut() {
            Some(last) if span.start < last.end => {
                last.end = last.end.max(span.end);
                last.kind = last.kind.min(span.kind);
            }
            _ => joined.push(span),
        }
    }
    *spans = joined;
}

/// The byte at `at`, or zero beyond the text. No recogniser takes a zero byte for anything.
pub(super) fn byte(bytes: &[u8], at: usize) -> u8 {
    bytes.get(at).copied().unwrap_or(0)
}

/// The byte before `at`, or zero at the start.
pub(super) fn byte_before(bytes: &[u8], at: usize) -> u8 {
    at.checked_sub(1).map_or(0, |at| byte(bytes, at))
}

/// How many bytes from `at` on are of a class.
pub(super) fn run(bytes: &[u8], at: usize, class: impl Fn(u8) -> bool) -> usize {
    bytes.get(at..).unwrap_or_default().iter().take_while(|b| class(**b)).count()
}

/// Whether a byte can be part of an ASCII word.
pub(super) fn is_word(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlaps_are_joined_under_the_first_kind() {
        let span = |start, end, kind| Span { start, end, kind };
        let mut spans = vec![
            span(8, 12, Kind::Phone),
            span(0, 5, Kind::Email),
            span(3, 9, Kind::Credential),
            span(12, 13, Kind::Ip),
        ];
        join(&mut spans);
        assert_eq!(spans, [span(0, 12, Kind::Credential), span(12, 13, Kind::Ip)]);
    }
}
