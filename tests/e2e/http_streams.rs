//! HTTP in front: streams, resumption, time and number; and requests of the modern era.

use std::io::Write;

use anyhow::{Context, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use warrantd_tests::harness::test;
use warrantd_tests::http::{Endpoint, Response, call, initialize};
use warrantd_tests::needs::Need;
use warrantd_tests::records::await_record;

use crate::http_world::{PLAIN, World, refused};
use crate::rig::DENIED;

const INVALID: i64 = -32600;
const MISMATCH: i64 = -32020;

pub(crate) fn tests() -> Vec<Trial> {
    const KERNEL: &[Need] = &[Need::Kernel];
    vec![
        test("http_streams::what_is_told_during_a_call_comes_before_its_answer", KERNEL, progress),
        test("http_streams::a_broken_stream_is_resumed", KERNEL, resumed),
        test("http_streams::a_cancelled_call_ends_its_stream", KERNEL, cancelled),
        test("http_streams::there_is_a_general_stream", KERNEL, general),
        test("http_streams::slow_requests_are_given_up", KERNEL, slow),
        test("http_streams::too_many_requests_are_told_when_to_come_again", KERNEL, too_many),
        test("http_streams::an_idle_session_ends", KERNEL, idle),
        test("http_streams::a_modern_request_stands_alone", KERNEL, modern),
        test("http_streams::modern_headers_say_what_the_message_says", KERNEL, modern_headers),
        test("http_streams::a_modern_request_ends_with_its_connection", KERNEL, modern_cancelled),
    ]
}

fn progress() -> anyhow::Result<()> {
    let world = World::teller(PLAIN, "")?;
    let session = world.endpoint().session()?;
    let mut stream = session.post(&call(1, "count", &json!({"steps": 3, "pause": 5})))?;
    ensure!(stream.header("content-type") == Some("text/event-stream"), "{stream:?}");
    let priming = stream.event()?.context("an event")?;
    ensure!(priming.data.is_empty() && priming.id.as_deref() == Some("2-0"), "{priming:?}");
    ensure!(priming.retry.is_some(), "{priming:?}");
    for step in 1..=3 {
        let event = stream.event()?.context("an event")?;
        ensure!(event.id == Some(format!("2-{step}")), "{event:?}");
        let message = event.json()?;
        ensure!(message["method"] == "notifications/progress", "{message}");
        ensure!(message["params"]["progress"] == step, "{message}");
    }
    let answer = stream.event()?.context("an answer")?.json()?;
    ensure!(answer["id"] == 1 && stream.event()?.is_none(), "{answer}");
    // An older client does not know events without a message.
    let old = world.endpoint().post(&initialize("2025-06-18"))?;
    let id = old.header("mcp-session-id").context("an id")?.to_owned();
    let old = world.endpoint().with("Mcp-Session-Id", &id);
    let mut stream = old.post(&call(1, "count", &json!({"steps": 1})))?;
    ensure!(stream.event()?.context("an event")?.json()?["method"] == "notifications/progress");
    Ok(())
}

fn resumed() -> anyhow::Result<()> {
    let world = World::teller(PLAIN, "")?;
    let session = world.endpoint().session()?;
    let mut broken = session.post(&call(1, "count", &json!({"steps": 6, "pause": 100})))?;
    broken.event()?.context("the first event")?;
    let last = broken.event()?.context("an event")?.id.context("an id")?;
    drop(broken);
    let again = session.clone().with("Last-Event-ID", &last);
    let mut stream = again.listen()?;
    ensure!(stream.status == 200, "{}", stream.shown());
    let mut steps = Vec::new();
    let answer = loop {
        let message = stream.event()?.context("an answer")?.json()?;
        if message.get("id").is_some() {
            break message;
        }
        steps.push(message["params"]["progress"].as_u64().context("a step")?);
    };
    ensure!(steps == [2, 3, 4, 5, 6] && answer["id"] == 1, "{steps:?} {answer}");
    // The same once more, from the store.
    let mut stream = again.listen()?;
    let mut events = 0;
    while stream.event()?.is_some() {
        events += 1;
    }
    ensure!(events == 6, "{events}");
    for wrong in ["9-1", "2-99", "x", "2", "-1-1"] {
        refused(session.clone().with("Last-Event-ID", wrong).listen()?, 400, INVALID)?;
    }
    Ok(())
}

fn cancelled() -> anyhow::Result<()> {
    let world = World::teller(PLAIN, "")?;
    let session = world.endpoint().session()?;
    let mut stream = session.post(&call(1, "count", &json!({"steps": 20, "pause": 100})))?;
    stream.event()?.context("the first event")?;
    let params = json!({"requestId": 1, "reason": "enough"});
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params});
    ensure!(session.post(&cancel)?.status == 202);
    let answer = stream.answer()?;
    ensure!(answer["error"]["code"] == -32800 && answer["id"] == 1, "{answer}");
    // The server may still answer the first one, so its id is not free.
    let next = session.call(2, "repeat", &json!({"text": "on"}))?;
    ensure!(next.pointer("/result/content/0/text") == Some(&json!("on")), "{next}");
    let record =
        await_record(&world.daemon.rig.audit, |record| record.text("tool_name") == "count")?;
    ensure!(record.text("error").contains("cancelled"), "{record:#?}");
    Ok(())
}

