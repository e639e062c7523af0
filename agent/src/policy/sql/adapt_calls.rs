//! PostgreSQL's functions whose arguments have a grammar of their own (SQL/XML, SQL/JSON, `TRIM`,
//! `SUBSTRING`), brought into the form of ordinary arguments.

use sqlparser::tokenizer::Token;

use super::adapt::{Adapter, begins_subquery, word};

/// What an open bracket belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    Trim,
    Substring,
    /// `XMLELEMENT`, `XMLPI`.
    XmlNamed,
    XmlExists,
    XmlParse,
    XmlSerialize,
    XmlRoot,
    XmlTable,
    Json,
    /// `JSON_ARRAY(SELECT …)`.
    JsonOfQuery,
    /// Brackets that are left out: `ROWS FROM (…)`, `ONLY (…)`.
    Bare,
    /// The body of a common table expression.
    Expression,
    /// `USING (…)` of a join.
    Using,
    Other,
}

impl Call {
    /// The call whose bracket stands next.
    pub(super) fn of(adapter: &Adapter) -> Self {
        match adapter.last(0).as_str() {
            "TRIM" => Self::Trim,
            "SUBSTRING" => Self::Substring,
            "XMLELEMENT" | "XMLPI" => Self::XmlNamed,
            "XMLEXISTS" => Self::XmlExists,
            "XMLSERIALIZE" => Self::XmlSerialize,
            "XMLPARSE" => Self::XmlParse,
            "XMLROOT" => Self::XmlRoot,
            "XMLTABLE" => Self::XmlTable,
            "JSON_ARRAY" if matches!(adapter.word(1).as_str(), "SELECT" | "VALUES" | "WITH") => {
                Self::JsonOfQuery
            }
            "JSON" | "JSON_OBJECT" | "JSON_ARRAY" | "JSON_OBJECTAGG" | "JSON_ARRAYAGG"
            | "JSON_QUERY" | "JSON_VALUE" | "JSON_EXISTS" | "JSON_SCALAR" | "JSON_SERIALIZE" => {
                Self::Json
            }
            "FROM"
                if adapter.last(1) == "ROWS"
                    && matches!(adapter.last(2).as_str(), "FROM" | "JOIN" | "LATERAL") =>
            {
                Self::Bare
            }
            "USING" if !begins_subquery(adapter.word(1).as_str()) => Self::Using,
            "AS" | "MATERIALIZED" if begins_subquery(adapter.word(1).as_str()) => Self::Expression,
            _ => Self::Other,
        }
    }
}

/// What changes just behind the bracket.
pub(super) fn after_open(adapter: &mut Adapter, call: Call) {
    match call {
        Call::XmlNamed if adapter.word(0) == "NAME" => {
            adapter.skip(2);
            adapter.put(Token::SingleQuotedString(String::new()));
        }
        Call::XmlSerialize if matches!(adapter.word(0).as_str(), "DOCUMENT" | "CONTENT") => {
            // The rest has the form of a cast.
            let name = adapter.out.len().saturating_sub(2);
            if let Some(token) = adapter.out.get_mut(name) {
                *token = word("CAST");
            }
            adapter.skip(1);
        }
        Call::Trim => {
            let side = matches!(adapter.word(0).as_str(), "LEADING" | "TRAILING" | "BOTH");
            if side && adapter.word(1) == "FROM" {
                adapter.skip(2);
            } else if adapter.word(0) == "FROM" {
                adapter.skip(1);
            }
        }
        Call::JsonOfQuery => adapter.put(Token::LParen),
        _ => {}
    }
}

/// What changes at a word inside the brackets. Says whether it did.
pub(super) fn inside(adapter: &mut Adapter, call: Call) -> bool {
    match call {
        Call::Substring => match adapter.word(0).as_str() {
            "SIMILAR" if adapter.word(1) != "TO" => comma(adapter),
            "ESCAPE" => comma(adapter),
            _ => false,
        },
        Call::XmlExists | Call::XmlTable => match adapter.word(0).as_str() {
            "PASSING" if call == Call::XmlExists => comma(adapter),
            "BY" if matches!(adapter.word(1).as_str(), "REF" | "VALUE") => leave(adapter, 2),
            _ => false,
        },
        Call::XmlSerialize if adapter.words(&["NO", "INDENT"]) => leave(adapter, 2),
        Call::XmlSerialize if adapter.word(0) == "INDENT" => leave(adapter, 1),
        Call::XmlParse if adapter.word(1) == "WHITESPACE" => leave(adapter, 2),
        Call::XmlRoot => xml_root(adapter),
        Call::Json => json(adapter),
        _ => false,
    }
}

fn xml_root(adapter: &mut Adapter) -> bool {
    if !matches!(adapter.out.last(), Some(Token::Comma)) {
        return false;
    }
    let (first, second) = (adapter.word(0), adapter.word(1));
    match (first.as_str(), second.as_str()) {
        ("VERSION" | "STANDALONE", "NO") if adapter.word(2) == "VALUE" => null(adapter, 3),
        ("STANDALONE", "YES" | "NO") => null(adapter, 2),
        ("VERSION", _) => leave(adapter, 1),
        _ => false,
    }
}

/// Clauses that say how JSON is read and written and what stands in for what is missing.
fn json(adapter: &mut Adapter) -> bool {
    let (first, second) = (adapter.word(0), adapter.word(1));
    match (first.as_str(), second.as_str()) {
        ("FORMAT", "JSON") if adapter.word(2) == "ENCODING" => leave(adapter, 4),
        ("KEEP" | "OMIT", "QUOTES") if adapter.word(2) == "ON" => leave(adapter, 5),
        ("FORMAT", "JSON") | ("KEEP" | "OMIT", "QUOTES") | ("ON", "EMPTY" | "ERROR") => {
            leave(adapter, 2)
        }
        ("WITH" | "WITHOUT", "UNIQUE") => {
            let count = if adapter.word(2) == "KEYS" { 3 } else { 2 };
            leave(adapter, count)
        }
        ("WITH" | "WITHOUT", _) => match (1..4).find(|offset| adapter.word(*offset) == "WRAPPER") {
            Some(offset) => leave(adapter, offset + 1),
            None => false,
        },
        ("EMPTY", "ARRAY" | "OBJECT") if adapter.word(2) == "ON" => leave(adapter, 4),
        ("ERROR" | "NULL" | "EMPTY" | "TRUE" | "FALSE" | "UNKNOWN", "ON")
            if matches!(adapter.word(2).as_str(), "EMPTY" | "ERROR") =>
        {
            leave(adapter, 3)
        }
        ("DEFAULT" | "PASSING", _) => comma(adapter),
        ("RETURNING", _) => {
            let ends = |word: &str| {
                ["", "FORMAT", "NULL", "ERROR", "EMPTY", "DEFAULT", "WITH", "WITHOUT", "KEEP"]
                    .contains(&word)
                    || ["OMIT", "TRUE", "FALSE", "UNKNOWN", "ABSENT"].contains(&word)
            };
            let count = (1..6).find(|offset| ends(adapter.word(*offset).as_str()));
            leave(adapter, count.unwrap_or(1))
        }
        // `PASSING x AS name`.
        ("AS", name) if !name.is_empty() => leave(adapter, 2),
        _ => false,
    }
}

fn leave(adapter: &mut Adapter, count: usize) -> bool {
    adapter.skip(count);
    true
}

fn comma(adapter: &mut Adapter) -> bool {
    adapter.put(Token::Comma);
    leave(adapter, 1)
}

fn null(adapter: &mut Adapter, count: usize) -> bool {
    adapter.put(word("NULL"));
    leave(adapter, count)
}
