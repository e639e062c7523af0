//! From text to one statement: bounds first, then tokens on which two lexers agree, then the
//! parser.

use sqlparser::ast::Statement;
use sqlparser::dialect::{GenericDialect, MySqlDialect, PostgreSqlDialect, SQLiteDialect};
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer, Whitespace};

use super::scan::{self, Kind, Piece};
use super::{Dialect, MAX_BYTES, adapt, adapt_others, shape};

/// How deep the parser may recurse.
const MAX_RECURSION: usize = 50;

/// The single statement that a text holds. The error says why it is not understood.
pub(super) fn parse(dialect: Dialect, sql: &str) -> Result<Statement, String> {
    check_text(dialect, sql)?;
    let parser_dialect = parser_dialect(dialect);
    let tokens = Tokenizer::new(parser_dialect, sql)
        .tokenize_with_location()
        .map_err(|error| format!("this is not {}: {error}", title(dialect)))?;
    if scan::pieces(dialect, sql)? != pieces(&tokens) {
        return Err("quotes or comments that different readers read differently".to_owned());
    }
    check_tokens(dialect, &tokens)?;
    let mut tokens: Vec<Token> = tokens
        .into_iter()
        .map(|token| token.token)
        .filter(|token| !matches!(token, Token::Whitespace(_)))
        .collect();
    match dialect {
        Dialect::Postgres => tokens = adapt::adapt(tokens),
        Dialect::Mysql => adapt_others::mysql(&mut tokens),
        Dialect::Sqlite => adapt_others::sqlite(&mut tokens),
        Dialect::Generic => {}
    }
    shape::check(&tokens)?;
    let mut statements = Parser::new(parser_dialect)
        .with_recursion_limit(MAX_RECURSION)
        .with_tokens(tokens)
        .parse_statements()
        .map_err(|error| format!("this is not {}: {error}", title(dialect)))?;
    match (statements.pop(), statements.is_empty()) {
        (Some(statement), true) => Ok(statement),
        (Some(_), false) => Err("several statements; send one at a time".to_owned()),
        (None, _) => Err("there is no statement".to_owned()),
    }
}

fn parser_dialect(dialect: Dialect) -> &'static dyn sqlparser::dialect::Dialect {
    match dialect {
        Dialect::Postgres => &PostgreSqlDialect {},
        Dialect::Mysql => &MySqlDialect {},
        Dialect::Sqlite => &SQLiteDialect {},
        Dialect::Generic => &GenericDialect {},
    }
}

fn title(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Postgres => "PostgreSQL's SQL",
        Dialect::Mysql => "MySQL's SQL",
        Dialect::Sqlite => "SQLite's SQL",
        Dialect::Generic => "common SQL",
    }
}

/// What must not stand anywhere in the text.
fn check_text(dialect: Dialect, sql: &str) -> Result<(), String> {
    if sql.len() > MAX_BYTES {
        return Err(format!("it is longer than {MAX_BYTES} bytes"));
    }
    let ordinary = |byte| matches!(byte, b' '..=b'~' | b'\n' | b'\t');
    if !sql.bytes().all(ordinary) {
        check_characters(sql)?;
    }
    let hints: &[&str] = match dialect {
        Dialect::Postgres => &["/*+"],
        Dialect::Mysql | Dialect::Generic => &["/*!", "/*M!", "/*+"],
        Dialect::Sqlite => &[],
    };
    match hints.iter().find(|hint| sql.contains(**hint)) {
        Some(hint) => Err(format!("`{hint}` begins a comment that the database acts on")),
        None => Ok(()),
    }
}

/// Control characters. A lone carriage return ends a comment in one database and not in another.
fn check_characters(sql: &str) -> Result<(), String> {
    let mut rest = sql.chars().peekable();
    while let Some(c) = rest.next() {
        let fine = match c {
            '\r' => rest.peek() == Some(&'\n'),
            '\n' | '\t' => true,
            c => !c.is_control() && c != '\u{feff}',
        };
        if !fine {
            return Err(format!("control character U+{:04X}", u32::from(c)));
        }
    }
    Ok(())
}

