//! Methods beside tool calls: what clients may ask, what servers may ask their clients, and what the log
//! says of both.

use std::path::PathBuf;

use anyhow::{Context, ensure};
use libtest_mimic::Trial;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use warrantd_tests::client::{Client, Reply};
use warrantd_tests::harness::test;
use warrantd_tests::needs::Need;
use warrantd_tests::places;
use warrantd_tests::records::{self, Record};

use crate::rig::{DENIED, NOTE, Rig, WITHHELD, expect_error};

/// All that the server can ask, and what its tools need.
const OPEN: &str = "
actors:
  - id: tester
    allowed_tools:
      [echo, trigger-sampling-request, trigger-elicitation-request, get-roots-list, toggle-subscriber-updates]
methods:
  allow:
    - resources/*
    - prompts/get
    - completion/complete
    - sampling/createMessage
    - elicitation/create
    - roots/list
  resources/read: {allowed_uris: ['demo://resource/**'], denied_uris: ['demo://other/**', 'demo://**/text/7']}
  prompts/get: {denied_prompts: ['args-*']}
  completion/complete: {allowed_prompts: [completable-prompt]}
  sampling/createMessage: {max_tokens: 100}
context:
  end_user_id: {meta: com.example/user}
  context_sources: {meta: com.example.sources}
";

/// The same tools, and nothing besides.
const CLOSED: &str = "
actors:
  - id: tester
    allowed_tools:
      [echo, trigger-sampling-request, trigger-elicitation-request, get-roots-list]
methods:
  deny: [logging/setLevel]
";

const EVERYTHING: &[Need] = &[Need::Kernel, Need::NpmServer("server-everything")];

pub(crate) fn tests() -> Vec<Trial> {
    const KERNEL: &[Need] = &[Need::Kernel];
    vec![
        test("methods::what_can_act_is_denied_unless_it_is_allowed", EVERYTHING, closed),
        test("methods::resources_prompts_and_completions_go_by_policy", EVERYTHING, open),
        test("methods::a_client_hears_of_what_it_subscribed_to", EVERYTHING, subscribed),
        test("methods::a_server_asks_the_clients_model", EVERYTHING, sampling),
        test("methods::a_server_asks_the_clients_user_and_roots", EVERYTHING, elicitation),
        test("methods::what_is_asked_and_denied_reaches_no_client", EVERYTHING, not_asked),
        test("methods::an_answer_that_nobody_asked_for_is_not_carried", EVERYTHING, unasked),
        test("methods::the_log_says_on_whose_behalf", EVERYTHING, context),
        test("methods::a_resource_that_is_a_file_is_read_and_no_other", KERNEL, file),
        test("methods::what_else_is_read_with_a_resource_is_withheld", KERNEL, rogue),
        test("methods::an_answer_that_asks_for_input_goes_by_policy", KERNEL, inquiry),
        test("methods::resources_are_counted", KERNEL, counted),
    ]
}

fn everything() -> anyhow::Result<Vec<PathBuf>> {
    places::npm_server("server-everything").map_err(anyhow::Error::msg)
}

/// A client of the everything server that answers what it is asked.
fn client(rig: &Rig) -> anyhow::Result<Client> {
    let capabilities = json!({"sampling": {}, "elicitation": {}, "roots": {"listChanged": true}});
    let client = Client::start(rig.run(&everything()?)?)?;
    let mut client = client.answering(capabilities, |method, _| match method {
        "sampling/createMessage" => Ok(json!({
            "role": "assistant", "model": "test-model", "stopReason": "endTurn",
            "content": {"type": "text", "text": "the model's own words"},
        })),
        "elicitation/create" => Ok(json!({"action": "accept", "content": {"name": "Ada Example"}})),
        "roots/list" => Ok(json!({"roots": [{"uri": "file:///srv/project", "name": "project"}]})),
        _ => Err(json!({"code": -32601, "message": "method not found"})),
    });
    client.initialize()?.result()?;
    Ok(client)
}

/// Ends a session. With these capabilities the server itself goes on when its input has ended.
fn leave(client: Client) -> anyhow::Result<()> {
    kill(Pid::from_raw(client.pid().try_into()?), Signal::SIGTERM)?;
    let ending = client.ending()?;
    ensure!(ending.status.success(), "{ending:?}");
    Ok(())
}

