//! No text takes long, fills the stack or panics.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

const DIALECTS: [Dialect; 4] =
    [Dialect::Postgres, Dialect::Mysql, Dialect::Sqlite, Dialect::Generic];

/// Pieces that nest or chain: what opens, the core, what closes.
const SHAPES: [(&str, &str, &str); 57] = [
    ("SELECT ", "(", ""),
    ("SELECT * FROM ", "(", ""),
    ("SELECT ", "f(", ""),
    ("SELECT * FROM a WHERE ", "NOT ", "1"),
    ("SELECT ", "- ", "1"),
    ("SELECT ", "CASE WHEN ", "1"),
    ("SELECT ", "CASE ", "1"),
    ("SELECT ", "ARRAY[", "1"),
    ("SELECT ", "(SELECT ", "1"),
    ("SELECT * FROM ", "(SELECT * FROM ", "a"),
    ("", "WITH a AS (", "SELECT 1"),
    ("SELECT 1", " UNION SELECT 1", ""),
    ("SELECT 1", " + 1", ""),
    ("SELECT 1", " AND 1 = 1", ""),
    ("SELECT 1", "::int", ""),
    ("SELECT a", "[1]", ""),
    ("SELECT a", ".b", ""),
    ("SELECT a", " IS NULL", ""),
    ("SELECT a", " ISNULL", ""),
    ("SELECT a", " COLLATE b", ""),
    ("SELECT a", " AT TIME ZONE 'x'", ""),
    ("SELECT a", " BETWEEN 1 AND 2", ""),
    ("SELECT a", " LIKE 'b'", ""),
    ("SELECT a", " MATCH b", ""),
    ("SELECT a", " DIV b", ""),
    ("SELECT * FROM a", " JOIN b ON 1", ""),
    ("SELECT * FROM a", " JOIN (b", ""),
    ("SELECT * FROM a", ", b", ""),
    ("", "EXPLAIN ", "SELECT 1"),
    ("", "PREPARE a AS ", "SELECT 1"),
    ("", "DESC ANALYZE ", "SELECT 1"),
    ("EXPLAIN ", "DESC (a) ", "SELECT 1"),
    ("", "BEGIN ", "SELECT 1"),
    ("", "IF 1 THEN ", "SELECT 1"),
    ("", "WHILE 1 ", "SELECT 1"),
    ("", "CASE 1 WHEN 1 THEN ", "SELECT 1"),
    ("", "CREATE TRIGGER a AFTER INSERT ON b BEGIN ", "SELECT 1"),
    ("", "CREATE PROCEDURE a() AS BEGIN ", "SELECT 1"),
    ("CREATE TABLE a (b ", "CHECK (", ""),
    ("CREATE TABLE a (b ", "ARRAY<", "int"),
    ("", "INSERT INTO a ", "SELECT 1"),
    ("", "WITH a AS (INSERT INTO b ", "SELECT 1"),
    ("SELECT * FROM a ", "WHERE a IN (SELECT a FROM b ", ""),
    ("SELECT CAST(1 AS ", "ARRAY<", "int"),
    ("SELECT 1::", "a(", "1"),
    ("SELECT ", "CAST(", "1"),
    ("SELECT ", "a -> ", "1"),
    ("SELECT ", "INTERVAL ", "'1'"),
    ("SELECT ", "EXISTS(", "1"),
    ("SELECT a IN ", "(", "1"),
    ("SELECT ", "TRIM(", "1"),
    ("SELECT * FROM a PIVOT ", "(", "1"),
    ("SELECT ", "{a: ", "1"),
    ("SELECT ", "x -> (", "1"),
    ("VALUES ", "((", "1"),
    ("INSERT INTO a VALUES ", "(", "1"),
    ("", "/*", ""),
];

fn repeated((head, piece, tail): (&str, &str, &str), times: usize, closed: bool) -> String {
    let mut text = format!("{head}{}{tail}", piece.repeat(times));
    if closed {
        let open: Vec<char> = piece.chars().filter(|c| "([{<".contains(*c)).collect();
        for _ in 0..times {
            for c in open.iter().rev() {
                text.push(match c {
                    '(' => ')',
                    '[' => ']',
                    '{' => '}',
                    _ => '>',
                });
            }
        }
    }
    text
}

