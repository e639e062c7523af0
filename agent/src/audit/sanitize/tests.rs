//! The sanitizer as a whole: attacks and their benign twins, properties, and the corpora.

use std::fmt::Write;
use std::path::PathBuf;

use proptest::prelude::*;
use serde::Deserialize;
use serde_json::json;

use super::*;

fn sanitizer(config: &str) -> Sanitizer {
    let config: SanitizeConfig = serde_yaml::from_str(config).expect("configuration");
    Sanitizer::new(&config, SecretSlice::from(vec![7; 32])).expect("sanitizer")
}

fn default() -> Sanitizer {
    sanitizer("{}")
}

#[test]
fn values_are_gone_through_to_any_depth() {
    let before = json!({
        "path": "a",
        "apiKey": "k1",
        "headers": [{"X-Api-Key": "k2", "Accept": "*/*"}],
        "db_password": {"nested": "k3"},
        "monkey": 1,
        "max_tokens": 100,
        "tokens": 5,
        "enabled_token": true,
        "note": ["mail bob@example.com", ["or 4111 1111 1111 1111"]],
        "bob@example.com": 1,
        "alice@example.com": 2,
        "card": 4_111_111_111_111_111_u64,
        "phone": "467 3395",
        "contact": {"phone": {"numbers": ["4673395"]}},
        "env": [{"name": "API_KEY", "value": "k4"}, {"name": "LANG", "value": "C"}],
        "command": ["mysql", "--password", "k5", "-u", "root"],
        "pwd": "/home/bob",
    });
    let after = json!({
        "path": "a",
        "apiKey": "[REDACTED]",
        "headers": [{"X-Api-Key": "[REDACTED]", "Accept": "*/*"}],
        "db_password": "[REDACTED]",
        "monkey": 1,
        "max_tokens": 100,
        "tokens": 5,
        "enabled_token": true,
        "note": ["mail [EMAIL]", ["or [CARD]"]],
        "[EMAIL]": 1,
        "[EMAIL] #2": 2,
        "card": "[CARD]",
        "phone": "[PHONE]",
        "contact": {"phone": {"numbers": ["[PHONE]"]}},
        "env": [{"name": "API_KEY", "value": "[REDACTED]"}, {"name": "LANG", "value": "C"}],
        "command": ["mysql", "--password", "[REDACTED]", "-u", "root"],
        "pwd": "/home/bob",
    });
    assert_eq!(default().value(None, &before), after);
}

