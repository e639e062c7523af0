//! Clients and servers of different eras, and clients that share a server.

use anyhow::ensure;
use libtest_mimic::Trial;
use serde_json::{Value, json};
use warrantd_tests::client::Client;
use warrantd_tests::harness::test;
use warrantd_tests::needs::Need;
use warrantd_tests::records;
use warrantd_tests::scratch::text;

use crate::daemon::{Daemon, KEY};
use crate::http_world::{PLAIN, World};
use crate::rig::{Rig, WITHHELD, expect_error};

const POLICY: &str = "
actors:
  - {id: assistant-service, allowed_tools: [count, announce, repeat, mumble, ask, garble]}
methods: {allow: [roots/list]}
";
const VERSION: &str = "io.modelcontextprotocol/protocolVersion";

pub(crate) fn tests() -> Vec<Trial> {
    const KERNEL: &[Need] = &[Need::Kernel];
    vec![
        test("eras::a_handshake_client_and_a_modern_server", KERNEL, handshake_to_modern),
        test("eras::a_modern_client_and_a_handshake_server", KERNEL, modern_to_handshake),
        test("eras::a_modern_client_and_a_modern_server", KERNEL, modern_to_modern),
        test("eras::a_probe_reaches_the_server_itself", KERNEL, probe),
        test("eras::no_common_revision_is_told", KERNEL, none_in_common),
        test("eras::clients_share_a_server_with_ids_of_their_own", KERNEL, shared),
        test("eras::a_client_that_leaves_is_forgotten", KERNEL, left),
        test("eras::requests_without_session_over_http", KERNEL, stateless),
        test("eras::an_answer_that_nobody_can_read_is_an_error", KERNEL, unreadable),
    ]
}