fn read(client: &mut Client, uri: &str) -> anyhow::Result<Reply> {
    client.request("resources/read", &json!({ "uri": uri }))
}

/// What was recorded of what the server asked.
fn asked(rig: &Rig, method: &str) -> anyhow::Result<Vec<Record>> {
    let mut records = records::read(&rig.audit)?;
    records.retain(|r| r.text("event") == "server_request" && r.text("method") == method);
    Ok(records)
}

fn closed() -> anyhow::Result<()> {
    let rig = Rig::new(CLOSED)?;
    let mut client = client(&rig)?;
    for (method, params) in [
        ("resources/read", json!({"uri": "demo://resource/dynamic/text/1"})),
        ("resources/subscribe", json!({"uri": "demo://resource/dynamic/text/1"})),
        ("resources/unsubscribe", json!({"uri": "demo://resource/dynamic/text/1"})),
        ("prompts/get", json!({"name": "simple-prompt"})),
        (
            "completion/complete",
            json!({
                "ref": {"type": "ref/prompt", "name": "completable-prompt"},
                "argument": {"name": "department", "value": "E"},
            }),
        ),
        ("logging/setLevel", json!({"level": "debug"})),
        ("resources/delete", json!({"uri": "demo://resource/dynamic/text/1"})),
        ("com.example/shutdown", json!({})),
    ] {
        let reply = client.request(method, &params)?;
        expect_error(&reply, DENIED)?;
        let record = rig.record_of(&reply)?;
        ensure!(record.text("method") == method, "{record:#?}");
        ensure!(record.text("policy_rule_matched").starts_with("methods"), "{record:#?}");
        ensure!(record.text("policy_decision") == "DENY", "{record:#?}");
    }
    // What cannot act is no business of policy unless it says so.
    for method in
        ["ping", "resources/list", "resources/templates/list", "prompts/list", "tools/list"]
    {
        client.request(method, &json!({}))?.result()?;
    }
    ensure!(client.call("echo", &json!({"message": "still here"}))?.text()?.contains("still here"));
    leave(client)?;
    Ok(())
}

fn open() -> anyhow::Result<()> {
    let rig = Rig::new(OPEN)?;
    let mut client = client(&rig)?;
    for uri in ["demo://resource/dynamic/text/1", "demo://resource/static/document/features.md"] {
        let reply = read(&mut client, uri)?;
        let text = reply.result()?["contents"][0]["text"].as_str().unwrap_or_default().to_owned();
        ensure!(!text.is_empty(), "{}", reply.line);
    }
    client.request("prompts/get", &json!({"name": "simple-prompt"}))?.result()?;
    let complete = |prompt: &str| {
        json!({
            "ref": {"type": "ref/prompt", "name": prompt},
            "argument": {"name": "department", "value": "E"},
        })
    };
    let reply = client.request("completion/complete", &complete("completable-prompt"))?;
    ensure!(reply.result()?["completion"]["values"] == json!(["Engineering"]), "{}", reply.line);
    client.request("logging/setLevel", &json!({"level": "debug"}))?.result()?;
    let allowed = records::calls(&rig.audit)?;
    ensure!(allowed.len() == 4, "{allowed:#?}");
    for record in &allowed {
        ensure!(record.text("policy_rule_matched") == "methods.allow", "{record:#?}");
        ensure!(record.verdict() == "WITHIN", "{record:#?}");
        ensure!(record.get("tool_name").is_null(), "{record:#?}");
    }
    let uri = allowed.first().map(|record| record.text("arguments.uri").to_owned());
    ensure!(uri.as_deref() == Some("demo://resource/dynamic/text/1"), "{uri:?}");
    for (method, params, rule) in [
        ("resources/read", json!({"uri": "demo://resource/dynamic/text/7"}), "denied_uris[1]"),
        ("resources/read", json!({"uri": "demo://resource/dynamic/text/%37"}), "denied_uris[1]"),
        ("resources/read", json!({"uri": "file:///etc/passwd"}), "allowed_uris"),
        ("resources/read", json!({"uri": "demo://resource/../../etc/passwd"}), "resources/read"),
        (
            "prompts/get",
            json!({"name": "args-prompt", "arguments": {"city": "x"}}),
            "denied_prompts[0]",
        ),
        ("completion/complete", complete("resource-prompt"), "allowed_prompts"),
    ] {
        let reply = client.request(method, &params)?;
        expect_error(&reply, DENIED)?;
        let record = rig.record_of(&reply)?;
        ensure!(record.text("policy_rule_matched").ends_with(rule), "{record:#?}");
    }
    leave(client)?;
    Ok(())
}

