//! What is confidential about calls stays out of everything that warrantd writes: audit log, its own log at the
//! highest level, metrics, and errors.
//!
//! With a corpus of personal data in `WARRANTD_CORPORA` (or beside the repository) all its values are tried, too.

#![allow(clippy::print_stderr)] // How much was tried is part of what the test finds.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use anyhow::ensure;
use libtest_mimic::Trial;
use serde_json::{Value, json};
use warrantd_tests::harness::test;
use warrantd_tests::http::Endpoint;
use warrantd_tests::needs::Need;
use warrantd_tests::records::await_record;
use warrantd_tests::scratch::text;

use crate::daemon::{Daemon, KEY};
use crate::http_world::listeners;
use crate::rig::Rig;

const POLICY: &str = "
actors:
  - {id: assistant-service, allowed_tools: [repeat, count]}
effects: {tools: {repeat: {}, count: {}}}
sanitize: {kinds: {ip: redact}}
";

/// Confidential values, each in a text that a model might write.
const VALUES: [(&str, &str); 8] = [
    ("ada.lovelace@example.org", "write to ada.lovelace@example.org, please"),
    ("4111 1111 1111 1111", "card 4111 1111 1111 1111, valid thru 12/29"),
    ("DE89370400440532013000", "the IBAN is DE89370400440532013000"),
    ("+1 415 555 2671", "call +1 415 555 2671 tomorrow"),
    ("ghp_0123456789abcdefghijABCDEFGHIJ012345", "token ghp_0123456789abcdefghijABCDEFGHIJ012345"),
    ("hunter2-hunter2", "postgres://ada:hunter2-hunter2@db.example/x"),
    ("AKIAIOSFODNN7EXAMPLE", "aws AKIAIOSFODNN7EXAMPLE"),
    ("536-90-4399", "SSN 536-90-4399"),
];

/// What of the corpus is looked for: what the built-in rules know.
const KINDS: [&str; 6] =
    ["EMAIL_ADDRESS", "CREDIT_CARD", "IBAN_CODE", "US_SSN", "IP_ADDRESS", "PHONE_NUMBER"];

pub(crate) fn tests() -> Vec<Trial> {
    vec![test("secrets::nothing_that_is_written_has_them", &[Need::Kernel], nowhere)]
}

/// Texts, and the values in them that must not be found.
fn material() -> anyhow::Result<(Vec<String>, BTreeSet<String>)> {
    let mut texts: Vec<String> = VALUES.iter().map(|(_, text)| (*text).to_owned()).collect();
    let mut values: BTreeSet<String> =
        VALUES.iter().map(|(value, _)| (*value).to_owned()).collect();
    let beside = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/corpora"));
    let dir = std::env::var_os("WARRANTD_CORPORA").map_or_else(beside, PathBuf::from);
    let Ok(corpus) = fs::read_to_string(dir.join("presidio_synth_v2_sample.jsonl")) else {
        eprintln!("no corpus of personal data: {} values of its own", values.len());
        return Ok((texts, values));
    };
    for line in corpus.lines() {
        let row: Value = serde_json::from_str(line)?;
        let spans = row["spans"].as_array().cloned().unwrap_or_default();
        let kind = |span: &Value| span["entity_type"].as_str().map(str::to_owned);
        let known = spans.iter().filter(|s| kind(s).is_some_and(|k| KINDS.contains(&k.as_str())));
        let found: Vec<_> = known.filter_map(|s| s["entity_value"].as_str()).collect();
        if !found.is_empty() {
            values.extend(found.iter().map(|value| (*value).to_owned()));
            texts.extend(row["text"].as_str().map(str::to_owned));
        }
    }
    Ok((texts, values))
}

