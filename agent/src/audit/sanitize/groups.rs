//! Runs of digits as people write numbers: groups with single separators and brackets in between.

use super::span::{byte, byte_before, is_word, run};

/// What is between a group and the one before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Separator {
    /// Nothing, or a bracket alone.
    #[default]
    None,
    /// A blank, breaking or not. It may also separate two numbers; the others do not.
    Blank,
    /// A hyphen, breaking or not.
    Hyphen,
    /// A full stop.
    Dot,
    /// A slash.
    Slash,
}

/// Digits in one piece.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Group {
    /// Where its digits are.
    pub(super) start: usize,
    pub(super) end: usize,
    /// What is before it.
    pub(super) separator: Separator,
    /// Whether it is in brackets.
    pub(super) bracketed: bool,
}

impl Group {
    pub(super) fn len(&self) -> usize {
        self.end - self.start
    }

    /// Its digits.
    pub(super) fn digits<'a>(&self, text: &'a str) -> &'a str {
        text.get(self.start..self.end).unwrap_or_default()
    }

    /// Its value; large ones are all the same.
    pub(super) fn value(&self, text: &str) -> u32 {
        self.digits(text).parse().unwrap_or(u32::MAX)
    }
}

/// Groups that belong together, or may.
#[derive(Debug, Default)]
pub(super) struct Run {
    /// The groups that are left after those were dropped that are part of a word.
    pub(super) groups: Vec<Group>,
    /// Whether a plus sign is before the first group.
    pub(super) plus: bool,
    /// Where the run begins, with the plus sign and a bracket.
    pub(super) start: usize,
    /// Where it ends. The next run is searched for from here on.
    pub(super) end: usize,
}

impl Run {
    /// How many digits there are.
    pub(super) fn digits(&self) -> usize {
        self.groups.iter().map(Group::len).sum()
    }

    /// Whether a number can end before the group at `index`.
    pub(super) fn is_cut(&self, index: usize) -> bool {
        self.groups.get(index).is_none_or(|group| index == 0 || group.separator == Separator::Blank)
    }

    /// Reads the next run at or after `at`; false when there is none.
    pub(super) fn read(&mut self, bytes: &[u8], at: usize) -> bool {
        self.groups.clear();
        let first = at + run(bytes, at, |b| !b.is_ascii_digit());
        if first >= bytes.len() {
            return false;
        }
        self.start = first;
        let bracketed = first > at && byte_before(bytes, first) == b'(';
        self.start -= usize::from(bracketed);
        self.plus = self.start > at && byte_before(bytes, self.start) == b'+';
        self.start -= usize::from(self.plus);

        let (mut start, mut separator, mut opened) = (first, Separator::None, bracketed);
        loop {
            let end = start + run(bytes, start, |b| b.is_ascii_digit());
            let bracketed = opened && byte(bytes, end) == b')';
            self.groups.push(Group { start, end, separator, bracketed });
            self.end = end + usize::from(bracketed);
            let (width, next) = separator_at(bytes, self.end);
            opened = byte(bytes, self.end + width) == b'(';
            start = self.end + width + usize::from(opened);
            let is_joined = width > 0 || bracketed || opened;
            if !is_joined || !byte(bytes, start).is_ascii_digit() {
                break;
            }
            separator = next;
        }
        self.drop_parts_of_words(bytes);
        true
    }

    /// Drops the groups at either end that are part of a word, a time or an identifier.
    fn drop_parts_of_words(&mut self, bytes: &[u8]) {
        let before = byte_before(bytes, self.start);
        if is_word(before) || (before == b'-' && is_code_before(bytes, self.start)) {
            let rest = self.groups.iter().skip(1).position(|g| g.separator == Separator::Blank);
            self.drop_front(rest.map_or(self.groups.len(), |index| index + 1));
        } else if before == b':'
            && byte_before(bytes, self.start - 1).is_ascii_digit()
            && self.groups.first().is_some_and(|group| group.len() <= 2)
            && self.groups.get(1).is_none_or(|group| group.separator != Separator::Dot)
        {
            self.drop_front(1);
        }
        let after = byte(bytes, self.end);
        if (is_word(after) && extension(bytes, self.end).is_none())
            || (after == b'-' && is_code_after(bytes, self.end + 1))
        {
            let kept = self.groups.iter().rposition(|g| g.separator == Separator::Blank);
            self.groups.truncate(kept.unwrap_or(0));
        } else if after == b':'
            && byte(bytes, self.end + 1).is_ascii_digit()
            && self.groups.last().is_some_and(|g| g.len() <= 2 && g.separator != Separator::Dot)
        {
            self.groups.pop();
        }
    }