fn meta() -> Value {
    json!({
        VERSION: "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "t", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    })
}

fn modern_call(tool: &str, arguments: &Value) -> Value {
    json!({"name": tool, "arguments": arguments, "_meta": meta()})
}

fn teller(rig: &Rig, flags: &[&str]) -> anyhow::Result<Vec<String>> {
    let mut command = vec![text(&rig.scratch.program("teller")?)];
    command.extend(flags.iter().map(|flag| (*flag).to_owned()));
    Ok(command)
}

fn run(rig: &Rig, flags: &[&str]) -> anyhow::Result<Client> {
    Client::start(rig.run(&teller(rig, flags)?)?)
}

fn handshake_to_modern() -> anyhow::Result<()> {
    let rig = Rig::new(POLICY)?;
    let mut client = run(&rig, &["--era", "modern"])?;
    let hello = client.initialize()?;
    ensure!(hello.result()?["protocolVersion"] == "2025-06-18", "{}", hello.line);
    ensure!(hello.result()?["capabilities"]["tools"].is_object(), "{}", hello.line);
    let list = client.request("tools/list", &json!({}))?;
    ensure!(list.result()?["tools"].as_array().is_some_and(|tools| tools.len() == 6));
    let said = client.call("repeat", &json!({"text": "hé"}))?;
    ensure!(said.text()? == "hé", "{}", said.line);
    // It cannot be asked for more in the way of that era.
    expect_error(&client.call("ask", &json!({}))?, WITHHELD)?;
    ensure!(client.call("repeat", &json!({"text": "b"}))?.text()? == "b");
    client.request("ping", &json!({}))?.result()?;
    client.finish()?;
    let calls = records::calls(&rig.audit)?;
    ensure!(calls.len() == 3 && calls.iter().all(|call| call.verdict() == "WITHIN"), "{calls:?}");
    Ok(())
}

fn modern_to_handshake() -> anyhow::Result<()> {
    let rig = Rig::new(POLICY)?;
    let mut client = run(&rig, &["--era", "handshake"])?;
    let said = client.request("tools/call", &modern_call("repeat", &json!({"text": "hé"})))?;
    ensure!(said.text()? == "hé", "{}", said.line);
    ensure!(said.result()?["resultType"] == "complete", "{}", said.line);
    let list = client.request("tools/list", &json!({"_meta": meta()}))?;
    ensure!(list.result()?["ttlMs"] == 0 && list.result()?["cacheScope"] == "private");
    let told = client.request("server/discover", &json!({"_meta": meta()}))?;
    ensure!(told.result()?["supportedVersions"] == json!(["2026-07-28"]), "{}", told.line);
    client.finish()?;
    ensure!(records::calls(&rig.audit)?.len() == 1);
    Ok(())
}

/// Both understand each other, so every byte is the server's.
fn modern_to_modern() -> anyhow::Result<()> {
    let rig = Rig::new(POLICY)?;
    let mut client = run(&rig, &["--era", "modern"])?;
    let said = client.request("tools/call", &modern_call("repeat", &json!({"text": "a"})))?;
    ensure!(said.text()? == "a" && said.result()?.get("resultType").is_none(), "{}", said.line);
    let asked = client.request("tools/call", &modern_call("ask", &json!({})))?;
    ensure!(asked.result()?["resultType"] == "input_required", "{}", asked.line);
    Ok(())
}

/// A client of both eras that asks first gets the server's own answer, and goes on as with the server alone.
fn probe() -> anyhow::Result<()> {
    let rig = Rig::new(POLICY)?;
    let mut client = run(&rig, &["--era", "handshake"])?;
    let refused = client.request("server/discover", &json!({"_meta": meta()}))?;
    ensure!(refused.error_code() == Some(-32601), "{}", refused.line);
    client.initialize()?.result()?;
    ensure!(client.call("repeat", &json!({"text": "a"}))?.text()? == "a");
    Ok(())
}

fn none_in_common() -> anyhow::Result<()> {
    let rig = Rig::new(POLICY)?;
    let mut client = run(&rig, &["--era", "none"])?;
    let refused = client.initialize()?;
    ensure!(refused.error_code() == Some(-32601), "{}", refused.line);
    let mut client = run(&rig, &["--era", "none"])?;
    let refused = client.request("tools/call", &modern_call("repeat", &json!({"text": "a"})))?;
    let why = refused.message.pointer("/error/message").and_then(Value::as_str).unwrap_or_default();
    ensure!(why.contains("refuses every known revision"), "{}", refused.line);
    Ok(())
}

fn daemon(flags: &[&str]) -> anyhow::Result<Daemon> {
    let rig = Rig::new(POLICY)?;
    let command = teller(&rig, flags)?;
    Daemon::configured(rig, "[api_key]", &command, |config| config + "    instances: shared\n")
}

fn shared() -> anyhow::Result<()> {
    for era in ["handshake", "modern"] {
        let daemon = daemon(&["--era", era])?;
        let mut one = Client::connect(daemon.connect(Some(KEY))?)?;
        let mut other = Client::connect(daemon.connect(Some(KEY))?)?;
        // Both use the same id and the same token at the same time.
        let count = |steps: u64| {
            let params = json!({
                "name": "count",
                "arguments": {"steps": steps, "pause": 50},
                "_meta": {"progressToken": "t"},
            });
            json!({"jsonrpc": "2.0", "id": 77, "method": "tools/call", "params": params})
        };
        one.send(&count(3))?;
        other.send(&count(2))?;
        for (client, steps) in [(&mut one, 3), (&mut other, 2)] {
            let said = client.await_message(|message| message["id"] == 77)?;
            let expected = format!("counted to {steps}");
            ensure!(said["result"]["content"][0]["text"] == expected.as_str(), "{said}");
            let heard = client.received().lines().filter(|line| line.contains("progress")).count();
            ensure!(heard == steps, "{heard} of {steps}: {}", client.received());
            ensure!(client.received().contains("\"progressToken\":\"t\""), "{}", client.received());
        }
        // What one call says is for its client alone; that tools have changed is for both.
        ensure!(one.call("mumble", &json!({"text": "psst"}))?.text()? == "mumbled");
        ensure!(one.call("announce", &json!({}))?.text()? == "done");
        if era == "handshake" {
            other
                .await_message(|message| message["method"] == "notifications/tools/list_changed")?;
        }
        ensure!(one.received().contains("psst") && !other.received().contains("psst"));
        one.finish()?;
        ensure!(other.call("repeat", &json!({"text": "still"}))?.text()? == "still");
        other.finish()?;
        let calls = records::calls(&daemon.rig.audit)?;
        ensure!(
            calls.len() == 5 && calls.iter().all(|call| call.verdict() == "WITHIN"),
            "{calls:?}"
        );
        let attributions: Vec<_> =
            calls.iter().map(|call| call.get("effects")["attribution"].clone()).collect();
        ensure!(attributions.contains(&json!("exclusive")), "{attributions:?}");
        let ids: std::collections::BTreeSet<_> =
            calls.iter().map(|call| call.text("session_id").to_owned()).collect();
        ensure!(ids.len() == 2, "a session for each client: {ids:?}");
    }
    Ok(())
}

fn left() -> anyhow::Result<()> {
    let daemon = daemon(&[])?;
    let mut one = Client::connect(daemon.connect(Some(KEY))?)?;
    let mut other = Client::connect(daemon.connect(Some(KEY))?)?;
    let params = json!({"name": "count", "arguments": {"steps": 4, "pause": 200}});
    one.send(&json!({"jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": params}))?;
    std::thread::sleep(std::time::Duration::from_millis(200));
    one.kill()?;
    ensure!(other.call("repeat", &json!({"text": "a"}))?.text()? == "a");
    let gone = records::await_record(&daemon.rig.audit, |record| {
        record.text("event") == "call" && record.text("error").contains("cancelled")
    })?;
    ensure!(gone.text("tool_name") == "count", "{gone:?}");
    Ok(())
}

fn stateless() -> anyhow::Result<()> {
    let others = "  - {id: other-service}\n  - {id: stranger}\nmethods:";
    let policy = POLICY.replacen("methods:", others, 1);
    let world = World::start(Rig::new(&policy)?, "teller", PLAIN, "", |config| config)?;
    let endpoint = world
        .endpoint()
        .with("MCP-Protocol-Version", "2026-07-28")
        .with("Mcp-Method", "tools/call")
        .with("Mcp-Name", "repeat");
    for n in 0..3 {
        let params = modern_call("repeat", &json!({"text": format!("t{n}")}));
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
        let answer = endpoint.post(&message)?.answer()?;
        let text = answer.pointer("/result/content/0/text").and_then(Value::as_str);
        ensure!(text == Some(format!("t{n}").as_str()), "{answer}");
    }
    let calls = records::calls(&world.daemon.rig.audit)?;
    let ids: std::collections::BTreeSet<_> =
        calls.iter().map(|call| call.text("session_id").to_owned()).collect();
    ensure!(calls.len() == 3 && ids.len() == 1, "one conversation for the actor: {calls:?}");
    Ok(())
}

fn unreadable() -> anyhow::Result<()> {
    let rig = Rig::new(POLICY)?;
    let mut client = Client::connect(rig.run(&teller(&rig, &["--era", "handshake"])?)?)?;
    client.request("tools/list", &json!({}))?.result()?;
    for how in ["twice", "deep 100"] {
        let reply = client.call("garble", &json!({"how": how}))?;
        expect_error(&reply, WITHHELD)?;
        ensure!(!reply.line.contains("SECRET"), "{}", reply.line);
        let reason = reply.message.pointer("/error/data/reason");
        ensure!(reason == Some(&json!("unreadable_answer")), "{}", reply.line);
    }
    // Its twin, and the session goes on.
    client.call("garble", &json!({"how": "deep 10"}))?.result()?;
    client.finish()?;
    let calls = records::calls(&rig.audit)?;
    ensure!(calls.len() == 3, "{calls:?}");
    ensure!(calls[0].text("error").contains("unambiguous"), "{:?}", calls[0]);
    Ok(())
}
