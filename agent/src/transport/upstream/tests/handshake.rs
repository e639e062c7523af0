use std::sync::Mutex;

use bytes::Bytes;
use serde_json::json;

use super::server::*;
use crate::transport::upstream::Failure;

/// The answer to `initialize`, which begins a session.
fn welcome(got: &Got, session: &str) -> Reply {
    let id = &got.body["id"];
    let mut reply = json(&format!(
        "{{\"jsonrpc\":\"2.0\",\n\"id\":{id},\"result\":{{\"protocolVersion\":\"2025-06-18\"}}}}"
    ));
    reply.headers_mut().insert("mcp-session-id", session.parse().expect("a value"));
    reply
}

#[tokio::test]
async fn a_session_from_its_first_request_to_its_end() {
    let own = Mutex::new(Vec::new());
    let server = Server::start(move |got| match &*got.what() {
        "POST initialize" => welcome(got, "s1"),
        "GET" => {
            let (feed, reply) = stream();
            feed.try_send(Ok(event(r#"{"jsonrpc":"2.0","id":"p","method":"ping"}"#)))
                .expect("room");
            own.lock().expect("own").push(feed); // Kept open.
            reply
        }
        "POST tools/call" => {
            let note = r#"{"jsonrpc":"2.0","method":"notifications/progress"}"#;
            let text = format!("data: {note}\n\ndata: {}\n\n", answer(got));
            stream_of(&text, false)
        }
        "DELETE" => status(200),
        _ => status(202),
    })
    .await;
    let (link, mut from) = server.link();
    link.send(request(1, "initialize")).await;
    let first = from.recv().await.expect("an answer");
    assert!(!first.text.contains(&b'\n'), "on one line");
    link.send(notification("notifications/initialized")).await;
    let (ping, about) = next(&mut from).await;
    assert_eq!((ping["method"].as_str(), about), (Some("ping"), None));
    link.send(handshake(r#"{"jsonrpc":"2.0","id":"p","result":{}}"#)).await;
    link.send(request(2, "tools/call")).await;
    let (note, about) = next(&mut from).await;
    assert_eq!((note["method"].as_str(), about), (Some("notifications/progress"), Some(2)));
    assert_eq!(next(&mut from).await, (json!({"jsonrpc": "2.0", "id": 2, "result": {}}), Some(2)));
    link.finish().await;

    assert!(from.recv().await.is_none(), "the end");
    let heard = server.heard();
    for what in ["POST notifications/initialized", "GET", "POST", "POST tools/call", "DELETE"] {
        let index = heard.iter().position(|heard| heard == what).expect(what);
        let got = server.request(index);
        assert_eq!(got.header("mcp-session-id"), Some("s1"), "{what}");
        assert_eq!(got.header("mcp-protocol-version"), Some("2025-06-18"), "{what}");
        assert_eq!(got.path, "/mcp?a=b");
    }
    let first = server.request(0);
    assert_eq!(heard[0], "POST initialize");
    assert_eq!(first.header("mcp-session-id"), None);
    assert_eq!(first.header("accept"), Some("application/json, text/event-stream"));
    assert!(first.header("host").is_some_and(|host| host.starts_with("127.0.0.1:")));
    assert_eq!(heard.last().map(String::as_str), Some("DELETE"));
}

#[tokio::test]
async fn what_is_sent_in_order_comes_in_order() {
    let server = Server::start(|got| match &*got.what() {
        "POST ping" => json(&answer(got)),
        _ => status(202),
    })
    .await;
    let (link, mut from) = server.link();
    for id in 0..20 {
        link.send(request(id, "ping")).await;
        link.send(notification("notifications/cancelled")).await;
        next(&mut from).await;
    }
    let heard = server.heard();
    let expected: Vec<_> = ["POST ping", "POST notifications/cancelled"].repeat(20);
    assert_eq!(heard[..39], expected[..39]);
    let connections = server.connections.load(std::sync::atomic::Ordering::Relaxed);
    assert!(connections <= 2, "{connections} for two at once");
}

#[tokio::test]
async fn a_stream_that_breaks_is_resumed_where_it_broke() {
    let server = Server::start(|got| match (&*got.what(), got.header("last-event-id")) {
        ("POST tools/call", None) => {
            let note = r#"{"jsonrpc":"2.0","method":"notifications/progress"}"#;
            stream_of(&format!("id: e1\ndata:\n\nid: e2\nretry: 1\ndata: {note}\n\ndata: {{"), true)
        }
        // The first time without a new event.
        ("GET", Some("e2")) => stream_of("id: e3\nretry: 20\n\n", true),
        ("GET", Some("e3")) => {
            stream_of("id: e4\ndata: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n\n", false)
        }
        _ => status(400),
    })
    .await;
    let (link, mut from) = server.link();
    link.send(request(1, "tools/call")).await;
    assert_eq!(next(&mut from).await.0["method"], "notifications/progress");
    assert_eq!(next(&mut from).await, (json!({"jsonrpc": "2.0", "id": 1, "result": {}}), Some(1)));
    assert_eq!(server.heard(), ["POST tools/call", "GET", "GET"]);
}

#[tokio::test]
async fn a_stream_that_breaks_again_and_again_is_given_up() {
    let server = Server::start(|_| stream_of("id: e1\nretry: 1\n\n", false)).await;
    let (link, mut from) = server.link();
    link.send(request(1, "tools/call")).await;
    let failed = from.recv().await.expect("an answer");
    assert_eq!(failed.failure, Some(Failure::Cut));
    assert_eq!(server.heard().len(), 6);
}

#[tokio::test]
async fn a_session_that_the_server_ended_can_be_begun_anew() {
    let sessions = Mutex::new(0);
    let server = Server::start(move |got| match &*got.what() {
        "POST initialize" => {
            let mut count = sessions.lock().expect("sessions");
            *count += 1;
            welcome(got, &format!("s{count}"))
        }
        _ if got.header("mcp-session-id") == Some("s2") => json(&answer(got)),
        _ => {
            reply(404, "application/json", r#"{"jsonrpc":"2.0","error":{"code":-32001},"id":null}"#)
        }
    })
    .await;
    let (link, mut from) = server.link();
    let lost = tokio::spawn(link.session_lost());
    link.send(request(1, "initialize")).await;
    next(&mut from).await;
    link.send(request(2, "ping")).await;
    let gone = from.recv().await.expect("an answer");
    assert_eq!(gone.failure, Some(Failure::SessionGone));
    lost.await.expect("told");
    link.send(request(3, "initialize")).await;
    next(&mut from).await;
    assert_eq!(server.request(2).header("mcp-session-id"), None);
    link.send(request(4, "ping")).await;
    assert_eq!(next(&mut from).await.0["result"], json!({}));
}

#[tokio::test]
async fn the_servers_own_stream_goes_on_after_it_broke() {
    let first = Mutex::new(true);
    let kept = Mutex::new(Vec::new());
    let server = Server::start(move |got| match &*got.what() {
        "GET" => {
            let ping = |id| format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
            if std::mem::take(&mut *first.lock().expect("first")) {
                let text = format!("retry: 1\nid: 7\ndata: {}\n\n", ping(1));
                return stream_of(&text, true);
            }
            let (feed, reply) = stream();
            feed.try_send(Ok(Bytes::from(format!("data: {}\n\n", ping(2))))).expect("room");
            kept.lock().expect("kept").push(feed);
            reply
        }
        _ => status(202),
    })
    .await;
    let (link, mut from) = server.link();
    link.send(notification("notifications/initialized")).await;
    assert_eq!(next(&mut from).await.0["id"], 1);
    assert_eq!(next(&mut from).await.0["id"], 2);
    assert_eq!(server.request(2).header("last-event-id"), Some("7"));
    drop(link);
}
