use serde_json::Value;

use super::server::*;
use crate::transport::upstream::{Failure, Upstream};

/// How a request fails, and the error that the client sees.
async fn fail(upstream: &std::sync::Arc<Upstream>) -> (Failure, Value) {
    let (link, mut from) = upstream.link();
    link.send(request(1, "tools/call")).await;
    let message = from.recv().await.expect("an answer");
    let error: Value = serde_json::from_slice(&message.text).expect("JSON");
    assert_eq!(error["id"], 1);
    assert!(error["error"]["message"].as_str().is_some_and(|text| !text.contains("hunter2")));
    (message.failure.expect("a failure"), error["error"].clone())
}

async fn fails(reply: impl Fn(&Got) -> Reply + Send + Sync + 'static) -> Failure {
    let server = Server::start(reply).await;
    fail(&server.upstream(", headers: {Authorization: hunter2}")).await.0
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named_unreachable() {
    let (failure, error) = fail(&open("{url: 'http://127.0.0.1:1/'}")).await;
    assert_eq!(failure, Failure::Unreachable("connection refused".to_owned()));
    assert_eq!(error["data"]["reason"], "server_unreachable");
    assert_eq!(error["message"], "the server cannot be reached: connection refused");
}

#[tokio::test]
async fn statuses_say_what_can_be_done() {
    for (code, hint) in [(302, "correct `upstream.url`"), (401, "`upstream.headers`"), (500, "500")]
    {
        let server = Server::start(move |_| {
            let mut reply = reply(code, "text/html", "hunter2");
            reply.headers_mut().insert("location", "/hunter2".parse().expect("a value"));
            reply
        })
        .await;
        let (failure, error) = fail(&server.upstream("")).await;
        assert_eq!(failure, Failure::Status(code));
        assert!(error["message"].as_str().is_some_and(|text| text.contains(hint)), "{error}");
        assert_eq!(server.heard().len(), 1, "nothing is followed");
    }
}

#[tokio::test]
async fn what_is_no_answer_is_an_error() {
    assert_eq!(fails(|_| status(202)).await, Failure::NoAnswer(202));
    assert_eq!(fails(|_| status(200)).await, Failure::ContentType);
    assert_eq!(fails(|_| reply(200, "text/html", "<p>")).await, Failure::ContentType);
    assert_eq!(fails(|_| json("")).await, Failure::Foreign);
    assert_eq!(fails(|_| json(r#"{"jsonrpc":"2.0","id":2,"result":{}}"#)).await, Failure::Foreign);
    assert_eq!(fails(|_| stream_of(": nothing\n\n", false)).await, Failure::Cut);
    assert_eq!(fails(|_| stream_of("data: {}", true)).await, Failure::Cut);
    let compressed = |got: &Got| {
        let mut reply = json(&answer(got));
        reply.headers_mut().insert("content-encoding", "gzip".parse().expect("a value"));
        reply
    };
    assert_eq!(fails(compressed).await, Failure::Encoded);
}

#[tokio::test]
async fn what_is_too_large_is_not_read() {
    let kept = std::sync::Mutex::new(Vec::new());
    let announced = move |_: &Got| {
        let (feed, mut reply) = stream();
        kept.lock().expect("kept").push(feed);
        let headers = reply.headers_mut();
        headers.insert("content-type", "application/json".parse().expect("a value"));
        headers.insert("content-length", "1000000000".parse().expect("a value"));
        reply
    };
    assert_eq!(fails(announced).await, Failure::TooLarge);
    let head = |_: &Got| {
        let mut reply = status(200);
        reply.headers_mut().insert("x", "y".repeat(1_000_000).parse().expect("a value"));
        reply
    };
    assert!(matches!(fails(head).await, Failure::Protocol(_)));
}

#[tokio::test]
async fn too_many_requests_at_once_are_refused_and_the_others_go_on() {
    let kept = std::sync::Mutex::new(Vec::new());
    let server = Server::start(move |got| {
        if got.body["method"] == "ping" {
            return json(&answer(got));
        }
        let (feed, reply) = stream();
        kept.lock().expect("kept").push(feed);
        reply
    })
    .await;
    let (link, mut from) = server.link();
    for id in 0..128 {
        link.send(request(id, "tools/call")).await;
    }
    link.send(request(1000, "tools/call")).await;
    let refused = from.recv().await.expect("an answer");
    assert_eq!(refused.failure, Some(Failure::Busy));
    link.cancel(&crate::mcp::Id::Number(5));
    // Cancelling frees a place as soon as its task has noticed.
    loop {
        link.send(request(1001, "ping")).await;
        let message = from.recv().await.expect("an answer");
        if message.failure.is_none() {
            break;
        }
        tokio::task::yield_now().await;
    }
}
