//! What one decision costs, by the size of the policy and by the kind of rule.
//!
//! Run with `cargo bench --bench decision`. The figures to compare are those of one run.
#![allow(clippy::expect_used, clippy::unwrap_used)] // A benchmark that cannot start should stop.

use std::fmt::Write;
use std::hint::black_box;

use divan::Bencher;
use serde_json::{Map, Value};
use warrantd::config::PolicyFile;
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