fn subscribed() -> anyhow::Result<()> {
    let rig = Rig::new(OPEN)?;
    let mut client = client(&rig)?;
    let uri = json!({"uri": "demo://resource/dynamic/text/2"});
    client.request("resources/subscribe", &uri)?.result()?;
    client.call("toggle-subscriber-updates", &json!({}))?.result()?;
    let told = client.await_message(|m| m["method"] == "notifications/resources/updated")?;
    ensure!(told["params"]["uri"] == uri["uri"], "{told}");
    client.request("resources/unsubscribe", &uri)?.result()?;
    leave(client)?;
    Ok(())
}

fn sampling() -> anyhow::Result<()> {
    let rig = Rig::new(OPEN)?;
    let mut client = client(&rig)?;
    let sample = |client: &mut Client, tokens: u32| {
        let arguments = json!({"prompt": "a line for the model", "maxTokens": tokens});
        client.call("trigger-sampling-request", &arguments)
    };
    let reply = sample(&mut client, 50)?;
    ensure!(reply.text()?.contains("the model's own words"), "{}", reply.line);
    let reply = sample(&mut client, 5000)?;
    ensure!(!reply.line.contains("the model's own words"), "{}", reply.line);
    ensure!(reply.line.contains("denied by policy"), "the server is told why: {}", reply.line);
    let of_model = client.asked().iter().filter(|m| m["method"] == "sampling/createMessage");
    ensure!(of_model.count() == 1, "{:?}", client.asked());
    leave(client)?;
    let [allowed, denied] = asked(&rig, "sampling/createMessage")?
        .try_into()
        .map_err(|records| anyhow::anyhow!("{records:#?}"))?;
    ensure!(allowed.text("policy_decision") == "ALLOW" && allowed.text("status") == "SUCCESS");
    ensure!(allowed.text("policy_rule_matched") == "methods.allow", "{allowed:#?}");
    ensure!(allowed.get("arguments.maxTokens") == &json!(50), "{allowed:#?}");
    ensure!(!allowed.0.to_string().contains("a line for the model"), "{allowed:#?}");
    ensure!(denied.text("policy_decision") == "DENY", "{denied:#?}");
    let rule = "methods.sampling/createMessage.max_tokens";
    ensure!(denied.text("policy_rule_matched") == rule, "{denied:#?}");
    for record in [&allowed, &denied] {
        let calls = records::calls(&rig.audit)?;
        let during = record.get("during").as_array().context("calls")?;
        let known = |id: &Value| calls.iter().any(|call| call.get("correlation_id") == id);
        ensure!(during.len() == 1 && during.iter().all(known), "{record:#?}");
    }
    Ok(())
}

fn elicitation() -> anyhow::Result<()> {
    let rig = Rig::new(OPEN)?;
    let mut client = client(&rig)?;
    let reply = client.call("trigger-elicitation-request", &json!({}))?;
    ensure!(reply.text()?.contains("User provided"), "{}", reply.line);
    let reply = client.call("get-roots-list", &json!({}))?;
    ensure!(reply.line.contains("file:///srv/project"), "{}", reply.line);
    leave(client)?;
    let records = asked(&rig, "elicitation/create")?;
    let [record] = records.as_slice() else { anyhow::bail!("{records:#?}") };
    ensure!(record.text("policy_decision") == "ALLOW", "{record:#?}");
    ensure!(record.get("arguments.fields").as_array().is_some_and(|fields| fields.len() > 5));
    ensure!(!record.0.to_string().contains("Ada"), "what the user said is not logged: {record:#?}");
    ensure!(!asked(&rig, "roots/list")?.is_empty());
    // The same question, of which one field may not be asked.
    let limit = "  elicitation/create: {denied_fields: ['*EMAIL*']}\ncontext:";
    let rig = Rig::new(&OPEN.replace("context:", limit))?;
    let mut client = self::client(&rig)?;
    let reply = client.call("trigger-elicitation-request", &json!({}))?;
    ensure!(!reply.line.contains("User provided"), "{}", reply.line);
    ensure!(client.asked().iter().all(|m| m["method"] != "elicitation/create"));
    leave(client)?;
    let records = asked(&rig, "elicitation/create")?;
    let rules = records.iter().map(|record| record.text("policy_rule_matched"));
    ensure!(rules.eq(["methods.elicitation/create.denied_fields[0]"]), "{records:#?}");
    Ok(())
}

