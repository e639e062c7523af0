//! What one decision costs, by the size of the policy and by the kind of rule.
//!
//! Run with `cargo bench --bench decision`. The figures to compare are those of one run.
#![allow(clippy::expect_used, clippy::unwrap_used)] // A benchmark that cannot start should stop.

use std::fmt::Write;
use std::hint::black_box;

use divan::Bencher;
use serde_json::{Map, Value, json};
use warrantd::audit::Sanitizer;
use warrantd::config::{PolicyFile, SanitizeConfig};
use warrantd::policy::schema::{ArgumentSchema, SchemaOptions};
use warrantd::policy::{Call, Decision, Policy, decide};

fn main() {
    divan::main();
}

/// A policy of so many actors with so many tools each, every tool limited by path.
fn policy(actors: usize, tools: usize) -> Policy {
    let mut text = String::from("actors:\n");
    let names: Vec<String> = (0..tools).map(|tool| format!("tool_{tool}")).collect();
    for actor in 0..actors {
        writeln!(text, "  - {{id: actor_{actor}, allowed_tools: [{}]}}", names.join(", ")).unwrap();
    }
    text.push_str("constraints:\n");
    for name in &names {
        let paths = r#"allowed_paths: ["data/**", "docs/*.md"], denied_paths: ["**/.env"]"#;
        writeln!(text, "  {name}: {{{paths}}}").unwrap();
    }
    let file: PolicyFile = serde_yaml::from_str(&text).expect("a policy");
    Policy::compile(&file, "/srv").expect("a valid policy")
}

fn arguments(text: &str) -> Map<String, Value> {
    serde_json::from_str(text).expect("arguments")
}

fn ask(policy: &Policy, actor: &str, tool: &str, arguments: &Map<String, Value>) -> Decision {
    decide(policy, Call { actor, tool, arguments, resolve: &str::to_owned, schema: None })
}

/// The same decision in a small and in a large policy.
#[divan::bench(args = [(10, 10), (1000, 100)])]
fn path_rule_by_policy_size(bencher: Bencher, (actors, tools): (usize, usize)) {
    let policy = policy(actors, tools);
    let (actor, tool) = (format!("actor_{}", actors - 1), format!("tool_{}", tools - 1));
    let arguments = arguments(r#"{"path": "data/reports/2026/q3.csv"}"#);
    bencher.bench(|| ask(black_box(&policy), &actor, &tool, &arguments));
}

/// A denial costs no more than an approval.
#[divan::bench(args = [(10, 10), (1000, 100)])]
fn denied_path_by_policy_size(bencher: Bencher, (actors, tools): (usize, usize)) {
    let policy = policy(actors, tools);
    let arguments = arguments(r#"{"path": "../../etc/passwd"}"#);
    bencher.bench(|| ask(black_box(&policy), "actor_0", "tool_0", &arguments));
}

/// A query of two joined tables, in PostgreSQL's dialect.
#[divan::bench]
fn sql_rule(bencher: Bencher) {
    let text = "
actors: [{id: a, allowed_tools: [query]}]
constraints: {query: {dialect: postgres, allowed_operations: [SELECT], allowed_tables: [users, orders]}}
";
    let file: PolicyFile = serde_yaml::from_str(text).expect("a policy");
    let policy = Policy::compile(&file, "/srv").expect("a valid policy");
    let arguments = arguments(
        r#"{"query": "SELECT u.name, count(*) FROM users u JOIN orders o ON o.user_id = u.id LIMIT 10"}"#,
    );
    bencher.bench(|| ask(black_box(&policy), "a", "query", &arguments));
}

/// Arguments of fifty fields against their schema.
#[divan::bench]
fn schema_of_fifty_fields(bencher: Bencher) {
    let mut properties = Map::new();
    let mut fields = Map::new();
    for n in 0..10 {
        for (kind, schema, value) in [
            ("s", json!({"type": "string", "maxLength": 200}), json!("some text of a call")),
            ("i", json!({"type": "integer", "minimum": 0}), json!(7)),
            ("e", json!({"enum": ["r", "w", "x"]}), json!("w")),
            ("p", json!({"type": "string", "pattern": "^[a-z0-9_-]{1,64}$"}), json!("a_name-1")),
            ("n", json!({"anyOf": [{"type": "boolean"}, {"type": "null"}]}), json!(true)),
        ] {
            properties.insert(format!("field_{kind}{n}"), schema);
            fields.insert(format!("field_{kind}{n}"), value);
        }
    }
    let schema = json!({"type": "object", "properties": properties, "required": ["field_s0"]});
    let options = SchemaOptions { strict: true, ..SchemaOptions::default() };
    let schema = ArgumentSchema::compile(&schema, options).expect("a schema");
    bencher.bench(|| black_box(&schema).validate(black_box(&fields)));
}

/// A kibibyte of ordinary arguments made fit for the log.
#[divan::bench]
fn sanitize_a_kibibyte(bencher: Bencher) {
    let sanitizer = Sanitizer::new(&SanitizeConfig::default(), vec![7; 32].into()).expect("rules");
    let prose =
        "The quarterly report compares the regions by revenue and by headcount. ".repeat(14);
    let value = json!({ "path": "data/reports/2026/q3.md", "content": prose });
    bencher.bench(|| sanitizer.value(Some("write_file"), black_box(&value)));
}
