//! Sentences of which some words are the log's.

use std::fmt;

use super::foreign::Foreign;

/// How urgent something is, the most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Urgency {
    /// Somebody must act.
    Act,
    /// Somebody should look.
    Look,
    /// It is good to know.
    Know,
}

impl Urgency {
    /// Its class in the page.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Act => "act",
            Self::Look => "look",
            Self::Know => "know",
        }
    }
}

/// A piece of a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// Our own words.
    Words(String),
    /// What the log says.
    Said(Foreign),
}

/// Something that needs attention.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Point {
    pub(super) urgency: Urgency,
    pub(super) pieces: Vec<Piece>,
    /// Section of the page that tells more: its id and its name.
    pub(super) section: Section,
}

/// A section of the page: its id and its name.
pub(super) type Section = (&'static str, &'static str);

impl Point {
    /// Begins a sentence.
    pub(super) fn new(urgency: Urgency, section: Section, words: impl Into<String>) -> Self {
        Self { urgency, pieces: vec![Piece::Words(words.into())], section }
    }

    /// Goes on with our own words.
    #[must_use]
    pub(super) fn words(mut self, words: impl Into<String>) -> Self {
        self.pieces.push(Piece::Words(words.into()));
        self
    }

    /// Goes on with what the log says.
    #[must_use]
    pub(super) fn said(mut self, said: &Foreign) -> Self {
        self.pieces.push(Piece::Said(said.name()));
        self
    }

    /// As text.
    pub(super) fn plain(&self) -> String {
        let piece = |piece: &Piece| match piece {
            Piece::Words(words) => words.clone(),
            Piece::Said(said) => said.plain(),
        };
        self.pieces.iter().map(piece).collect()
    }
}

/// A number as people read it: `12,345`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Number(pub(super) u64);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (index, digit) in digits.chars().enumerate() {
            if index > 0 && (digits.len() - index).is_multiple_of(3) {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

/// So many of something: `1 call`, `2 calls`.
pub(super) fn many(count: u64, thing: &str) -> String {
    format!("{} {thing}{}", Number(count), if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_at_a_glance() {
        for (number, text) in
            [(0, "0"), (999, "999"), (1_000, "1,000"), (u64::MAX, "18,446,744,073,709,551,615")]
        {
            assert_eq!(Number(number).to_string(), text);
        }
        assert_eq!((many(1, "call"), many(1_200, "call")), ("1 call".into(), "1,200 calls".into()));
    }
}
