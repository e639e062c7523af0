//! PostgreSQL's grammar where the parser lacks it.
//!
//! Each rule leaves out or replaces words that name neither a table nor a function nor change what
//! a statement does, so the adapted tokens have the same facts as the original ones.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, Word};

use super::adapt_calls::{Call, after_open, inside};
use super::caps::Caps;

/// The tokens in words that the parser knows. White space and comments are gone already.
pub(super) fn adapt(tokens: Vec<Token>) -> Vec<Token> {
    let out = Vec::with_capacity(tokens.len());
    let mut adapter = Adapter { input: tokens, at: 0, out, frames: Vec::new() };
    while adapter.at < adapter.input.len() {
        adapter.step();
    }
    adapter.out
}

/// The state of the pass. Rules look at most a few tokens ahead, apart from the tail of a common
/// table expression, which is passed over for good.
pub(super) struct Adapter {
    input: Vec<Token>,
    at: usize,
    pub(super) out: Vec<Token>,
    /// The calls whose brackets are open.
    frames: Vec<Call>,
}

impl Adapter {
    /// The keyword at an offset from here, in capitals; nothing for quoted words.
    pub(super) fn word(&self, offset: usize) -> Caps {
        self.input.get(self.at + offset).map_or(Caps::NONE, Caps::of)
    }