fn nowhere() -> anyhow::Result<()> {
    let (texts, mut values) = material()?;
    let rig = Rig::new(POLICY)?;
    let metrics = rig.scratch.path("run")?.join("metrics");
    let command = [text(&rig.scratch.program("teller")?)];
    let daemon = Daemon::at_level("trace", rig, "[api_key]", &command, |config| {
        let limits = "limits: {requests_per_second: 100000}";
        let metrics = format!("metrics: {{unix: {}}}", metrics.display());
        format!("{config}listen: [{{address: '127.0.0.1:0'}}]\n{limits}\n{metrics}\n")
    })?;
    let address = listeners(&daemon, 1)?.pop();
    let address = address.ok_or_else(|| anyhow::anyhow!("no listener"))?;
    let bare = Endpoint::tcp(address, "/files/mcp");
    let wrong = "wd-live-wrong-key-5f2d9c1b8e7a43";
    let refused = bare.clone().with("Authorization", &format!("Bearer {wrong}"));
    let refused = refused.post(&warrantd_tests::http::initialize("2025-11-25"))?;
    ensure!(refused.status == 401, "{}", refused.shown());
    let mut errors = vec![refused.shown()];
    values.extend([KEY.to_owned(), wrong.to_owned()]);
    let session = bare.with("Authorization", &format!("Bearer {KEY}")).session()?;
    session.post(&json!({"jsonrpc": "2.0", "id": "list", "method": "tools/list"}))?.json()?;
    let mut id = 0;
    let mut send = |method: &str, params: Value| -> anyhow::Result<Value> {
        id += 1;
        session
            .post(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}))?
            .answer()
    };
    for text in &texts {
        let call = |tool: &str, arguments: Value| json!({"name": tool, "arguments": arguments});
        // What the client itself gets back from the server is its own.
        let said = send("tools/call", call("repeat", json!({"text": text})))?;
        ensure!(said.pointer("/result/content/0/text") == Some(&json!(text)), "{said}");
        for (method, params) in [
            ("tools/call", call("announce", json!({"text": text}))),
            ("tools/call", call("count", json!({"steps": text}))),
            ("tools/call", call("repeat", json!({text.as_str(): {"text": text}, "times": text}))),
            ("prompts/get", json!({"name": "p", "arguments": {"a": text}})),
            ("resources/read", json!({"uri": format!("file:///{text}")})),
        ] {
            let answer = send(method, params)?;
            if answer.get("error").is_some() || answer.pointer("/result/isError").is_some() {
                errors.push(answer.to_string());
            }
        }
    }
    let expected = texts.len() * 6;
    await_record(&daemon.rig.audit, |record| {
        record.get("seq").as_u64() >= u64::try_from(expected).ok()
    })?;
    let told = Endpoint::unix(metrics, "/metrics").send("GET", None)?.text()?;
    ensure!(told.contains("warrantd_calls_total"), "{told}");
    let log = fs::read_to_string(daemon.rig.audit.join("audit.jsonl"))?;
    let own = daemon.process.stderr();
    ensure!(own.contains("TRACE") || own.contains("DEBUG"), "not at the highest level: {own}");
    let places =
        [("audit log", log), ("log", own), ("metrics", told), ("errors", errors.join("\n"))];
    let mut found = Vec::new();
    for (place, text) in &places {
        for value in &values {
            let escaped = serde_json::to_string(value)?;
            let escaped = escaped.trim_matches('"');
            if text.contains(value.as_str()) || text.contains(escaped) {
                let line = text
                    .lines()
                    .find(|line| line.contains(value.as_str()) || line.contains(escaped));
                found.push(format!("{value} in the {place}: {:.700}", line.unwrap_or_default()));
            }
        }
    }
    eprintln!(
        "{} values in {} texts, {expected} requests; {} bytes searched, {} found",
        values.len(),
        texts.len(),
        places.iter().map(|(_, text)| text.len()).sum::<usize>(),
        found.len()
    );
    ensure!(found.is_empty(), "{} found:\n{}", found.len(), found.join("\n"));
    Ok(())
}