    fn drop_front(&mut self, count: usize) {
        self.groups.drain(..count.min(self.groups.len()));
        self.plus &= count == 0;
        if let Some(first) = self.groups.first_mut() {
            first.separator = Separator::None;
            self.start = first.start - usize::from(first.bracketed);
        }
    }
}

/// The width and kind of a separator at `at`; zero when there is none.
fn separator_at(bytes: &[u8], at: usize) -> (usize, Separator) {
    match (byte(bytes, at), byte(bytes, at + 1), byte(bytes, at + 2)) {
        (b' ', ..) => (1, Separator::Blank),
        (b'-', ..) => (1, Separator::Hyphen),
        (b'.', ..) => (1, Separator::Dot),
        (b'/', ..) => (1, Separator::Slash),
        // U+00A0, U+202F and U+2009 are blanks; U+2010 to U+2013 are hyphens and dashes.
        (0xc2, 0xa0, _) => (2, Separator::Blank),
        (0xe2, 0x80, 0xaf | 0x89) => (3, Separator::Blank),
        (0xe2, 0x80, 0x90..=0x93) => (3, Separator::Hyphen),
        _ => (0, Separator::None),
    }
}

/// Where the extension of a telephone number ends that begins at `at`: `x123`, `ext. 123`.
pub(super) fn extension(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = bytes.get(at..)?;
    let rest = rest.get(..24).unwrap_or(rest);
    let blanks = run(rest, 0, |b| matches!(b, b' ' | b','));
    let word = ["extension", "ext.", "ext", "x", "#"].into_iter().find(|word| {
        rest.get(blanks..blanks + word.len())
            .is_some_and(|w| w.eq_ignore_ascii_case(word.as_bytes()))
    })?;
    let digits = blanks + word.len();
    let digits = digits + run(rest, digits, |b| matches!(b, b' ' | b':'));
    let length = run(rest, digits, |b| b.is_ascii_digit());
    let end = digits + length;
    ((1..=6).contains(&length) && blanks <= 2 && !is_word(byte(rest, end))).then_some(at + end)
}

/// Bytes of a neighbouring word that are looked at.
const LONGEST_WORD: usize = 16;

/// Whether the hyphen before `at` follows part of an identifier: a word with digits, or one of
/// hexadecimal digits alone.
fn is_code_before(bytes: &[u8], at: usize) -> bool {
    let head = bytes.get(..at.saturating_sub(1)).unwrap_or_default();
    is_code(head.iter().rev().take(LONGEST_WORD).take_while(|b| is_word(**b)))
}

/// Whether what begins at `at` is part of an identifier.
fn is_code_after(bytes: &[u8], at: usize) -> bool {
    let tail = bytes.get(at..).unwrap_or_default();
    is_code(tail.iter().take(LONGEST_WORD).take_while(|b| is_word(**b)))
}

fn is_code<'a>(word: impl Iterator<Item = &'a u8>) -> bool {
    let (mut is_hex, mut has_digit, mut is_word) = (true, false, false);
    for b in word {
        is_word = true;
        is_hex &= b.is_ascii_hexdigit();
        has_digit |= b.is_ascii_digit();
    }
    is_word && (is_hex || has_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(text: &str) -> Vec<Vec<&str>> {
        let (mut run, mut at, mut runs) = (Run::default(), 0, Vec::new());
        while run.read(text.as_bytes(), at) {
            at = run.end;
            if !run.groups.is_empty() {
                runs.push(run.groups.iter().map(|g| g.digits(text)).collect());
            }
        }
        runs
    }

    #[test]
    fn separators_join_and_words_do_not() {
        assert_eq!(groups("+46 (0)157-548.89"), [vec!["46", "0", "157", "548", "89"]]);
        assert_eq!(groups("(898)666-3621x0135"), [vec!["898", "666", "3621"]]);
        assert_eq!(groups("1, 2\n3  4"), [["1"], ["2"], ["3"], ["4"]]);
        assert_eq!(groups("1\u{a0}2\u{2011}3"), [["1", "2", "3"]]);
        assert_eq!(groups("a1 2 3b"), [["2"]]);
        assert_eq!(groups("2003-08-28 12:13:52"), [["2003", "08", "28"]]);
        assert_eq!(groups("550e8400-e29b-41d4-a716-446655440000"), [[""; 0]; 0]);
        assert_eq!(groups("085 175 7641-Office"), [["085", "175", "7641"]]);
        assert_eq!(groups("card-4111"), [["4111"]]);
    }

    #[test]
    fn extensions_end_a_number() {
        assert_eq!(extension(b"x123 ", 0), Some(4));
        assert_eq!(extension(b" ext. 123", 0), Some(9));
        assert_eq!(extension(b"x123a", 0), None);
        assert_eq!(extension(b"x", 0), None);
        assert_eq!(extension(b"x1234567", 0), None);
    }
}