    /// Whether these words stand here.
    pub(super) fn words(&self, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(offset, word)| self.word(offset) == *word)
    }

    pub(super) fn token(&self, offset: usize) -> Option<&Token> {
        self.input.get(self.at + offset)
    }

    /// The keyword that was put out last, or before that.
    pub(super) fn last(&self, back: usize) -> Caps {
        self.out.iter().rev().nth(back).map_or(Caps::NONE, Caps::of)
    }

    pub(super) fn skip(&mut self, count: usize) {
        self.at += count;
    }

    pub(super) fn put(&mut self, token: Token) {
        self.out.push(token);
    }

    fn step(&mut self) {
        if self.punctuation() || self.clause() {
            return;
        }
        if let Some(call) = self.frames.last().copied()
            && inside(self, call)
        {
            return;
        }
        if self.is_literal_of_custom_type() {
            self.skip(1);
            return;
        }
        self.copy();
    }

    /// `macaddr '…'`, which the parser takes for a column with an alias.
    fn is_literal_of_custom_type(&self) -> bool {
        let custom = matches!(
            self.token(0),
            Some(Token::Word(Word { quote_style: None, keyword: Keyword::NoKeyword, .. }))
        );
        custom
            && matches!(self.token(1), Some(Token::SingleQuotedString(_)))
            && !matches!(self.out.last(), Some(Token::Period))
            // The parser knows `XMLPARSE(DOCUMENT '…')`.
            && self.frames.last() != Some(&Call::XmlParse)
    }

    fn copy(&mut self) {
        if let Some(token) = self.input.get_mut(self.at) {
            // Nobody looks back at it.
            self.out.push(std::mem::replace(token, Token::EOF));
        }
        self.at += 1;
    }

    /// Brackets, wildcards and literals.
    fn punctuation(&mut self) -> bool {
        let Some(token) = self.token(0) else { return false };
        match (token, self.token(1)) {
            (Token::LParen, _) => {
                let call = Call::of(self);
                if call == Call::Bare {
                    self.out.truncate(self.out.len().saturating_sub(2));
                    self.skip(1);
                } else {
                    self.copy();
                }
                self.frames.push(call);
                after_open(self, call);
            }
            (Token::RParen, _) => match self.frames.pop() {
                Some(Call::Bare) => self.skip(1),
                Some(Call::JsonOfQuery) => {
                    self.put(Token::RParen);
                    self.copy();
                }
                Some(Call::Expression) => {
                    self.copy();
                    self.expression_tail();
                }
                Some(Call::Using) if self.word(1) == "AS" => {
                    self.copy();
                    self.skip(2);
                }
                _ => self.copy(),
            },
            // `t.*` is the whole row, and so is `t`.
            (Token::Period, Some(Token::Mul)) if self.last(2) != "OPERATOR" => self.skip(2),
            // Comparison of rows, byte by byte: `*<`.
            (
                Token::Mul,
                Some(Token::Lt | Token::Gt | Token::Eq | Token::Neq | Token::LtEq | Token::GtEq),
            ) => self.skip(1),
            // `FROM t *`: with the tables that inherit, as always.
            (Token::Mul, None | Some(Token::RParen | Token::Comma | Token::SemiColon))
                if matches!(self.last(1).as_str(), "FROM" | "JOIN") =>
            {
                self.skip(1);
            }
            (Token::Mul, Some(_))
                if matches!(self.last(1).as_str(), "FROM" | "JOIN")
                    && matches!(self.word(1).as_str(), "AS" | "WHERE" | "ORDER" | "GROUP") =>
            {
                self.skip(1);
            }
            // A string goes on after a line break.
            (Token::SingleQuotedString(_), _)
                if matches!(self.out.last(), Some(Token::SingleQuotedString(_))) =>
            {
                self.skip(1);
            }
            _ => return false,
        }
        true
    }

    /// Words that stand anywhere.
    fn clause(&mut self) -> bool {
        let here = self.word(0);
        if here == Caps::NONE {
            return false;
        }
        let last = self.last(0);
        match here.as_str() {
            "TABLE" if self.begins_query() => {
                self.put(word("SELECT"));
                self.put(Token::Mul);
                self.put(word("FROM"));
                self.skip(1);
            }
            // With or without the tables that inherit: the table is the same.
            "ONLY" if !matches!(last.as_str(), "ROW" | "ROWS" | "READ") => self.only(),
            "VARIADIC" if matches!(self.out.last(), Some(Token::LParen | Token::Comma)) => {
                self.skip(1);
            }
            "SYMMETRIC" | "ASYMMETRIC" if last == "BETWEEN" => self.skip(1),
            "LOCAL" if last == "AT" => {
                self.put(word("TIME"));
                self.put(word("ZONE"));
                self.put(Token::SingleQuotedString("local".to_owned()));
                self.skip(1);
            }
            "DOCUMENT" if last == "IS" || (last == "NOT" && self.last(1) == "IS") => {
                self.put(word("NULL"));
                self.skip(1);
            }
            "EXCLUDE" if self.words(&["EXCLUDE", "CURRENT", "ROW"]) => self.skip(3),
            "EXCLUDE" if self.words(&["EXCLUDE", "NO", "OTHERS"]) => self.skip(3),
            "EXCLUDE" if self.word(1) == "TIES" => self.skip(2),
            "EXCLUDE" if self.word(1) == "GROUP" && self.word(2) != "BY" => self.skip(2),
            "FOR" if last == "COLLATION" && matches!(self.token(1), Some(Token::LParen)) => {
                self.skip(1);
            }
            "UESCAPE"
                if matches!(self.out.last(), Some(Token::UnicodeStringLiteral(_)))
                    && matches!(self.token(1), Some(Token::SingleQuotedString(_))) =>
            {
                self.skip(2);
            }
            "DISTINCT" if last == "BY" && self.last(1) == "GROUP" => self.skip(1),
            "NO" if last == "FOR" && self.words(&["NO", "KEY", "UPDATE"]) => self.skip(2),
            "KEY" if last == "FOR" && self.word(1) == "SHARE" => self.skip(1),
            "FOR" if self.words(&["FOR", "READ", "ONLY"]) => self.skip(3),
            // The same as no limit, but asked for.
            "ALL" if last == "LIMIT" => {
                self.put(word("NULL"));
                self.skip(1);
            }
            "ANY" | "ALL" | "SOME" if matches!(self.token(1), Some(Token::LParen)) => {
                self.plain_operator();
                self.copy();
            }
            // `f() AS (a int)`: columns without a name for the table.
            "AS" if matches!(self.out.last(), Some(Token::RParen))
                && matches!(self.token(1), Some(Token::LParen))
                && !begins_subquery(self.word(2).as_str())
                && !matches!(self.token(2), Some(Token::LParen)) =>
            {
                self.copy();
                self.put(word("t"));
            }
            _ => return false,
        }
        true
    }

    /// `ONLY t` or `ONLY (t)`.
    fn only(&mut self) {
        if matches!(self.token(1), Some(Token::LParen)) {
            self.skip(2);
            self.frames.push(Call::Bare);
        } else {
            self.skip(1);
        }
    }

    /// Whether a query may begin here, where `TABLE t` is short for `SELECT * FROM t`.
    fn begins_query(&self) -> bool {
        match self.out.last() {
            None | Some(Token::LParen | Token::RParen) => true,
            Some(_) => matches!(
                self.last(0).as_str(),
                "UNION"
                    | "EXCEPT"
                    | "INTERSECT"
                    | "ALL"
                    | "DISTINCT"
                    | "EXPLAIN"
                    | "VERBOSE"
                    | "ANALYZE"
                    | "AS"
            ),
        }
    }

    /// The parser knows only comparisons before `ANY (…)`.
    fn plain_operator(&mut self) {
        if let Some(
            operator @ (Token::Plus
            | Token::Minus
            | Token::Mul
            | Token::Div
            | Token::Mod
            | Token::Caret
            | Token::Ampersand
            | Token::Pipe
            | Token::StringConcat
            | Token::Overlap
            | Token::AtArrow
            | Token::ArrowAt
            | Token::CustomBinaryOperator(_)),
        ) = self.out.last_mut()
        {
            *operator = Token::Eq;
        }
    }

    /// `SEARCH … SET column` and `CYCLE … USING column` after a common table expression: columns
    /// and constants only.
    fn expression_tail(&mut self) {
        for (first, last) in [("SEARCH", "SET"), ("CYCLE", "USING")] {
            if self.word(0) != first || (first == "SEARCH" && self.word(2) != "FIRST") {
                continue;
            }
            let mut length = 1;
            while let Some(Token::Word(_) | Token::Comma | Token::SingleQuotedString(_)) =
                self.token(length)
            {
                if self.word(length) == last {
                    self.skip(length + 2);
                    break;
                }
                length += 1;
            }
        }
    }
}

