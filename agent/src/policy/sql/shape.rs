//! Bounds on tokens that bound the tree made of them, and thereby the stack and the time that the
//! parser and the walk take.

use sqlparser::tokenizer::{Token, Word};

/// Deepest nesting of brackets.
const MAX_BRACKETS: usize = 32;

/// Most tokens between two commas inside one pair of brackets. It bounds chains such as
/// `a AND b AND …`, each link of which nests the tree once more.
const MAX_RUN: usize = 1500;

/// Most statements inside statements: the plan of the preparation of a query.
const MAX_STATEMENTS: usize = 3;

/// What a statement may begin with.
const BEGINNINGS: [&str; 43] = [
    "ABORT",
    "ALTER",
    "ANALYZE",
    "BEGIN",
    "CALL",
    "CLOSE",
    "COMMIT",
    "COPY",
    "CREATE",
    "DEALLOCATE",
    "DELETE",
    "DESC",
    "DESCRIBE",
    "DISCARD",
    "DROP",
    "END",
    "EXECUTE",
    "EXPLAIN",
    "FETCH",
    "INSERT",
    "LISTEN",
    "LOCK",
    "MERGE",
    "NOTIFY",
    "PRAGMA",
    "PREPARE",
    "RELEASE",
    "REPLACE",
    "RESET",
    "ROLLBACK",
    "SAVEPOINT",
    "SELECT",
    "SET",
    "SHOW",
    "START",
    "TABLE",
    "TRUNCATE",
    "UNLISTEN",
    "UPDATE",
    "USE",
    "VACUUM",
    "VALUES",
    "WITH",
];

/// Checks the bounds.
pub(super) fn check(tokens: &[Token]) -> Result<(), String> {
    check_beginning(tokens)?;
    check_brackets(tokens)
}

/// Statements hold others only behind `EXPLAIN` and `PREPARE`, and those few.
fn check_beginning(tokens: &[Token]) -> Result<(), String> {
    let mut tokens = tokens.iter().skip_while(|token| matches!(token, Token::SemiColon)).peekable();
    let begins = match tokens.peek() {
        None | Some(Token::LParen) => true,
        Some(first) => BEGINNINGS.iter().any(|word| is_word(first, word)),
    };
    if !begins {
        return Err("this kind of statement is not supported".to_owned());
    }
    let plan = tokens.peek().is_some_and(|first| is_word(first, "EXPLAIN"));
    let plan_of_table = tokens.peek().is_some_and(|first| is_description(first));
    let (mut statements, mut previous) = (0, None);
    let mut at = 0;
    while let Some(token) = tokens.next() {
        if ["EXPLAIN", "PREPARE"].iter().any(|word| is_word(token, word)) {
            statements += 1;
        }
        let nested = previous.is_some_and(|previous| {
            is_description(previous)
                || ["EXPLAIN", "ANALYZE", "VERBOSE"].iter().any(|word| is_word(previous, word))
        });
        // Where `DESC` is no order but another plan.
        let nested = nested || matches!(tokens.peek(), Some(Token::LParen));
        if statements > MAX_STATEMENTS || (plan && nested && is_description(token)) {
            return Err("statements nest too deeply".to_owned());
        }
        let of_name = matches!(token, Token::Word(_) | Token::Period | Token::SemiColon);
        if plan_of_table && (at > 6 || !of_name) {
            return Err("DESCRIBE of more than a table; write EXPLAIN".to_owned());
        }
        // Blocks of statements.
        if is_word(token, "BEGIN") && at > 0 {
            return Err("a block of statements".to_owned());
        }
        previous = Some(token);
        at += 1;
    }
    Ok(())
}

fn check_brackets(tokens: &[Token]) -> Result<(), String> {
    let mut runs: Vec<usize> = vec![0];
    for token in tokens {
        match token {
            Token::LParen | Token::LBracket | Token::LBrace => runs.push(0),
            Token::RParen | Token::RBracket | Token::RBrace if runs.len() > 1 => {
                runs.pop();
            }
            _ => {}
        }
        if runs.len() > MAX_BRACKETS {
            return Err(format!("brackets nest deeper than {MAX_BRACKETS}"));
        }
        if let Some(run) = runs.last_mut() {
            *run = if matches!(token, Token::Comma) { 0 } else { *run + 1 };
            if *run > MAX_RUN {
                return Err(format!("a chain of more than {MAX_RUN} tokens; use a list"));
            }
        }
    }
    Ok(())
}

fn is_description(token: &Token) -> bool {
    is_word(token, "DESC") || is_word(token, "DESCRIBE")
}

fn is_word(token: &Token, text: &str) -> bool {
    matches!(token, Token::Word(Word { value, quote_style: None, .. })
        if value.eq_ignore_ascii_case(text))
}

#[cfg(test)]
mod tests {
    use sqlparser::dialect::PostgreSqlDialect;
    use sqlparser::tokenizer::Tokenizer;

    use super::*;

    fn fits(sql: &str) -> bool {
        check(&Tokenizer::new(&PostgreSqlDialect {}, sql).tokenize().unwrap()).is_ok()
    }

    #[test]
    fn ordinary_statements_fit() {
        let list = format!("SELECT * FROM a WHERE b IN ({})", vec!["1"; 5000].join(","));
        let chain = format!("SELECT * FROM a WHERE {}", ["b=1"; 200].join(" OR "));
        for text in ["", ";", "(SELECT 1)", "EXPLAIN PREPARE a AS SELECT 1", &list, &chain] {
            assert!(fits(text), "{text:.60}");
        }
    }

    #[test]
    fn endless_ones_do_not() {
        let nested = format!("SELECT {}", "(".repeat(40));
        let chain = format!("SELECT {}1", "1+".repeat(2000));
        let plans = "EXPLAIN ".repeat(5);
        for text in ["IF a THEN", "BEGIN BEGIN", "DESC DESC a", &nested, &chain, &plans] {
            assert!(!fits(text), "{text:.60}");
        }
    }
}