/// The tokens that are not code, as the parser's lexer sees them.
fn pieces(tokens: &[TokenWithSpan]) -> Vec<Piece> {
    tokens
        .iter()
        .filter_map(|token| {
            let (start, end) = (token.span.start, token.span.end);
            let kind = match &token.token {
                Token::Word(word) => word.quote_style.map(|_| Kind::Name),
                Token::Whitespace(
                    Whitespace::SingleLineComment { .. } | Whitespace::MultiLineComment(_),
                ) => Some(Kind::Comment),
                // `0x1F` is a number.
                Token::HexStringLiteral(digits)
                    if end.column == start.column + digits.len() as u64 + 2 =>
                {
                    None
                }
                other => is_text(other).then_some(Kind::Text),
            }?;
            Some((kind, (start.line, start.column), (end.line, end.column)))
        })
        .collect()
}

pub(super) fn is_text(token: &Token) -> bool {
    matches!(
        token,
        Token::SingleQuotedString(_)
            | Token::DoubleQuotedString(_)
            | Token::TripleSingleQuotedString(_)
            | Token::TripleDoubleQuotedString(_)
            | Token::DollarQuotedString(_)
            | Token::SingleQuotedByteStringLiteral(_)
            | Token::DoubleQuotedByteStringLiteral(_)
            | Token::TripleSingleQuotedByteStringLiteral(_)
            | Token::TripleDoubleQuotedByteStringLiteral(_)
            | Token::SingleQuotedRawStringLiteral(_)
            | Token::DoubleQuotedRawStringLiteral(_)
            | Token::TripleSingleQuotedRawStringLiteral(_)
            | Token::TripleDoubleQuotedRawStringLiteral(_)
            | Token::NationalStringLiteral(_)
            | Token::QuoteDelimitedStringLiteral(_)
            | Token::NationalQuoteDelimitedStringLiteral(_)
            | Token::EscapedStringLiteral(_)
            | Token::UnicodeStringLiteral(_)
            | Token::HexStringLiteral(_)
    )
}

/// What must not stand among the tokens.
fn check_tokens(dialect: Dialect, tokens: &[TokenWithSpan]) -> Result<(), String> {
    let mut previous: Option<&Token> = None;
    for token in tokens {
        let token = &token.token;
        match token {
            Token::Whitespace(Whitespace::MultiLineComment(text))
                if dialect == Dialect::Generic && text.contains("/*") =>
            {
                return Err("a comment inside a comment; databases end it differently".to_owned());
            }
            Token::Whitespace(Whitespace::SingleLineComment { prefix, comment })
                if dialect == Dialect::Generic
                    && (prefix != "--" || !comment.starts_with([' ', '\t', '\r', '\n'])) =>
            {
                return Err("write `-- ` with a space; some databases need it".to_owned());
            }
            Token::Whitespace(_) => continue,
            Token::CustomBinaryOperator(text) if text.contains("--") || text.contains("/*") => {
                return Err("a comment that runs into an operator".to_owned());
            }
            Token::Sharp | Token::DoubleSharp | Token::Backslash | Token::Char(_)
                if dialect == Dialect::Generic =>
            {
                return Err(format!("databases read `{token}` differently"));
            }
            // A string goes on after a line break, with the escapes of its first part.
            text if is_text(text)
                && dialect == Dialect::Postgres
                && matches!(
                    previous,
                    Some(Token::EscapedStringLiteral(_) | Token::UnicodeStringLiteral(_))
                ) =>
            {
                return Err("a string with escapes that goes on after a break".to_owned());
            }
            text if is_text(text) && dialect == Dialect::Generic => match text {
                Token::SingleQuotedString(text) if !text.contains('\\') => {}
                Token::HexStringLiteral(text) if text.bytes().all(|b| b.is_ascii_hexdigit()) => {}
                _ => return Err("a string that databases read differently".to_owned()),
            },
            Token::Word(word)
                if dialect == Dialect::Generic
                    && (word.value.contains('\\') || word.value.contains('$')) =>
            {
                return Err("a name that databases read differently".to_owned());
            }
            _ => {}
        }
        previous = Some(token);
    }
    Ok(())
}
