//! MySQL's and SQLite's grammar where the parser lacks it. As for PostgreSQL, no rule takes away a
//! table, a function or a keyword that acts.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, Word};

use super::lex::is_text;

/// `a MOD b`, which the parser lacks, and `a DIV b`, for which it copies all that is before it.
pub(super) fn mysql(tokens: &mut [Token]) {
    for at in 1..tokens.len() {
        let operand = tokens.get(at - 1).is_some_and(is_operand);
        let call = matches!(tokens.get(at + 1), Some(Token::LParen));
        if let Some(token) = tokens.get_mut(at)
            && operand
        {
            if is_word(token, "DIV") {
                *token = Token::Div;
            } else if is_word(token, "MOD") && !call {
                *token = Token::Mod;
            }
        }
    }
}

/// `a << b`, `a IS b`, `a MATCH b`, `t INDEXED BY i`, `t NOT INDEXED`, and `PRAGMA p(t)` with a bare name.
pub(super) fn sqlite(tokens: &mut Vec<Token>) {
    if tokens.first().is_some_and(|token| is_word(token, "PRAGMA")) {
        name_in_brackets(tokens);
        return;
    }
    let mut out = Vec::with_capacity(tokens.len());
    let mut input = std::mem::take(tokens).into_iter().peekable();
    while let Some(token) = input.next() {
        match token {
            // Operators of one kind to the facts.
            Token::ShiftLeft | Token::ShiftRight => out.push(Token::Plus),
            token if is_word(&token, "IS") => {
                let not = input.next_if(|token| is_word(token, "NOT"));
                let value = matches!(
                    input.peek(),
                    Some(
                        Token::Number(..)
                            | Token::SingleQuotedString(_)
                            | Token::Placeholder(_)
                            | Token::LParen
                            | Token::Word(Word { keyword: Keyword::NoKeyword, .. })
                    )
                );
                if value {
                    out.push(Token::Eq);
                } else {
                    out.push(token);
                    out.extend(not);
                }
            }
            // The parser copies all that is before these.
            token if ["MATCH", "GLOB", "REGEXP"].iter().any(|word| is_word(&token, word)) => {
                let not = out.last().is_some_and(|last| is_word(last, "NOT"));
                let before = out.len().checked_sub(if not { 2 } else { 1 });
                if before.and_then(|at| out.get(at)).is_some_and(is_operand) {
                    out.truncate(out.len() - usize::from(not));
                    out.push(Token::Eq);
                } else {
                    out.push(token);
                }
            }
            token if is_word(&token, "INDEXED") => {
                if out.last().is_some_and(|last| is_word(last, "NOT")) {
                    out.pop();
                } else if input.next_if(|token| is_word(token, "BY")).is_some() {
                    input.next_if(|token| matches!(token, Token::Word(_)));
                } else {
                    out.push(token);
                }
            }
            token => out.push(token),
        }
    }
    *tokens = out;
}

fn name_in_brackets(tokens: &mut [Token]) {
    for at in 1..tokens.len() {
        let inside = matches!(tokens.get(at - 1), Some(Token::LParen))
            && matches!(tokens.get(at + 1), Some(Token::RParen));
        if let Some(token) = tokens.get_mut(at)
            && inside
            && let Token::Word(word) = token
        {
            *token = Token::SingleQuotedString(word.value.clone());
        }
    }
}

/// Whether an operator may follow.
fn is_operand(token: &Token) -> bool {
    match token {
        Token::Word(word) => word.keyword == Keyword::NoKeyword || word.quote_style.is_some(),
        Token::RParen | Token::RBracket | Token::Number(..) | Token::Placeholder(_) => true,
        other => is_text(other),
    }
}

fn is_word(token: &Token, text: &str) -> bool {
    matches!(token, Token::Word(Word { value, quote_style: None, .. })
        if value.eq_ignore_ascii_case(text))
}

#[cfg(test)]
mod tests {
    use sqlparser::dialect::SQLiteDialect;
    use sqlparser::tokenizer::Tokenizer;

    use super::*;

    fn adapted(sql: &str, rules: fn(&mut Vec<Token>)) -> String {
        let tokens = Tokenizer::new(&SQLiteDialect {}, sql).tokenize().unwrap();
        let mut tokens =
            tokens.into_iter().filter(|t| !matches!(t, Token::Whitespace(_))).collect();
        rules(&mut tokens);
        tokens.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn rules_keep_the_meaning() {
        for (before, after) in [
            ("a IS 1 AND b IS NOT NULL AND c IS NOT d", "a = 1 AND b IS NOT NULL AND c = d"),
            ("a << 1", "a + 1"),
            ("a MATCH 'b' AND c NOT GLOB 'd'", "a = 'b' AND c = 'd'"),
            ("SELECT glob(a, b)", "SELECT glob ( a , b )"),
            ("FROM t INDEXED BY i , u NOT INDEXED WHERE a", "FROM t , u WHERE a"),
            ("PRAGMA table_info(t)", "PRAGMA table_info ( 't' )"),
            ("SELECT f(t)", "SELECT f ( t )"),
        ] {
            assert_eq!(adapted(before, sqlite), after);
        }
        let mysql: fn(&mut Vec<Token>) = |tokens| mysql(tokens);
        assert_eq!(adapted("a MOD 2 DIV 3 + MOD(3, 2)", mysql), "a % 2 / 3 + MOD ( 3 , 2 )");
    }
}