fn general() -> anyhow::Result<()> {
    let world = World::teller(PLAIN, "")?;
    let session = world.endpoint().session()?;
    let mut stream = session.listen()?;
    ensure!(stream.status == 200, "{}", stream.shown());
    refused(session.listen()?, 409, INVALID)?;
    session.call(1, "announce", &json!({}))?;
    let event = stream.event()?.context("an event")?;
    ensure!(event.json()?["method"] == "notifications/tools/list_changed", "{event:?}");
    let ended = session.send("DELETE", None)?;
    ensure!(ended.status == 204 && stream.event()?.is_none(), "the stream ends with its session");
    Ok(())
}

fn slow() -> anyhow::Result<()> {
    let world =
        World::rogue(PLAIN, "limits: {header_timeout_seconds: 1, body_timeout_seconds: 1}")?;
    let endpoint = world.endpoint();
    // Headers that never end.
    let mut loris = endpoint.connect()?;
    loris.write_all(b"POST /files/mcp HTTP/1.1\r\nHost: localhost\r\nX-A: ")?;
    // A body that never ends.
    let posting = endpoint.clone().posting();
    let mut creeping = endpoint.connect()?;
    creeping.write_all(posting.head("POST", Some(100)).as_bytes())?;
    creeping.write_all(b"{")?;
    let session = endpoint.session()?;
    ensure!(session.call(1, "read_text_file", &json!({"path": "public/note.txt"}))?["id"] == 1);
    refused(Response::read(creeping)?, 408, INVALID)?;
    let mut rest = Vec::new();
    let ended = std::io::Read::read_to_end(&mut loris, &mut rest);
    ensure!(ended.is_ok() && rest.is_empty(), "{ended:?} {rest:?}");
    Ok(())
}

fn too_many() -> anyhow::Result<()> {
    let more = "limits: {requests_per_second: 1, max_sessions_per_actor: 1}";
    let world = World::rogue(PLAIN, more)?;
    let hello = initialize("2025-11-25");
    let first = world.endpoint().post(&hello)?;
    ensure!(first.status == 200, "{}", first.shown());
    let second = world.endpoint().post(&hello)?;
    ensure!(second.header("retry-after").is_some(), "{second:?}");
    let message = refused(second, 429, -31029)?;
    ensure!(message.to_string().contains("max_sessions_per_actor"), "{message}");
    ensure!(message["id"] == 0, "{message}");
    let third = world.endpoint().post(&hello)?;
    ensure!(third.header("retry-after") == Some("1"), "{third:?}");
    let message = refused(third, 429, -31029)?;
    ensure!(message.to_string().contains("requests_per_second"), "{message}");
    let record = world.record_of(&message)?;
    ensure!(record.text("actor") == "assistant-service", "{record:#?}");
    Ok(())
}

fn idle() -> anyhow::Result<()> {
    let world = World::rogue(PLAIN, "limits: {idle_session_seconds: 1}")?;
    let session = world.endpoint().session()?;
    let audit = &world.daemon.rig.audit;
    await_record(audit, |record| record.text("event") == "session_end")?;
    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"});
    refused(session.post(&list)?, 404, -31004)?;
    Ok(())
}

/// A request of revision 2026-07-28 with the headers that it needs.
fn modern_request(endpoint: &Endpoint, method: &str, params: &Value) -> (Endpoint, Value) {
    let mut params = params.clone();
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "progressToken": 1,
    });
    let mut endpoint =
        endpoint.clone().with("MCP-Protocol-Version", "2026-07-28").with("Mcp-Method", method);
    if let Some(name) = params.get("name").and_then(Value::as_str) {
        endpoint = endpoint.with("Mcp-Name", name);
    }
    (endpoint, json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}))
}