/// Whether a query or a write begins with the word.
pub(super) fn begins_subquery(word: &str) -> bool {
    matches!(
        word,
        "SELECT" | "WITH" | "VALUES" | "TABLE" | "INSERT" | "UPDATE" | "DELETE" | "MERGE"
    )
}

/// An unquoted word.
pub(super) fn word(text: &str) -> Token {
    Token::make_word(text, None)
}

#[cfg(test)]
mod tests {
    use sqlparser::dialect::PostgreSqlDialect;
    use sqlparser::tokenizer::Tokenizer;

    use super::*;

    fn adapted(sql: &str) -> String {
        let tokens = Tokenizer::new(&PostgreSqlDialect {}, sql).tokenize().unwrap();
        let tokens = tokens.into_iter().filter(|t| !matches!(t, Token::Whitespace(_))).collect();
        adapt(tokens).iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn rules_keep_the_meaning() {
        for (before, after) in [
            ("TABLE t", "SELECT * FROM t"),
            ("SELECT 1 UNION ALL TABLE t", "SELECT 1 UNION ALL SELECT * FROM t"),
            ("CREATE TABLE t ( )", "CREATE TABLE t ( )"),
            ("f ( VARIADIC a )", "f ( a )"),
            ("f ( \"variadic\" )", "f ( \"variadic\" )"),
            ("( f ( ) ) . *", "( f ( ) )"),
            ("a *< b", "a < b"),
            ("2 * ANY ( b )", "2 = ANY ( b )"),
            ("2 * b", "2 * b"),
            ("f ( ) AS ( a int )", "f ( ) AS t ( a int )"),
            ("x ( a ) AS ( SELECT 1 )", "x ( a ) AS ( SELECT 1 )"),
            ("FROM ROWS FROM ( f ( ) , g ( ) ) x", "FROM f ( ) , g ( ) x"),
            ("JOIN b USING ( a ) AS x WHERE 1", "JOIN b USING ( a ) WHERE 1"),
            ("x AS ( SELECT 1 ) CYCLE a SET b USING c SELECT 2", "x AS ( SELECT 1 ) SELECT 2"),
            ("x AS ( SELECT 1 ) CYCLE f ( 1 ) USING c", "x AS ( SELECT 1 ) CYCLE f ( 1 ) USING c"),
            (
                "( SELECT 1 ) cycle , s JOIN b USING ( a )",
                "( SELECT 1 ) cycle , s JOIN b USING ( a )",
            ),
            ("SELECT rows FROM ( a )", "SELECT rows FROM ( a )"),
            ("SELECT 1 , rows FROM ( a )", "SELECT 1 , rows FROM ( a )"),
            ("LIMIT ALL", "LIMIT NULL"),
            ("macaddr 'a' | 'b'", "'a' | 'b'"),
            ("DATE 'a'", "DATE 'a'"),
            ("FROM ONLY t , ONLY ( u ) x", "FROM t , u x"),
            ("FETCH FIRST ROW ONLY", "FETCH FIRST ROW ONLY"),
        ] {
            assert_eq!(adapted(before), after);
        }
    }

    #[test]
    fn keywords_are_what_the_parser_takes_for_them() {
        assert!(matches!(word("SELECT"), Token::Word(word) if word.keyword == Keyword::SELECT));
    }
}
