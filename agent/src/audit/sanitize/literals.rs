//! Fixed texts that secrets begin with, searched for all at once.

use std::sync::OnceLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind, BuildError};

use super::credential::Scheme;
use super::token::{SHAPES, Shape};

/// The searchers.
#[derive(Clone)]
pub(super) struct Literals {
    schemes: AhoCorasick,
    tokens: AhoCorasick,
}

/// The schemes, by their names in lower case.
const SCHEMES: [(&str, Scheme); 2] = [("bearer", Scheme::Bearer), ("basic", Scheme::Basic)];

impl Literals {
    /// They are made once for all.
    pub(super) fn new() -> Result<Self, BuildError> {
        static BUILT: OnceLock<Literals> = OnceLock::new();
        if let Some(literals) = BUILT.get() {
            return Ok(literals.clone());
        }
        let literals = Self::build()?;
        Ok(BUILT.get_or_init(|| literals).clone())
    }

    fn build() -> Result<Self, BuildError> {
        // Schemes have no case (RFC 9110, section 11.1).
        let schemes = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .build(SCHEMES.iter().map(|(name, _)| *name))?;
        let tokens = AhoCorasick::builder()
            .kind(Some(AhoCorasickKind::DFA))
            .build(SHAPES.iter().map(|shape| shape.prefix))?;
        Ok(Self { schemes, tokens })
    }

    /// Reports every place of the name of a scheme.
    pub(super) fn schemes(&self, text: &str, mut report: impl FnMut(Scheme, usize)) {
        for found in self.schemes.find_iter(text) {
            if let Some((_, scheme)) = SCHEMES.get(found.pattern().as_usize()) {
                report(*scheme, found.start());
            }
        }
    }

    /// Reports every place of a token's prefix, overlapping or not.
    pub(super) fn tokens(&self, text: &str, mut report: impl FnMut(&'static Shape, usize)) {
        for found in self.tokens.find_overlapping_iter(text) {
            if let Some(shape) = SHAPES.get(found.pattern().as_usize()) {
                report(shape, found.start());
            }
        }
    }
}