fn modern() -> anyhow::Result<()> {
    let world = World::teller(PLAIN, "")?;
    let post = |method: &str, params: Value| {
        let (endpoint, message) = modern_request(&world.endpoint(), method, &params);
        endpoint.post(&message)
    };
    let discovered = post("server/discover", json!({}))?;
    ensure!(discovered.header("mcp-session-id").is_none(), "{discovered:?}");
    let discovered = discovered.json()?;
    ensure!(discovered["result"]["supportedVersions"].is_array(), "{discovered}");
    let arguments = json!({"steps": 2, "pause": 5});
    let mut stream = post("tools/call", json!({"name": "count", "arguments": arguments}))?;
    ensure!(stream.header("content-type") == Some("text/event-stream"), "{stream:?}");
    for step in 1..=2 {
        let event = stream.event()?.context("an event")?;
        ensure!(event.id.is_none() && event.json()?["params"]["progress"] == step, "{event:?}");
    }
    ensure!(stream.event()?.context("an answer")?.json()?["id"] == 1);
    ensure!(stream.event()?.is_none());
    let denied = post("tools/call", json!({"name": "leave_behind", "arguments": {}}))?;
    let denied = refused_with_answer(denied, 403)?;
    ensure!(denied["error"]["code"] == DENIED, "{denied}");
    let (endpoint, _) = modern_request(&world.endpoint(), "tools/list", &json!({}));
    for method in ["GET", "DELETE"] {
        refused(endpoint.send(method, None)?, 405, INVALID)?;
    }
    let note =
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}});
    ensure!(endpoint.post(&note)?.status == 202);
    refused(endpoint.post(&json!({"jsonrpc": "2.0", "id": 1, "result": {}}))?, 400, INVALID)?;
    Ok(())
}

fn refused_with_answer(response: Response, status: u16) -> anyhow::Result<Value> {
    ensure!(response.status == status, "{}", response.shown());
    response.json()
}

fn modern_headers() -> anyhow::Result<()> {
    let world = World::teller(PLAIN, "")?;
    let (list, message) = modern_request(&world.endpoint(), "tools/list", &json!({}));
    ensure!(list.post(&message)?.status == 200);
    ensure!(list.clone().with("mcp-method", " tools/list ").post(&message)?.status == 200);
    for wrong in [
        list.clone().with("Mcp-Method", "prompts/list"),
        list.clone().with("Mcp-Method", "TOOLS/LIST"),
        list.clone().without("Mcp-Method"),
        list.clone().without("MCP-Protocol-Version"),
    ] {
        let refusal = refused(wrong.post(&message)?, 400, MISMATCH)?;
        ensure!(refusal["id"] == 1, "{refusal}");
    }
    let mut twice = list.clone();
    twice.headers.push(("Mcp-Method".to_owned(), "tools/list".to_owned()));
    refused(twice.post(&message)?, 400, MISMATCH)?;
    let repeat = json!({"name": "repeat", "arguments": {"text": "Größe"}});
    let (call, message) = modern_request(&world.endpoint(), "tools/call", &repeat);
    let call = call.with("Mcp-Param-Text", "=?base64?R3LDtsOfZQ==?=");
    let answer = call.post(&message)?;
    ensure!(answer.status == 200, "{}", answer.shown());
    for wrong in [
        call.clone().with("Mcp-Name", "count"),
        call.clone().without("Mcp-Name"),
        call.clone().with("Mcp-Param-Text", "other"),
        call.clone().with("Mcp-Param-Text", "=?base64?R3LDtsOfZQ?="),
        call.clone().without("Mcp-Param-Text"),
    ] {
        refused(wrong.post(&message)?, 400, MISMATCH)?;
    }
    let future = list.with("MCP-Protocol-Version", "2099-01-01");
    refused(
        future.post(&json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}))?,
        400,
        -32022,
    )?;
    Ok(())
}

fn modern_cancelled() -> anyhow::Result<()> {
    let world = World::teller(PLAIN, "")?;
    // The server hears nothing before it is done.
    let arguments = json!({"steps": 30, "pause": 100});
    let params = json!({"name": "count", "arguments": arguments});
    let (endpoint, mut message) = modern_request(&world.endpoint(), "tools/call", &params);
    message["params"]["_meta"]["progressToken"] = json!("t");
    let mut stream = endpoint.post(&message)?;
    stream.event()?.context("an event")?;
    drop(stream);
    let audit = &world.daemon.rig.audit;
    let call = await_record(audit, |record| record.text("event") == "call")?;
    ensure!(call.text("error").contains("cancelled"), "{call:#?}");
    // The server goes on for others.
    let again = json!({"name": "announce", "arguments": {}});
    let (endpoint, message) = modern_request(&world.endpoint(), "tools/call", &again);
    ensure!(endpoint.post(&message)?.answer()?.get("result").is_some());
    Ok(())
}
