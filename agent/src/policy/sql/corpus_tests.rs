//! Figures on PostgreSQL's labelled regression queries.
#![allow(clippy::print_stdout, reason = "figures, and why there are none")]

use serde_json::Value;

use super::*;

/// A query of the corpus.
struct Row {
    sql: String,
    label: String,
    tables: Vec<String>,
}

fn rows() -> Option<Vec<Row>> {
    let folder = std::env::var("WARRANTD_CORPORA").unwrap_or_else(|_| {
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/corpora").to_owned()
    });
    let Ok(text) = std::fs::read_to_string(format!("{folder}/pg_regress_labelled.jsonl")) else {
        println!("skipped: corpus not present");
        return None;
    };
    let row = |line: &str| {
        let value: Value = serde_json::from_str(line).unwrap();
        let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap().to_owned();
        let tables = value.get("tables").and_then(Value::as_array).unwrap();
        Row {
            sql: text("sql"),
            label: text("label"),
            tables: tables.iter().map(|table| table.as_str().unwrap().to_owned()).collect(),
        }
    };
    Some(text.lines().map(row).collect())
}

fn rules(user_functions: UserFunctions) -> Compiled {
    SqlRules {
        dialect: Dialect::Postgres,
        allowed_operations: Some(vec!["SELECT".into(), "EXPLAIN".into()]),
        user_functions,
        ..SqlRules::default()
    }
    .compile()
    .unwrap()
}

fn percent(part: usize, whole: usize) -> f64 {
    #[allow(clippy::cast_precision_loss)]
    let share = part as f64 / whole.max(1) as f64;
    share * 100.0
}

#[test]
fn what_acts_is_denied_and_what_reads_is_allowed() {
    let Some(rows) = rows() else { return };
    for (user_functions, least) in [(UserFunctions::Allow, 97.0), (UserFunctions::Deny, 85.0)] {
        let rules = rules(user_functions);
        let (mut allowed, mut all, mut attacks) = (0, 0, 0);
        for row in &rows {
            let decision = judge(&rules, &row.sql);
            if row.label.starts_with("deny_") {
                attacks += 1;
                assert!(decision.is_err(), "{} allowed: {}", row.label, row.sql);
            } else if row.label.starts_with("allow_") {
                all += 1;
                match decision {
                    Ok(_) => allowed += 1,
                    Err(denial) => println!("{denial}\n    {}", row.sql.replace('\n', " ")),
                }
            }
        }
        let share = percent(allowed, all);
        println!(
            "user functions {user_functions:?}: {attacks} of {attacks} denied, \
             {allowed} of {all} ({share:.1} %) allowed"
        );
        assert!(share >= least, "only {share:.1} % of the reading queries allowed");
    }
}

#[test]
fn tables_are_found() {
    let Some(rows) = rows() else { return };
    let (mut equal, mut all, mut unread) = (0, 0, 0);
    for row in &rows {
        match inspect(Dialect::Postgres, &row.sql) {
            Err(_) => unread += 1,
            Ok(facts) => {
                all += 1;
                if facts.tables == row.tables {
                    equal += 1;
                } else {
                    println!("{:?} is not {:?}\n    {}", facts.tables, row.tables, row.sql);
                }
            }
        }
    }
    let share = percent(equal, all);
    println!("tables equal on {equal} of {all} ({share:.1} %), {unread} not read");
    assert!(share >= 99.0, "tables equal on only {share:.1} %");
}