#[test]
fn json_within_texts_is_gone_through() {
    let sanitizer = default();
    let mut text = r#"{"password":"hunter","mail":"bob\u0040example.com","n":1.50}"#.to_owned();
    for _ in 0..6 {
        let after = sanitizer.text(None, &text);
        assert!(!after.contains("hunter") && !after.contains("example"), "{after}");
        text = json!({ "body": text }).to_string();
    }
    assert_eq!(
        sanitizer.text(None, r#"{"password":"x","n":1.50}"#),
        r#"{"password":"[REDACTED]","n":1.5}"#
    );
    // The reader of JSON sees the last of two equal names; a log's reader sees both.
    let twice = sanitizer.text(None, r#"{"a":"bob@example.com","a":1}"#);
    assert_eq!(twice, r#"{"a":"[EMAIL]","a":1}"#);
    // The benign twin stays as it is written.
    let spaced = r#" { "a" : [ 1.50, "x" ] } "#;
    assert!(matches!(sanitizer.text(None, spaced), Cow::Borrowed(_)));
}

#[test]
fn nesting_ends() {
    let sanitizer = default();
    let mut value = json!("bob@example.com");
    for _ in 0..1_000 {
        value = json!([value]);
    }
    let mut after = &sanitizer.value(None, &value);
    while let Some(inner) = after.get(0) {
        after = inner;
    }
    assert_eq!(after, "[NESTED TOO DEEP]");
    let mut text = "bob@example.com".to_owned();
    for _ in 0..10 {
        text = json!(text).to_string();
    }
    let after = sanitizer.text(None, &text);
    assert!(!after.contains("example") && after.contains("NESTED"), "{after}");
}

#[test]
fn treatments_are_by_kind_and_tool() {
    let sanitizer = sanitizer(
        "kinds: {email: hash, ip: redact, phone: keep}\nkeys: [badge]\ntools:\n  whois:\n    kinds: {ip: keep, key: hash}\n    keys: [handle]\n",
    );
    let text = "bob@example.com 10.0.0.1 +1-903-140-4508";
    let all = sanitizer.text(None, text);
    assert!(all.starts_with("[EMAIL:hmac:") && all.ends_with("] [IP] +1-903-140-4508"), "{all}");
    assert!(sanitizer.text(Some("whois"), text).ends_with("] 10.0.0.1 +1-903-140-4508"));
    let value = json!({"badge_number": 7, "handle": "x"});
    assert_eq!(sanitizer.value(None, &value), json!({"badge_number": "[REDACTED]", "handle": "x"}));
    let whois = sanitizer.value(Some("whois"), &value);
    assert!(whois["handle"].as_str().unwrap_or_default().starts_with("[REDACTED:hmac:"));
}

#[test]
fn a_hash_needs_a_key() {
    let hash: SanitizeConfig = serde_yaml::from_str("kinds: {email: hash}").expect("reads");
    let short = || SecretSlice::from(vec![7; 15]);
    assert!(matches!(Sanitizer::new(&hash, short()), Err(SanitizeError::ShortKey(15))));
    assert!(Sanitizer::new(&SanitizeConfig::default(), SecretSlice::from(Vec::new())).is_ok());
}

/// Texts as tools get them in which there is nothing to take out.
const ORDINARY: &[&str] = &[
    "SELECT id, name FROM users WHERE created_at > '2024-01-15 10:30:00' LIMIT 100",
    "fn main() { let token = lexer.next(); println!(\"{token:?}\"); }",
    "https://example.com/a/b?page=2&limit=50#top",
    "src/audit/sanitize/mod.rs:120:15: error[E0382]: use of moved value",
    "commit da39a3ee5e6b4b0d3255bfef95601890afd80709 (HEAD -> main, tag: v1.20.300)",
    "git clone git@github.com:org/repo.git && cd repo && cargo test --workspace -- --nocapture",
    "id: 550e8400-e29b-41d4-a716-446655440000, request 1700000000000, shard 12/64",
    "The population was 125,836,021 in 2020 (1.25e8), up 0.3% from 2019-2020.",
    "<svg viewBox=\"0 0 100 100\"><path d=\"M10 20 30 40L55.5 66.25Z\"/></svg>",
    "import React, { useState } from 'react'; // react@18.2.0",
    "Meeting at 12:30 in room 4-112, bring 20-30 copies of ISO 27001:2022.",
    "127.0.0.1:8080 -> [::1]:443 and 10.0.0.0/8",
    "x = [0.123456789, 1.234567891, 12345678, 987654321, 1e-10]",
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "ISBN 978-3-16-148410-0, DOI 10.1000/182, RFC 9110, order #12345-678",
    "-----BEGIN CERTIFICATE-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAu1SU1LfVLPHCozMxH2Mo\n-----END CERTIFICATE-----",
    "AbstractSingletonProxyFactoryBean getUserByIdV2 HTTP2_MAX_CONCURRENT_STREAMS_DEFAULT",
    "What is the basic authentication flow? Bearer tokens, secrets and passwords are explained here.",
    "{\"max_tokens\": 4096, \"temperature\": 0.7, \"stop\": [\"\\n\"], \"model\": \"gpt-4o-2024-08-06\"}",
    "matrix 12 34 56 78 90 12 34 56 78 90 12 34",
    "日本語のテキスト、電話なし。価格は¥1,234,567です。",
    "/usr/lib/x86_64-linux-gnu/libssl.so.3 /var/lib/docker/overlay2/0123456789abcdef/merged",
];

#[test]
fn ordinary_texts_stay() {
    let sanitizer = default();
    for text in ORDINARY {
        assert!(
            matches!(sanitizer.text(None, text), Cow::Borrowed(_)),
            "{text}: {}",
            sanitizer.text(None, text)
        );
    }
}

/// Texts that make a careless recogniser slow come to an end.
#[test]
fn hostile_texts_come_to_an_end() {
    let sanitizer = sanitizer("kinds: {ip: redact}");
    for piece in [
        "a@",
        "a%40",
        "@a.",
        "eyJ",
        "eyJ.",
        "eyJaaaaaaaa.",
        "sk-",
        "ghp_",
        "-----BEGIN ",
        "password:",
        "password=",
        "--password ",
        "\\\"",
        "\"password\":\"",
        "1 ",
        "12-",
        "+1",
        "(1)",
        "1.",
        "::1",
        "DE12 ",
        "DE12",
        "://a:b@",
        "a://",
        "Bearer ",
        "1234 ",
        "4111 ",
        "0123 ",
        "{\"a\":",
        "[",
        "\u{a0}",
        "a1B2c3D4",
        "cookie:",
        "token=x,",
        "Phone: 1",
        ":AA",
        "123456789:AA",
        "8Q~",
        "é@",
        "é1",
    ] {
        // Quadratic work on so much text would take hours.
        let text = piece.repeat((1 << 20) / piece.len());
        let clean = sanitizer.text(None, &text);
        assert!(clean.len() <= text.len() * 16, "{piece}: {}", clean.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn nothing_panics_and_twice_is_once(text in any::<String>()) {
        let sanitizer = sanitizer("kinds: {ip: redact}");
        let once = sanitizer.text(None, &text).into_owned();
        prop_assert_eq!(sanitizer.text(None, &once).into_owned(), once.clone());
    }

    #[test]
    fn likely_texts_do_not_panic(
        parts in prop::collection::vec(prop::sample::select(vec![
            "a", "B", "7", "12", "345", "6789", " ", "-", ".", "/", "(", ")", "+", "@", "%40", ":", "=",
            "x", "ext", "\"", "'", "\\", "\n", "é", "\u{a0}", "電話", "eyJ", "sk-", "GB29", "://",
            "password", "Bearer ", "-----BEGIN ", "PRIVATE KEY-----", "-----END ", "{", "}", "[", "]",
            "://u:p@", "example.com", "::", "phone ", "card ", "[EMAIL]", "--token ", "$", "AKIA",
        ]), 0..40),
    ) {
        let text = parts.concat();
        let sanitizer = sanitizer("kinds: {ip: redact, email: hash}");
        let _ = sanitizer.text(None, &text);
        let _ = sanitizer.value(None, &json!({ text.as_str(): [text.as_str()] }));
    }

    #[test]
    fn a_secret_goes_wherever_it_stands(
        before in "[ -~é]{0,40}",
        after in "[ -~é]{0,40}",
        secret in prop::sample::select(vec![
            "bob@example.com", "4111 1111 1111 1111", "GB29NWBK60161331926819", "054-28-6917",
            "+1-903-140-4508", "ghp_a1B2c3D4e5a1B2c3D4e5a1B2c3D4e5a1B2c3",
        ]),
    ) {
        let text = format!("{before}\n{secret}\n{after}");
        let shown = default().text(None, &text).into_owned();
        prop_assert!(!shown.contains(secret), "{}", shown);
    }

    #[test]
    fn names_keep_their_number(names in prop::collection::vec("(\\[EMAIL\\]|[ab]@b.co)( #[1-3])?", 0..8)) {
        let object: serde_json::Map<_, _> = names.iter().map(|n| (n.clone(), json!(1))).collect();
        let after = default().value(None, &Value::Object(object.clone()));
        prop_assert_eq!(after.as_object().map(serde_json::Map::len), Some(object.len()));
    }
}

#[derive(Deserialize)]
struct Row {
    text: String,
    spans: Vec<Labelled>,
}

#[derive(Deserialize)]
struct Labelled {
    entity_type: String,
    entity_value: String,
}

/// The path of a corpus, if it is there.
fn corpus(name: &str) -> Option<String> {
    let dir = std::env::var_os("WARRANTD_CORPORA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/corpora")),
        PathBuf::from,
    );
    let text = std::fs::read_to_string(dir.join(name)).ok();
    if text.is_none() {
        #[allow(clippy::print_stderr)]
        {
            eprintln!("skipped: corpus not present");
        }
    }
    text
}

#[test]
#[allow(clippy::print_stdout, clippy::cast_precision_loss)]
fn the_corpus_of_personal_data() {
    let Some(corpus) = corpus("presidio_synth_v2_sample.jsonl") else { return };
    let sanitizer = sanitizer("kinds: {ip: redact}");
    let required = [
        ("EMAIL_ADDRESS", 0.99),
        ("CREDIT_CARD", 0.99),
        ("IBAN_CODE", 0.99),
        ("US_SSN", 0.99),
        ("IP_ADDRESS", 0.99),
        ("PHONE_NUMBER", 0.95),
    ];
    let (mut seen, mut gone) = (BTreeMap::new(), BTreeMap::new());
    let (mut plain, mut unchanged) = (0, 0);
    let mut misses = String::new();
    for line in corpus.lines() {
        let row: Row = serde_json::from_str(line).expect("row");
        let shown = sanitizer.text(None, &row.text);
        let spans = row.spans.iter().filter(|s| required.iter().any(|(t, _)| *t == s.entity_type));
        let mut has_span = false;
        for span in spans {
            has_span = true;
            *seen.entry(span.entity_type.clone()).or_insert(0) += 1;
            if shown.contains(&span.entity_value) {
                let _ = writeln!(misses, "left: {} in {}", span.entity_value, row.text);
            } else {
                *gone.entry(span.entity_type.clone()).or_insert(0) += 1;
            }
        }
        if !has_span {
            plain += 1;
            if shown == row.text {
                unchanged += 1;
            } else {
                let _ = writeln!(misses, "changed: {} to {shown}", row.text);
            }
        }
    }
    println!("{misses}");
    for (kind, share) in required {
        let (seen, gone) =
            (seen.get(kind).copied().unwrap_or(0), gone.get(kind).copied().unwrap_or(0));
        println!("{kind}: {gone} of {seen} gone");
        assert!(f64::from(gone) >= share * f64::from(seen), "{kind}: {misses}");
    }
    println!("{unchanged} of {plain} texts without spans unchanged");
    assert!(unchanged * 100 >= plain * 99, "{misses}");
}

/// Statements and paths have no personal data in them; what is changed is wrongly changed.
#[test]
#[allow(clippy::print_stdout)]
fn the_other_corpora_stay() {
    for (name, field) in
        [("pg_regress_labelled.jsonl", "sql"), ("traversal_labelled.jsonl", "arg_under_root")]
    {
        let Some(corpus) = corpus(name) else { return };
        let sanitizer = default();
        let (mut all, mut unchanged, mut changes) = (0, 0, String::new());
        for line in corpus.lines() {
            let row: Value = serde_json::from_str(line).expect("row");
            let Some(text) = row[field].as_str() else { continue };
            all += 1;
            let shown = sanitizer.text(None, text);
            if shown == text {
                unchanged += 1;
            } else {
                let _ = writeln!(changes, "changed: {text} to {shown}");
            }
        }
        println!("{name}: {unchanged} of {all} unchanged\n{changes}");
        assert!(all > 0 && unchanged * 100 >= all * 99, "{changes}");
    }
}
