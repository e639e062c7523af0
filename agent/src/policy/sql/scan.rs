//! Where literals, quoted names and comments begin and end, found without the parser.
//!
//! Text that one lexer takes for a string and another for code is the oldest way past a filter. So
//! a second, much simpler lexer marks the same places by the database's own rules, and a text on
//! which the two differ is denied.

use super::Dialect;

/// What a piece of text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A string of any form, with its prefix.
    Text,
    /// A name in quotes.
    Name,
    /// A comment.
    Comment,
}

/// A place in the text: line and column, each from 1, in characters.
pub(super) type Place = (u64, u64);

/// A piece of text that is not code, from its first character to behind its last.
pub(super) type Piece = (Kind, Place, Place);

/// The pieces of a text in their order. Fails on one that does not end, and on what the
/// dialects of one database read differently.
pub(super) fn pieces(dialect: Dialect, sql: &str) -> Result<Vec<Piece>, String> {
    let mut scanner = Scanner { dialect, rest: sql, place: (1, 1) };
    let mut pieces = Vec::new();
    while let Some(c) = scanner.peek() {
        let start = scanner.place;
        if let Some(kind) = scanner.piece(c)? {
            pieces.push((kind, start, scanner.place));
        }
    }
    Ok(pieces)
}

struct Scanner<'a> {
    dialect: Dialect,
    rest: &'a str,
    place: Place,
}

impl Scanner<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let c = chars.next()?;
        self.rest = chars.as_str();
        self.place =
            if c == '\n' { (self.place.0 + 1, 1) } else { (self.place.0, self.place.1 + 1) };
        Some(c)
    }

    fn skip(&mut self, count: usize) {
        for _ in 0..count {
            self.next();
        }
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) {
        while self.peek().is_some_and(&wanted) {
            self.next();
        }
    }

    /// Passes over the next piece or the next bit of code.
    fn piece(&mut self, c: char) -> Result<Option<Kind>, String> {
        let mysql = self.dialect == Dialect::Mysql;
        match c {
            '\'' => self.quoted('\'', mysql, Kind::Text),
            '"' if mysql => self.quoted('"', true, Kind::Text),
            '"' => self.quoted('"', false, Kind::Name),
            '`' if self.dialect != Dialect::Postgres => self.quoted('`', false, Kind::Name),
            '[' if self.dialect == Dialect::Sqlite => self.quoted(']', false, Kind::Name),
            '#' if mysql => Ok(Some(self.line_comment())),
            '-' if self.starts_line_comment() => Ok(Some(self.line_comment())),
            '/' if self.rest.starts_with("/*") => self.block_comment(),
            '$' if self.dialect == Dialect::Postgres => self.dollar(),
            c if c.is_ascii_digit() => {
                self.take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '$'));
                Ok(None)
            }
            c if is_word(c) => self.word(c),
            // A letter to the databases, and a space to the parser.
            c if !c.is_ascii() => Err("a space that is no plain space".to_owned()),
            _ => {
                self.next();
                Ok(None)
            }
        }
    }

    /// A piece up to `end`, which stands for itself when doubled.
    fn quoted(&mut self, end: char, escapes: bool, kind: Kind) -> Result<Option<Kind>, String> {
        self.next();
        while let Some(c) = self.next() {
            if c == '\\' && escapes {
                self.next();
            } else if c == end {
                if end == ']' || self.peek() != Some(end) {
                    return Ok(Some(kind));
                }
                self.next();
            }
        }
        Err("a quoted text does not end".to_owned())
    }

    fn starts_line_comment(&self) -> bool {
        let Some(after) = self.rest.strip_prefix("--") else { return false };
        self.dialect != Dialect::Mysql
            || after.chars().next().is_some_and(|c| c.is_ascii_whitespace() || c.is_control())
    }

    fn line_comment(&mut self) -> Kind {
        let postgres = self.dialect == Dialect::Postgres;
        self.take_while(|c| c != '\n' && !(postgres && c == '\r'));
        Kind::Comment
    }

    fn block_comment(&mut self) -> Result<Option<Kind>, String> {
        self.skip(2);
        let mut depth = 1_usize;
        while depth > 0 {
            if self.rest.starts_with("*/") {
                self.skip(2);
                depth -= 1;
            } else if self.rest.starts_with("/*") && self.dialect == Dialect::Postgres {
                self.skip(2);
                depth += 1;
            } else if self.next().is_none() {
                return Err("a comment does not end".to_owned());
            }
        }
        Ok(Some(Kind::Comment))
    }

    /// `$tag$ … $tag$`, or a parameter.
    fn dollar(&mut self) -> Result<Option<Kind>, String> {
        let after = self.rest.get(1..).unwrap_or_default();
        let tag = after.split(|c: char| !is_word(c)).next().unwrap_or_default();
        let delimiter = self.rest.get(..tag.len() + 2).unwrap_or_default();
        if !delimiter.ends_with('$') || tag.starts_with(|c: char| c.is_ascii_digit()) {
            self.next();
            self.take_while(|c| c.is_ascii_alphanumeric());
            if self.peek() == Some('$') {
                return Err("a parameter runs into a dollar sign".to_owned());
            }
            return Ok(None);
        }
        let body = self.rest.get(delimiter.len()..).unwrap_or_default();
        let end = body.find(delimiter).ok_or("a quoted text does not end")?;
        let text = self.rest.get(..end + 2 * delimiter.len()).unwrap_or_default();
        self.skip(text.chars().count());
        Ok(Some(Kind::Text))
    }

    /// A word, or a literal with a prefix: `E''`, `N''`, `X''`, `B''`, `U&''`.
    fn word(&mut self, first: char) -> Result<Option<Kind>, String> {
        let postgres = self.dialect == Dialect::Postgres;
        let prefix = first.to_ascii_lowercase();
        if self.rest.get(1..).is_some_and(|rest| rest.starts_with('\'')) {
            let escapes = match (self.dialect, prefix) {
                (Dialect::Postgres, 'e') => Some(true),
                (_, 'n') => Some(self.dialect == Dialect::Mysql),
                (_, 'x') | (Dialect::Postgres | Dialect::Mysql | Dialect::Generic, 'b') => {
                    Some(false)
                }
                _ => None,
            };
            if let Some(escapes) = escapes {
                self.next();
                return self.quoted('\'', escapes, Kind::Text);
            }
        }
        if postgres && prefix == 'u' {
            let after = self.rest.get(1..).unwrap_or_default();
            if after.starts_with("&'") {
                self.skip(2);
                return self.quoted('\'', false, Kind::Text);
            }
            if after.starts_with("&\"") {
                return Err("write names as they are, not by the numbers of characters".to_owned());
            }
        }
        self.take_while(|c| is_word(c) || c.is_ascii_digit() || c == '$');
        Ok(None)
    }
}

