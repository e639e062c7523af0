//! Looks through a text for everything that is to be taken out.
//!
//! One pass over the bytes tells which recognisers can find anything at all; ordinary text needs
//! none of them. Every recogniser does work in proportion to the text's length, whatever the text.

use super::keys::{Meaning, Names};
use super::literals::Literals;
use super::span::{self, Span};
use super::treatments::Treatments;
use super::{credential, email, entropy, iban, ip, numbers, pem, token, url};
use crate::config::Kind;

/// No recogniser finds anything in a text of fewer bytes, but for a value that its name explains.
const SHORTEST: usize = 6;

/// What all texts are looked through with.
pub(super) struct Scanner {
    literals: Literals,
}

impl Scanner {
    pub(super) fn new() -> Result<Self, aho_corasick::BuildError> {
        Ok(Self { literals: Literals::new()? })
    }

    /// What is to be taken out of `text`, sorted and without overlaps. `meaning` is what the name
    /// of the value says.
    pub(super) fn spans(
        &self,
        text: &str,
        meaning: Meaning,
        names: &Names,
        treatments: &Treatments,
    ) -> Vec<Span> {
        let mut spans = Vec::new();
        if text.len() < SHORTEST {
            return spans;
        }
        let seen = Features::of(text.as_bytes());
        if seen.has(DASHES) {
            pem::find(text, &mut spans);
        }
        if seen.has(AT) {
            email::find(text, &mut spans);
        }
        if seen.has(COLON) {
            url::find(text, &mut spans);
        }
        if seen.has(COLON | EQUALS | DASHES) {
            credential::find_named(text, names, &mut spans);
        }
        if seen.longest_run >= credential::SHORTEST {
            self.literals.schemes(text, |scheme, at| {
                credential::find_scheme(text, at, scheme, &mut spans);
            });
        }
        if seen.longest_run >= token::SHORTEST {
            self.literals.tokens(text, |shape, at| token::find(text, at, shape, &mut spans));
        }
        if seen.longest_run >= entropy::SHORTEST && seen.digits > 0 {
            entropy::find(text, &mut spans);
        }
        if seen.digits >= numbers::FEWEST_DIGITS {
            numbers::find(text, meaning, &mut spans);
        }
        if seen.digits >= iban::FEWEST_DIGITS {
            iban::find(text, &mut spans);
        }
        if seen.has(COLON) && !treatments.keeps(Kind::Ip) {
            ip::find_v6(text, &mut spans);
        }
        spans.retain(|span| !treatments.keeps(span.kind));
        span::join(&mut spans);
        spans
    }
}

/// What one pass over a text's bytes shows.
#[derive(Debug, Default)]
struct Features {
    /// How many digits there are.
    digits: usize,
    /// The length of the longest run of bytes that tokens are made of.
    longest_run: usize,
    /// The classes of all bytes together.
    marks: u8,
}

impl Features {
    fn of(bytes: &[u8]) -> Self {
        let mut seen = Self::default();
        let (mut run, mut before) = (0_usize, 0_u8);
        for byte in bytes {
            let class = CLASS.get(usize::from(*byte)).copied().unwrap_or(0);
            // Two hyphens in a row are a class of their own, one bit above.
            seen.marks |= class | ((class & before & DASH) << 1);
            seen.digits += usize::from((class & DIGIT) / DIGIT);
            run = (run + 1) * usize::from(class & RUN);
            seen.longest_run = seen.longest_run.max(run);
            before = class;
        }
        seen
    }

    /// Whether there is a byte of any of these classes.
    fn has(&self, classes: u8) -> bool {
        self.marks & classes != 0
    }
}

const RUN: u8 = 1;
const DIGIT: u8 = 2;
const AT: u8 = 4;
const COLON: u8 = 8;
const EQUALS: u8 = 16;
const DASH: u8 = 32;
const DASHES: u8 = 64;

/// The classes of every byte.
static CLASS: [u8; 256] = classes();

#[allow(clippy::indexing_slicing, clippy::cast_possible_truncation)] // Evaluated when compiled.
const fn classes() -> [u8; 256] {
    let mut classes = [0; 256];
    let mut at = 0;
    while at < 256 {
        let byte = at as u8;
        classes[at] = match byte {
            b'0'..=b'9' => RUN | DIGIT,
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'+' | b'/' | b'.' | b'~' => RUN,
            b'-' => RUN | DASH,
            b'=' => RUN | EQUALS,
            b'@' | b'%' => AT,
            b':' => COLON,
            _ => 0,
        };
        at += 1;
    }
    classes
}
