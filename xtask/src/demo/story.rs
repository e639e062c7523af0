//! The story, call by call.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::ensure;
use serde_json::{Value, json};
use warrantd_tests::client::Reply;
use warrantd_tests::records::Record;

use super::paint::Paint;
use super::stage::{METADATA, Outcome, POLICY, Stage, WELCOME};

pub(super) fn introduction(paint: &Paint, stage: &Stage) {
    println!();
    println!("{}", paint.title("warrantd stands between an AI assistant and its MCP servers."));
    println!("Every call is decided by policy. Then the kernel says what the call really did, and");
    println!("only then does the answer leave. The policy of this demonstration:");
    println!();
    for line in POLICY.lines() {
        println!("    {}", paint.quiet(line));
    }
    println!();
    println!("The server's directory holds {} and payroll.csv.", stage.short("notes/welcome.txt"));
}

/// A call that is allowed and does what it says.
pub(super) fn allowed_read(paint: &Paint, stage: &Stage) -> anyhow::Result<()> {
    scene(paint, 1, "An allowed read, by the real filesystem server");
    let server = stage.filesystem_server()?;
    let call = read(&stage.root.join("notes/welcome.txt").to_string_lossy());
    server_line(paint, stage, &server);
    call_line(stage, &call);
    let outcome = stage.guarded(&server, (call.0, &call.1))?;
    answer_line(paint, "gets", &outcome.reply);
    record_lines(paint, stage, &outcome.record);
    ensure!(outcome.reply.text()? == WELCOME, "not the file's text: {}", outcome.reply.line);
    expect(&outcome, "WITHIN")
}

/// A call that policy denies.
pub(super) fn traversal(paint: &Paint, stage: &Stage) -> anyhow::Result<()> {
    scene(paint, 2, "A way out of the allowed directory: denied before the server hears of it");
    let server = stage.filesystem_server()?;
    let call = read("notes/../payroll.csv");
    server_line(paint, stage, &server);
    call_line(stage, &call);
    let outcome = stage.guarded(&server, (call.0, &call.1))?;
    answer_line(paint, "gets", &outcome.reply);
    record_lines(paint, stage, &outcome.record);
    ensure!(outcome.record.text("policy_decision") == "DENY", "{:#?}", outcome.record);
    Ok(())
}

/// A call that policy allows, whose connection the kernel does not.
pub(super) fn metadata(paint: &Paint, stage: &Stage) -> anyhow::Result<()> {
    scene(paint, 3, "A fetch tool is talked into asking the cloud's metadata service");
    let server = stage.rogue_server(&[])?;
    let call = ("http_get", json!({"host": METADATA, "port": 80}));
    server_line(paint, stage, &server);
    call_line(stage, &call);
    let reply = stage.bare(&server, (call.0, &call.1))?;
    answer_line(paint, "without warrantd gets", &reply);
    ensure!(stage.reached_metadata(), "the service of this demonstration was not reached");
    let outcome = stage.guarded(&server, (call.0, &call.1))?;
    answer_line(paint, "with it gets", &outcome.reply);
    ensure!(!stage.reached_metadata(), "the metadata service was reached");
    println!("  service  heard nothing: connect() failed with EPERM");
    record_lines(paint, stage, &outcome.record);
    expect(&outcome, "EXCEEDED")
}

/// A call that is allowed, whose answer is right, and which does something else beside.
pub(super) fn rogue(paint: &Paint, stage: &Stage) -> anyhow::Result<()> {
    scene(paint, 4, "A rogue server: the right answer, and a look at the payroll meanwhile");
    let payroll = stage.root.join("payroll.csv");
    let server = stage.rogue_server(&["--also-read", &payroll.to_string_lossy()])?;
    let call = read("notes/welcome.txt");
    server_line(paint, stage, &server);
    call_line(stage, &call);
    let reply = stage.bare(&server, (call.0, &call.1))?;
    answer_line(paint, "without warrantd gets", &reply);
    let outcome = stage.guarded(&server, (call.0, &call.1))?;
    answer_line(paint, "with it gets", &outcome.reply);
    ensure!(!outcome.reply.line.contains(WELCOME), "not withheld: {}", outcome.reply.line);
    record_lines(paint, stage, &outcome.record);
    expect(&outcome, "EXCEEDED")
}