#[test]
fn nested_and_chained_texts_are_judged_in_time() {
    // A stack as small as that of a runtime's worker.
    let work = || {
        for dialect in DIALECTS {
            for shape in SHAPES {
                for times in [1, 8, 15, 25, 31, 60, 200, 700, 1400, 6000] {
                    for closed in [true, false] {
                        let text = repeated(shape, times, closed);
                        // Unbounded work would take years; no machine is as slow as this.
                        let start = Instant::now();
                        let _ = inspect(dialect, &text);
                        let took = start.elapsed();
                        assert!(
                            took < Duration::from_secs(120),
                            "{took:?} for {dialect:?} {shape:?} × {times} closed {closed}"
                        );
                    }
                }
            }
        }
    };
    std::thread::Builder::new().stack_size(2 << 20).spawn(work).unwrap().join().unwrap();
}

#[test]
fn long_texts_are_denied() {
    let text = format!("SELECT '{}'", "a".repeat(MAX_BYTES));
    assert!(inspect(Dialect::Generic, &text).is_err_and(|d| d.reason.contains("longer")));
    let text = format!("SELECT '{}'", "a".repeat(MAX_BYTES - 100));
    assert!(inspect(Dialect::Generic, &text).is_ok());
}

fn rules(dialect: Dialect) -> Compiled {
    SqlRules {
        dialect,
        allowed_operations: Some(vec!["SELECT".into()]),
        allowed_tables: Some(vec!["users".into()]),
        max_rows: Some(10),
        ..SqlRules::default()
    }
    .compile()
    .unwrap()
}

const WORDS: &str = "(SELECT|INSERT INTO|UPDATE|DELETE FROM|WITH|RECURSIVE|AS|FROM|WHERE|JOIN|ON|\
    users|secrets|a|f\\(|\\(|\\)|,|;|\\*|1|'x'|\"q\"|`b`|--|/\\*|\\*/|\\$\\$|E'|\\\\|'|\n|\
    UNION|ALL|LIMIT|INTO|FOR UPDATE|ONLY|TABLE|VALUES|SET|=|RETURNING|pg_sleep\\(1\\)|LATERAL|\
    USING|CYCLE|ROWS FROM|XMLEXISTS\\(|JSON_VALUE\\(|TRIM\\(|PASSING|\\.|::|EXPLAIN|ANALYZE) ?";

proptest! {
    #[test]
    fn no_text_panics(dialect in proptest::sample::select(&DIALECTS), text in "\\PC{0,80}") {
        let _ = judge(&rules(dialect), &text);
    }

    #[test]
    fn no_words_panic(dialect in proptest::sample::select(&DIALECTS), words in proptest::collection::vec(WORDS, 0..24)) {
        let _ = judge(&rules(dialect), &words.concat());
    }

    #[test]
    fn no_words_let_a_write_or_a_table_through(
        dialect in proptest::sample::select(&DIALECTS),
        words in proptest::collection::vec(WORDS, 0..24),
    ) {
        if let Ok(facts) = judge(&rules(dialect), &words.concat()) {
            prop_assert_eq!(&facts.operations, &["SELECT"]);
            prop_assert!(facts.tables.iter().all(|t| t.ends_with("users")));
            prop_assert!(facts.limit.is_none_or(|rows| rows <= 10));
        }
    }

    #[test]
    fn a_denied_table_stays_denied_in_any_place(
        dialect in proptest::sample::select(&DIALECTS),
        before in proptest::collection::vec(WORDS, 0..6),
    ) {
        let text = format!("{} SELECT * FROM secrets", before.concat());
        if let Ok(facts) = judge(&rules(dialect), &text) {
            // Then it stands in a string, a comment, or behind a name of a query's own.
            let own = ["'", "\"", "`", "--", "/*", "$$", "WITH"];
            prop_assert!(own.iter().any(|own| text.contains(own)), "{text} {facts:?}");
        }
    }
}