/// What may begin or go on in a word. Beyond ASCII the databases ask for no letters.
fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || (!c.is_ascii() && !c.is_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(dialect: Dialect, sql: &str) -> Vec<(Kind, u64, u64)> {
        pieces(dialect, sql)
            .unwrap()
            .into_iter()
            .map(|(kind, from, to)| (kind, from.1, to.1))
            .collect()
    }

    #[test]
    fn a_backslash_escapes_where_the_database_says_so() {
        let text = r"'\' a '";
        assert_eq!(kinds(Dialect::Mysql, text), [(Kind::Text, 1, 8)]);
        assert!(pieces(Dialect::Postgres, text).is_err());
        assert_eq!(kinds(Dialect::Postgres, r"E'\' a '"), [(Kind::Text, 1, 9)]);
    }

    #[test]
    fn comments_end_where_the_database_ends_them() {
        let nested = "/* /* */ */";
        assert_eq!(kinds(Dialect::Postgres, nested), [(Kind::Comment, 1, 12)]);
        assert_eq!(kinds(Dialect::Sqlite, nested), [(Kind::Comment, 1, 9)]);
        assert_eq!(kinds(Dialect::Mysql, "1--1"), []);
        assert_eq!(kinds(Dialect::Postgres, "1--1"), [(Kind::Comment, 2, 5)]);
    }

    #[test]
    fn dollars_quote_in_postgres_only() {
        assert_eq!(kinds(Dialect::Postgres, "$a$ ' $a$ a$$b"), [(Kind::Text, 1, 10)]);
        assert!(pieces(Dialect::Sqlite, "$a$ ' $a$").is_err());
        assert!(pieces(Dialect::Postgres, "$1$a$ x $1$").is_err());
    }
}