fn not_asked() -> anyhow::Result<()> {
    let rig = Rig::new(CLOSED)?;
    let mut client = client(&rig)?;
    for (tool, arguments) in [
        ("trigger-sampling-request", json!({"prompt": "x", "maxTokens": 5})),
        ("trigger-elicitation-request", json!({})),
        ("get-roots-list", json!({})),
    ] {
        let reply = client.call(tool, &arguments)?;
        for words in ["the model's own words", "Ada", "file:///srv/project"] {
            ensure!(!reply.line.contains(words), "{}", reply.line);
        }
    }
    ensure!(client.asked().is_empty(), "{:?}", client.asked());
    leave(client)?;
    for method in ["sampling/createMessage", "elicitation/create", "roots/list"] {
        let records = asked(&rig, method)?;
        ensure!(!records.is_empty(), "{method}");
        for record in records {
            ensure!(record.text("policy_decision") == "DENY", "{record:#?}");
            ensure!(record.text("policy_rule_matched") == "methods", "{record:#?}");
        }
    }
    Ok(())
}

fn unasked() -> anyhow::Result<()> {
    let rig = Rig::new(OPEN)?;
    let mut client = client(&rig)?;
    client.call("get-roots-list", &json!({}))?.result()?;
    let id = client.asked().first().context("it asked")?["id"].clone();
    // A second answer under the same id.
    client.send(&json!({"jsonrpc": "2.0", "id": id, "result": {"roots": []}}))?;
    client.send(&json!({"jsonrpc": "2.0", "id": 4711, "result": {}}))?;
    client.call("echo", &json!({"message": "x"}))?.result()?;
    leave(client)?;
    let refused = records::read(&rig.audit)?;
    let nobody = |r: &&Record| r.text("error").contains("nobody asked for");
    ensure!(refused.iter().filter(nobody).count() == 2, "{refused:#?}");
    Ok(())
}

fn context() -> anyhow::Result<()> {
    const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let rig = Rig::new(OPEN)?;
    let mut client = client(&rig)?;
    let meta = json!({
        "com.example/user": "user-17\u{1b}[2J",
        "com": {"example": {"sources": ["wiki", "mail"]}},
        "traceparent": TRACE,
    });
    let uri = "demo://resource/dynamic/text/1";
    client.request("resources/read", &json!({"uri": uri, "_meta": meta}))?.result()?;
    let call = json!({"name": "echo", "arguments": {"message": "x"}, "_meta": meta});
    client.request("tools/call", &call)?.result()?;
    let denied = json!({"uri": "file:///etc/passwd", "_meta": meta});
    expect_error(&client.request("resources/read", &denied)?, DENIED)?;
    let bare =
        json!({"name": "echo", "arguments": {"message": "x"}, "_meta": {"traceparent": "x"}});
    client.request("tools/call", &bare)?.result()?;
    leave(client)?;
    let mut calls = records::calls(&rig.audit)?;
    let last = calls.pop().context("four calls")?;
    ensure!(calls.len() == 3, "{calls:#?}");
    for record in &calls {
        ensure!(record.text("end_user_id") == "user-17 [2J", "{record:#?}");
        ensure!(record.get("context_sources") == &json!(["wiki", "mail"]), "{record:#?}");
        ensure!(record.text("traceparent") == TRACE, "{record:#?}");
        ensure!(record.text("actor") == "tester", "who is authenticated stays: {record:#?}");
    }
    ensure!(last.get("traceparent").is_null() && last.get("end_user_id").is_null(), "{last:#?}");
    Ok(())
}

/// A policy under which files may be read as resources.
const FILES: &str = "
actors: [{id: tester, allowed_tools: [confirm_and_read]}]
methods:
  allow: [resources/read]
  resources/read: {allowed_paths: ['public/**'], denied_paths: ['**/*.key']}
";