pub(super) fn end(paint: &Paint, took: Duration) {
    println!();
    let end = format!("That was warrantd, in {:.0} seconds.", took.as_secs_f32());
    println!("{}", paint.title(&end));
}

fn read(path: &str) -> (&'static str, Value) {
    ("read_text_file", json!({"path": path}))
}

/// The demonstration is a test as well: it does not tell what did not happen.
fn expect(outcome: &Outcome, verdict: &str) -> anyhow::Result<()> {
    ensure!(outcome.record.verdict() == verdict, "not {verdict}: {:#?}", outcome.record);
    Ok(())
}

fn scene(paint: &Paint, number: u32, title: &str) {
    println!();
    println!("{}", paint.title(&format!("{number}. {title}")));
}

fn server_line(paint: &Paint, stage: &Stage, server: &[PathBuf]) {
    let command = format!("warrantd run --policy policy.yaml -- {}", stage.typed(server));
    println!("  server   {}", paint.quiet(&command));
}

fn call_line(stage: &Stage, (tool, arguments): &(&str, Value)) {
    let values = arguments.as_object().into_iter().flatten();
    let shown: Vec<_> = values
        .map(|(name, value)| match value.as_str() {
            Some(text) => format!("{name}: {}", stage.short(text)),
            None => format!("{name}: {value}"),
        })
        .collect();
    println!("  client   calls {tool} {{{}}}", shown.join(", "));
}

/// What the client got; `how` tells it apart from what it got otherwise.
fn answer_line(paint: &Paint, how: &str, reply: &Reply) {
    let error = reply.message.get("error");
    let answer = match (reply.text(), error) {
        (Ok(text), _) => paint.good(&format!("\"{}\"", text.trim())),
        (_, Some(error)) => {
            let message = error["message"].as_str().unwrap_or_default();
            let message = message.split("; ").next().unwrap_or_default();
            paint.bad(&format!("error {}: {message}", error["code"]))
        }
        _ => reply.line.clone(),
    };
    println!("  client   {how} {answer}");
}

/// A record in a few lines: what was decided, what happened, what the kernel saw.
fn record_lines(paint: &Paint, stage: &Stage, record: &Record) {
    let word = |field: &str| paint.word(record.text(field));
    let verdict = match record.verdict() {
        "" => String::new(),
        _ => format!(", verdict {}", word("effects.verdict")),
    };
    let (decision, rule) = (word("policy_decision"), record.text("policy_rule_matched"));
    println!("  {}    {decision} by {rule}{verdict}", paint.title("audit"));
    let whom = format!(
        "status {}, actor {}, server as {}, id {}",
        record.text("status"),
        record.text("actor"),
        record.text("effective_principal"),
        record.text("correlation_id"),
    );
    println!("           {}", paint.quiet(&whom));
    for effect in record.warranted() {
        println!("           kernel saw {}: covered by the warrant", effect_text(stage, effect));
    }
    for effect in record.exceeded() {
        let what = format!("{}: NOT covered by the warrant", effect_text(stage, effect));
        println!("           kernel saw {}", paint.bad(&what));
    }
}

fn effect_text(stage: &Stage, effect: &Value) -> String {
    let text = |field: &str| effect[field].as_str().unwrap_or_default();
    let target = match effect["path"].as_str() {
        Some(path) => stage.short(path),
        None => format!("{} {}", text("protocol"), text("peer")),
    };
    let denied = if text("outcome") == "denied" { " (denied)" } else { "" };
    format!("{} {target}{denied} by process {}", text("kind"), effect["pid"])
}
