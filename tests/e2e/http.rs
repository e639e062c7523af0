//! HTTP in front: sessions, calls, and what is refused, with its benign twin.

use anyhow::{Context, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use warrantd_tests::harness::test;
use warrantd_tests::http::{Endpoint, call, initialize};
use warrantd_tests::needs::Need;
use warrantd_tests::records::{await_record, read};

use crate::daemon::{Daemon, KEY, ends};
use crate::http_world::{OTHER_KEY, PLAIN, STRANGER_KEY, World, refused};
use crate::rig::{DENIED, NOTE, UNAUTHENTICATED};

const INVALID: i64 = -32600;
const NOT_FOUND: i64 = -31004;

pub(crate) fn tests() -> Vec<Trial> {
    const KERNEL: &[Need] = &[Need::Kernel];
    vec![
        test("http::a_whole_session", KERNEL, whole_session),
        test("http::keys_open_and_others_do_not", KERNEL, keys),
        test("http::requests_that_are_no_requests_are_refused", KERNEL, malformed),
        test("http::only_own_names_and_pages_may_call", KERNEL, names),
        test("http::a_session_is_its_actors", KERNEL, foreign_session),
        test("http::revisions_are_kept", KERNEL, revisions),
        test("http::a_listener_may_speak_for_an_actor", KERNEL, bound),
        test("http::a_unix_socket_is_a_listener", KERNEL, unix),
        test("http::ambiguous_messages_reach_no_server", KERNEL, ambiguous),
        test("http::broken_listeners_start_nothing", &[], broken),
    ]
}

fn whole_session() -> anyhow::Result<()> {
    let world = World::rogue(PLAIN, "")?;
    let session = world.endpoint().session()?;
    let list = json!({"jsonrpc": "2.0", "id": "l", "method": "tools/list"});
    let tools = session.post(&list)?;
    ensure!(tools.header("content-type") == Some("application/json"), "{tools:?}");
    ensure!(tools.header("mcp-session-id").is_none(), "{tools:?}");
    let tools = tools.json()?;
    ensure!(tools["id"] == "l" && tools["result"]["tools"].is_array(), "{tools}");
    let answer = session.call(1, "read_text_file", &json!({"path": "public/note.txt"}))?;
    ensure!(answer.pointer("/result/content/0/text") == Some(&json!(NOTE)), "{answer}");
    // What policy says about a call is an answer to the call.
    let denied = session.post(&call(2, "read_text_file", &json!({"path": "secret.txt"})))?;
    let denied = refused_by_policy(denied)?;
    let record = world.record_of(&denied)?;
    ensure!(record.text("policy_decision") == "DENY", "{record:#?}");
    let audit = &world.daemon.rig.audit;
    let record = await_record(audit, |record| record.text("status") == "SUCCESS")?;
    ensure!(record.text("auth_method") == "api_key" && record.verdict() == "WITHIN", "{record:#?}");
    let ended = session.send("DELETE", None)?;
    ensure!(ended.status == 204, "{}", ended.shown());
    refused(session.post(&list)?, 404, NOT_FOUND)?;
    let server = world.daemon.rig.scratch.program("rogue-server")?;
    ensure!(ends(&server), "the server outlived its session");
    let log = serde_json::to_string(&read(audit)?.into_iter().map(|r| r.0).collect::<Vec<_>>())?;
    ensure!(!log.contains(KEY), "the key is in the log");
    Ok(())
}

fn refused_by_policy(response: warrantd_tests::http::Response) -> anyhow::Result<Value> {
    ensure!(response.status == 200, "{}", response.shown());
    let answer = response.json()?;
    ensure!(answer["error"]["code"] == DENIED, "{answer}");
    Ok(answer)
}

fn keys() -> anyhow::Result<()> {
    let world = World::rogue(PLAIN, "")?;
    let bare = world.bare();
    let hello = initialize("2025-11-25");
    for good in [
        bare.clone().with("Authorization", &format!("Bearer {KEY}")),
        bare.clone().with("authorization", &format!("bearer {KEY}")),
        bare.clone().with("X-API-Key", KEY),
        bare.clone().with("X-API-Key", KEY).with("Authorization", &format!("Bearer {KEY}")),
    ] {
        let response = good.post(&hello)?;
        ensure!(response.status == 200, "{}", response.shown());
    }
    let without = bare.post(&hello)?;
    ensure!(without.header("www-authenticate") == Some("Bearer"), "{without:?}");
    let message = refused(without, 401, UNAUTHENTICATED)?;
    ensure!(message["id"] == 0, "{message}");
    let record = world.record_of(&message)?;
    ensure!(record.text("event") == "authentication", "{record:#?}");
    ensure!(record.text("source_ip") == "127.0.0.1", "{record:#?}");
    ensure!(record.text("server_id") == "files", "{record:#?}");
    for bad in [
        bare.clone().with("Authorization", "Bearer wrong"),
        bare.clone().with("Authorization", "Bearer"),
        bare.clone().with("Authorization", "Basic d2Q6d2Q="),
        bare.clone().with("X-API-Key", ""),
    ] {
        let response = bad.post(&hello)?;
        let challenge = response.header("www-authenticate").map(str::to_owned);
        refused(response, 401, UNAUTHENTICATED)?;
        ensure!(challenge.as_deref().is_some_and(|c| c.contains("invalid_token")), "{challenge:?}");
    }
    let both = bare.clone().with("Authorization", &format!("Bearer {KEY}"));
    refused(both.with("X-API-Key", OTHER_KEY).post(&hello)?, 400, INVALID)?;
    // Of this server, policy does not know the actor; of the other one it does.
    let stranger = bare.with("X-API-Key", STRANGER_KEY);
    let message = refused(stranger.post(&hello)?, 403, DENIED)?;
    ensure!(world.record_of(&message)?.text("actor") == "stranger");
    let mut elsewhere = stranger;
    "/other".clone_into(&mut elsewhere.path);
    ensure!(elsewhere.post(&hello)?.status == 200);
    Ok(())
}

fn malformed() -> anyhow::Result<()> {
    let world = World::rogue(PLAIN, "limits: {body_bytes: 2000}")?;
    let session = world.endpoint().session()?;
    let good = call(1, "read_text_file", &json!({"path": "public/note.txt"}));
    let body = good.to_string();
    let post = |endpoint: Endpoint| endpoint.send("POST", Some(body.as_bytes()));
    let posting = session.clone().posting();
    ensure!(post(posting.clone())?.status == 200);

    let nowhere = |path: &str| {
        let mut elsewhere = posting.clone();
        path.clone_into(&mut elsewhere.path);
        elsewhere
    };
    for path in ["/", "/mcp", "/none/mcp", "/files/mcp/x", "/files/../files/mcp", "/FILES/mcp"] {
        refused(post(nowhere(path))?, 404, NOT_FOUND)?;
    }
    for path in ["/files", "/files/", "/files/mcp/"] {
        ensure!(post(nowhere(path))?.status == 200, "{path}");
    }
    for method in ["PUT", "PATCH", "HEAD", "OPTIONS"] {
        let response = posting.send(method, None)?;
        ensure!(response.status == 405, "{method}: {}", response.shown());
        ensure!(response.header("allow") == Some("POST, GET, DELETE, OPTIONS"), "{response:?}");
    }
    let message = refused(post(posting.clone().with("Content-Type", "text/plain"))?, 415, INVALID)?;
    ensure!(message["id"] == 1, "the request's id: {message}");
    refused(post(posting.clone().without("Content-Type"))?, 415, INVALID)?;
    for accept in ["application/json", "text/event-stream", "text/html"] {
        refused(post(posting.clone().with("Accept", accept))?, 406, INVALID)?;
    }
    refused(post(posting.clone().without("Accept"))?, 406, INVALID)?;
    refused(session.clone().with("Accept", "application/json").send("GET", None)?, 406, INVALID)?;
    let long = call(2, "read_text_file", &json!({"path": "x".repeat(3000)})).to_string();
    refused(posting.send("POST", Some(long.as_bytes()))?, 413, INVALID)?;
    for name in
        ["Host", "Authorization", "Content-Type", "Mcp-Session-Id", "Last-Event-ID", "X-API-Key"]
    {
        let value = posting.headers.iter().find(|(other, _)| other == name);
        let value = value.map_or("1-1", |(_, value)| value.as_str()).to_owned();
        let mut twice = posting.clone();
        twice.headers.push((name.to_owned(), value.clone()));
        if !posting.headers.iter().any(|(other, _)| other == name) {
            twice.headers.push((name.to_owned(), value));
        }
        let message = refused(post(twice)?, 400, INVALID)?;
        ensure!(message.to_string().contains("more than once"), "{name}: {message}");
    }
    refused(post(posting.clone().without("Mcp-Session-Id"))?, 400, INVALID)?;
    refused(post(posting.clone().with("Mcp-Session-Id", "none"))?, 404, NOT_FOUND)?;
    ensure!(post(posting)?.status == 200, "nothing has broken the session");
    Ok(())
}

fn names() -> anyhow::Result<()> {
    let listen = "[{address: '127.0.0.1:0', allowed_hosts: [mcp.example.com], \
                  allowed_origins: ['https://app.example.com']}]";
    let world = World::rogue(listen, "")?;
    let endpoint = world.endpoint();
    let hello = initialize("2025-11-25");
    let own = world.addresses[0];
    for host in [own.to_string(), format!("localhost:{}", own.port()), "mcp.example.com".to_owned()]
    {
        ensure!(endpoint.clone().with("Host", &host).post(&hello)?.status == 200, "{host}");
    }
    for host in
        ["evil.example.com", "localhost.evil.example.com", "10.0.0.1", "mcp.example.com.evil"]
    {
        let message = refused(endpoint.clone().with("Host", host).post(&hello)?, 403, DENIED)?;
        ensure!(message["error"]["data"]["reason"] == "host_not_allowed", "{message}");
        ensure!(world.record_of(&message)?.text("event") == "protocol_error");
    }
    let page = endpoint.clone().with("Origin", "https://app.example.com");
    let response = page.post(&hello)?;
    let allowed = response.header("access-control-allow-origin");
    ensure!(response.status == 200 && allowed == Some("https://app.example.com"), "{response:?}");
    ensure!(endpoint.clone().with("Origin", &format!("http://{own}")).post(&hello)?.status == 200);
    let asked = page.without("Authorization").send("OPTIONS", None)?;
    let headers = asked.header("access-control-allow-headers").unwrap_or_default();
    ensure!(asked.status == 204 && headers.contains("Mcp-Session-Id"), "{asked:?}");
    for origin in
        ["https://evil.example.com", "null", "http://localhost:1", "https://app.example.com.evil"]
    {
        let evil = endpoint.clone().with("Origin", origin);
        for response in
            [evil.post(&hello)?, evil.clone().without("Authorization").send("OPTIONS", Some(b""))?]
        {
            ensure!(response.header("access-control-allow-origin").is_none(), "{response:?}");
            let message = refused(response, 403, DENIED)?;
            ensure!(message["error"]["data"]["reason"] == "origin_not_allowed", "{message}");
        }
    }
    Ok(())
}

fn foreign_session() -> anyhow::Result<()> {
    let world = World::rogue(PLAIN, "")?;
    let session = world.endpoint().session()?;
    let thief = session.clone().with("Authorization", &format!("Bearer {OTHER_KEY}"));
    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"});
    refused(thief.post(&list)?, 404, NOT_FOUND)?;
    refused(thief.send("DELETE", None)?, 404, NOT_FOUND)?;
    refused(thief.listen()?, 404, NOT_FOUND)?;
    ensure!(session.post(&list)?.status == 200);
    let own = world.bare().with("X-API-Key", OTHER_KEY).session()?;
    ensure!(own.post(&list)?.status == 200, "a session of its own");
    Ok(())
}

fn revisions() -> anyhow::Result<()> {
    let world = World::rogue(PLAIN, "")?;
    let endpoint = world.endpoint();
    let session = endpoint.session()?;
    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"});
    ensure!(session.clone().without("MCP-Protocol-Version").post(&list)?.status == 200);
    refused(session.clone().with("MCP-Protocol-Version", "2025-06-18").post(&list)?, 400, INVALID)?;
    let future = session.clone().with("MCP-Protocol-Version", "2099-01-01");
    let message = refused(future.post(&list)?, 400, -32022)?;
    let data = &message["error"]["data"];
    ensure!(data["requested"] == "2099-01-01", "{message}");
    ensure!(
        data["supported"].as_array().is_some_and(|s| s.contains(&json!("2026-07-28"))),
        "{message}"
    );
    refused(future.send("DELETE", None)?, 400, -32022)?;
    let old = endpoint.post(&initialize("2025-03-26"))?;
    ensure!(old.status == 200 && old.json()?["result"]["protocolVersion"] == "2025-03-26");
    Ok(())
}

fn bound() -> anyhow::Result<()> {
    let listen = "[{address: '127.0.0.1:0', actor: other-service}, {address: '127.0.0.1:0'}]";
    let world = World::rogue(listen, "")?;
    let session = world.bare().session()?;
    session.call(1, "read_text_file", &json!({"path": "public/note.txt"}))?;
    let record = await_record(&world.daemon.rig.audit, |r| r.text("event") == "call")?;
    ensure!(record.text("auth_method") == "listener", "{record:#?}");
    ensure!(record.text("actor") == "other-service", "{record:#?}");
    let hello = initialize("2025-11-25");
    // A key that is sent must be right, and the listener's actor's.
    refused(world.bare().with("X-API-Key", "wrong").post(&hello)?, 401, UNAUTHENTICATED)?;
    refused(world.endpoint().post(&hello)?, 401, UNAUTHENTICATED)?;
    let other = Endpoint::tcp(world.addresses[1], "/files");
    refused(other.post(&hello)?, 401, UNAUTHENTICATED)?;
    Ok(())
}

fn unix() -> anyhow::Result<()> {
    let rig = crate::rig::Rig::new(
        "actors: [{id: assistant-service, allowed_tools: [read_text_file]}]\n",
    )?;
    let socket = rig.scratch.path("http.sock")?;
    let command = vec![warrantd_tests::scratch::text(&rig.scratch.program("rogue-server")?)];
    let daemon = Daemon::configured(rig, "[api_key]", &command, |config| {
        format!("{config}listen: [{{unix: {}, actor: assistant-service}}]\n", socket.display())
    })?;
    // With the only server.
    let session = Endpoint::unix(socket.clone(), "/mcp").session()?;
    let answer = session.call(1, "read_text_file", &json!({"path": "public/note.txt"}))?;
    ensure!(answer.pointer("/result/content/0/text") == Some(&json!(NOTE)), "{answer}");
    let evil = Endpoint::unix(socket.clone(), "/mcp").with("Host", "evil.example.com");
    refused(evil.post(&initialize("2025-11-25"))?, 403, DENIED)?;
    drop(daemon);
    Ok(())
}

fn ambiguous() -> anyhow::Result<()> {
    let world = World::rogue(PLAIN, "")?;
    let session = world.endpoint().session()?.posting();
    let cases: [(&[u8], i64, Value); 9] = [
        (b"", -32700, Value::Null),
        (b"{", -32700, Value::Null),
        (br#"{"jsonrpc":"2.0","id":7,"id":8,"method":"tools/list"}"#, -32700, Value::Null),
        (
            br#"{"jsonrpc":"2.0","id":7,"method":"tools/list","params":{"a":1,"a":2}}"#,
            -32700,
            json!(7),
        ),
        (br#"[{"jsonrpc":"2.0","id":7,"method":"tools/list"}]"#, INVALID, Value::Null),
        (br#"{"jsonrpc":"2.0","id":7,"method":"tools/list","Method":"x"}"#, INVALID, json!(7)),
        (br#"{"jsonrpc":"2.0","id":null,"method":"tools/list"}"#, INVALID, Value::Null),
        (b"{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"a\xff\"}", -32700, json!(7)),
        (br#"{"jsonrpc":"2.0","id":7,"method":"tools/list"} {}"#, -32700, Value::Null),
    ];
    for (body, code, id) in cases {
        let message = refused(session.send("POST", Some(body))?, 400, code)?;
        ensure!(message["id"] == id, "{message}");
    }
    let spread = "{\r\n \"jsonrpc\": \"2.0\",\n \"id\": 7, \"method\": \"tools/list\"\n}\n";
    let answer = session.send("POST", Some(spread.as_bytes()))?.json()?;
    ensure!(answer["id"] == 7 && answer.get("result").is_some(), "{answer}");
    // A message within a message, on a line of its own.
    let inner = call(9, "read_text_file", &json!({"path": "secret.txt"}));
    let smuggled = format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":8,\"method\":\"tools/list\",\"params\":{{\"x\":\n{inner}\n}}}}"
    );
    let answer = session.send("POST", Some(smuggled.as_bytes()))?.json()?;
    ensure!(answer["id"] == 8 && answer.get("result").is_some(), "{answer}");
    let log = serde_json::to_string(
        &read(&world.daemon.rig.audit)?.into_iter().map(|r| r.0).collect::<Vec<_>>(),
    )?;
    ensure!(
        !log.contains("not in flight") && !log.contains("no message"),
        "the server saw it: {log}"
    );
    Ok(())
}

fn broken() -> anyhow::Result<()> {
    let rig = crate::rig::Rig::new("actors: [{id: assistant-service, allowed_tools: []}]\n")?;
    let right = crate::daemon::config(&rig, "[api_key]", &["/bin/true".to_owned()])?;
    for (listen, says) in [
        ("[{address: '0.0.0.0:80'}]", "insecure_plaintext: true"),
        (
            "[{address: '0.0.0.0:80', insecure_plaintext: true, actor: assistant-service}]",
            "loopback",
        ),
        (
            "[{address: '127.0.0.1:1', actor: asistant-service}]",
            "did you mean `assistant-service`?",
        ),
        ("[{address: '127.0.0.1:1'}, {address: '127.0.0.1:1'}]", "another listener"),
        ("[{address: '127.0.0.1:1', tls: {certificate: none.pem, key: none.pem}}]", "none.pem"),
        ("[{adress: '127.0.0.1:1'}]", "did you mean `address`?"),
        ("[]\nlimits: {max_sessions: 0}", "limits.max_sessions"),
    ] {
        let config = rig.scratch.file("warrantd.yaml", format!("{right}listen: {listen}\n"))?;
        let mut check = std::process::Command::new(rig.scratch.program("warrantd")?);
        let output = check.arg("check").arg(config).output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.code() == Some(78), "{listen}: {}: {said}", output.status);
        ensure!(said.contains(says) && said.contains("warrantd.yaml:1"), "{listen}: {said}");
        ensure!(said.lines().last().context("a caret")?.ends_with('^'), "{said}");
    }
    Ok(())
}
