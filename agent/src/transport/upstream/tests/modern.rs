use std::sync::{Arc, Mutex};

use serde_json::json;

use super::server::*;
use crate::mcp::Id;
use crate::transport::upstream::Terms;

fn modern(
    text: &str,
    name: Option<&str>,
    params: &[(&str, &str)],
) -> crate::transport::upstream::Outgoing {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let terms = Terms::Modern {
        revision: "2026-07-28".to_owned(),
        name: name.map(str::to_owned),
        params: params.iter().map(own).collect(),
    };
    in_terms(text, terms)
}

#[tokio::test]
async fn the_headers_repeat_the_message() {
    let server = Server::start(|got| {
        let mut reply = json(&answer(got));
        reply.headers_mut().insert("mcp-session-id", "x".parse().expect("a value"));
        reply
    })
    .await;
    let (link, mut from) = server.link();
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"größe"}}"#;
    link.send(modern(call, Some("größe"), &[("Mcp-Param-Region", "eu west")])).await;
    assert_eq!(next(&mut from).await.0["result"], json!({}));
    link.send(modern(r#"{"jsonrpc":"2.0","id":2,"method":"tools/list"}"#, None, &[])).await;
    next(&mut from).await;
    let call = server.request(0);
    assert_eq!(call.header("mcp-protocol-version"), Some("2026-07-28"));
    assert_eq!(call.header("mcp-method"), Some("tools/call"));
    assert_eq!(call.header("mcp-name"), Some("=?base64?Z3LDtsOfZQ==?="));
    assert_eq!(call.header("mcp-param-region"), Some("eu west"));
    let list = server.request(1);
    assert_eq!(list.header("mcp-name"), None);
    assert_eq!(list.header("mcp-session-id"), None, "no session");
    link.finish().await;
    assert_eq!(server.heard(), ["POST tools/call", "POST tools/list"], "nothing to end");
}

#[tokio::test]
async fn a_cancelled_request_has_its_stream_closed_and_no_answer() {
    let feeds = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&feeds);
    let server = Server::start(move |got| {
        if got.body["id"] == 2 {
            return json(&answer(got));
        }
        let (feed, reply) = stream();
        feed.try_send(Ok(event(r#"{"jsonrpc":"2.0","method":"notifications/progress"}"#)))
            .expect("room");
        kept.lock().expect("kept").push(feed);
        reply
    })
    .await;
    let (link, mut from) = server.link();
    let listen = r#"{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen"}"#;
    link.send(modern(listen, None, &[])).await;
    assert_eq!(next(&mut from).await.1, Some(1));
    let feed = feeds.lock().expect("feeds").pop().expect("a stream");
    assert!(!feed.is_closed());
    link.cancel(&Id::Number(1));
    feed.closed().await;
    link.cancel(&Id::Number(1));
    link.send(modern(r#"{"jsonrpc":"2.0","id":2,"method":"tools/list"}"#, None, &[])).await;
    assert_eq!(next(&mut from).await.1, Some(2), "nothing about the first");
}

#[tokio::test]
async fn a_link_that_is_dropped_closes_its_streams() {
    let feeds = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&feeds);
    let server = Server::start(move |_| {
        let (feed, reply) = stream();
        feed.try_send(Ok(event(r#"{"jsonrpc":"2.0","method":"x"}"#))).expect("room");
        kept.lock().expect("kept").push(feed);
        reply
    })
    .await;
    let (link, mut from) = server.link();
    link.send(modern(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call"}"#, None, &[])).await;
    next(&mut from).await;
    drop(link);
    let feed = feeds.lock().expect("feeds").pop().expect("a stream");
    feed.closed().await;
    assert!(from.recv().await.is_none());
}

#[tokio::test]
async fn errors_with_an_http_status_are_answers() {
    let server = Server::start(|got| {
        let id = if got.body["id"] == 1 { "1" } else { "null" };
        let error = r#"{"code":-32020,"message":"m"}"#;
        reply(400, "application/json", &format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#))
    })
    .await;
    let (link, mut from) = server.link();
    for id in 1..3 {
        let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call"}}"#);
        link.send(modern(&text, None, &[])).await;
        let (answer, about) = next(&mut from).await;
        assert_eq!((answer["error"]["code"].as_i64(), about), (Some(-32020), Some(id)));
        assert_eq!(answer["id"], id);
    }
}