fn file() -> anyhow::Result<()> {
    let rig = Rig::new(FILES)?;
    rig.scratch.file("root/public/a.key", "a key")?;
    std::os::unix::fs::symlink("../secret.txt", rig.root.join("public/link"))?;
    let mut client = Client::connect(rig.run(&rig.rogue(&[])?)?)?;
    let uri = |path: &str| format!("file://{}", rig.root.join(path).display());
    let reply = read(&mut client, &uri("public/note.txt"))?;
    ensure!(reply.result()?["contents"][0]["text"] == NOTE, "{}", reply.line);
    for (path, rule) in [
        ("secret.txt", "allowed_uris"),
        ("public/../secret.txt", "allowed_uris"),
        ("public/%2e%2e/secret.txt", "allowed_uris"),
        ("public/%252e%252e/secret.txt", "methods.resources/read"),
        ("public/link", "allowed_uris"),
        ("public/a.key", "denied_paths[0]"),
        ("public/A%2eKEY", "denied_paths[0]"),
    ] {
        let reply = read(&mut client, &uri(path))?;
        expect_error(&reply, DENIED)?;
        let record = rig.record_of(&reply)?;
        ensure!(record.text("policy_rule_matched").ends_with(rule), "{path}: {record:#?}");
    }
    client.finish()?;
    let records = records::calls(&rig.audit)?;
    let first = records.first().context("a record")?;
    ensure!(first.verdict() == "WITHIN" && first.warranted().len() == 1, "{first:#?}");
    Ok(())
}

fn rogue() -> anyhow::Result<()> {
    let rig = Rig::new(FILES)?;
    let secret = rig.root.join("secret.txt").display().to_string();
    let mut client = Client::connect(rig.run(&rig.rogue(&["--also-read", &secret])?)?)?;
    let uri = format!("file://{}", rig.root.join("public/note.txt").display());
    let reply = read(&mut client, &uri)?;
    expect_error(&reply, WITHHELD)?;
    ensure!(!client.received().contains("note that may be read"), "{}", client.received());
    client.finish()?;
    let record = rig.only_record()?;
    ensure!(record.verdict() == "EXCEEDED", "{record:#?}");
    ensure!(record.exceeded().iter().any(|effect| effect["path"] == json!(secret)), "{record:#?}");
    Ok(())
}

fn inquiry() -> anyhow::Result<()> {
    let arguments = json!({"path": "public/note.txt"});
    for (policy, carried) in [
        (FILES.to_owned(), false),
        (FILES.replace("allow: [", "allow: [elicitation/create, "), true),
    ] {
        let rig = Rig::new(&policy)?;
        let mut client = Client::connect(rig.run(&rig.rogue(&[])?)?)?;
        let reply = client.call("confirm_and_read", &arguments)?;
        if carried {
            ensure!(reply.result()?["resultType"] == "input_required", "{}", reply.line);
        } else {
            expect_error(&reply, WITHHELD)?;
            ensure!(!reply.line.contains("Sure?"), "{}", reply.line);
        }
        client.finish()?;
        let asked = asked(&rig, "tools/call")?;
        let [record] = asked.as_slice() else { anyhow::bail!("{asked:#?}") };
        let expected = if carried { "ALLOW" } else { "DENY" };
        ensure!(record.text("policy_decision") == expected, "{record:#?}");
        let call = rig.only_record()?;
        ensure!(call.get("correlation_id") == record.get("correlation_id"), "{record:#?}");
        ensure!(call.text("status") == if carried { "SUCCESS" } else { "FAILURE" }, "{call:#?}");
    }
    Ok(())
}

fn counted() -> anyhow::Result<()> {
    let limit = "{rate_limit: {max_calls_per_hour: 2}, allowed_paths: ['public/**'],";
    let rig = Rig::new(&FILES.replace("{allowed_paths: ['public/**'],", limit))?;
    let mut client = Client::connect(rig.run(&rig.rogue(&[])?)?)?;
    let uri = format!("file://{}", rig.root.join("public/note.txt").display());
    for _ in 0..2 {
        read(&mut client, &uri)?.result()?;
    }
    let reply = read(&mut client, &uri)?;
    let record = rig.record_of(&reply)?;
    let rule = "methods.resources/read.rate_limit.max_calls_per_hour";
    ensure!(record.text("policy_rule_matched") == rule, "{record:#?}");
    client.finish()?;
    Ok(())
}
