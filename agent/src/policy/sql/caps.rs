//! A word in capitals, to compare with keywords without asking for memory: the rules look at every word several times.

use std::fmt;

use sqlparser::tokenizer::{Token, Word};

/// More than any keyword of a rule has.
const MOST: usize = 24;

/// The unquoted word that a token is, in capitals, or nothing. Of a longer word than any keyword, its beginning.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Caps {
    bytes: [u8; MOST],
    length: usize,
}

impl Caps {
    pub(super) const NONE: Self = Self { bytes: [0; MOST], length: 0 };

    pub(super) fn of(token: &Token) -> Self {
        let Token::Word(Word { value, quote_style: None, .. }) = token else { return Self::NONE };
        let mut length = MOST.min(value.len());
        while !value.is_char_boundary(length) {
            length -= 1;
        }
        let mut caps = Self { bytes: [0; MOST], length };
        caps.bytes[..length].copy_from_slice(&value.as_bytes()[..length]);
        caps.bytes[..length].make_ascii_uppercase();
        caps
    }

    pub(super) fn as_str(&self) -> &str {
        // What was cut was cut between characters.
        self.bytes.get(..self.length).and_then(|word| std::str::from_utf8(word).ok()).unwrap_or("")
    }
}

impl PartialEq<&str> for Caps {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl fmt::Debug for Caps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_compared_in_capitals_and_quoted_ones_never() {
        let caps = |text: &str, quote| Caps::of(&Token::make_word(text, quote));
        assert_eq!(caps("Select", None), "SELECT");
        assert_eq!(caps("select", Some('"')), "");
        assert_eq!(Caps::of(&Token::Comma), Caps::NONE);
        assert_eq!(caps("größe", None), "GRößE");
    }

    #[test]
    fn a_long_word_is_no_keyword_and_not_nothing() {
        let long = "é".repeat(40);
        let caps = Caps::of(&Token::make_word(&long, None));
        assert!(long.starts_with(caps.as_str()) && !caps.as_str().is_empty());
        let ascii = Caps::of(&Token::make_word(&"a".repeat(25), None));
        assert_eq!(ascii.as_str(), "A".repeat(24));
    }
}
