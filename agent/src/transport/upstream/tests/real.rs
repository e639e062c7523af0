//! Against a real server that somebody has started:
//!
//! ```text
//! WARRANTD_TEST_UPSTREAM=http://127.0.0.1:3001/mcp cargo test -p warrantd --lib upstream -- --ignored
//! ```

use serde_json::json;

use super::server::*;
use crate::transport::upstream::Terms;

fn url() -> String {
    std::env::var("WARRANTD_TEST_UPSTREAM").expect("WARRANTD_TEST_UPSTREAM names a server's URL")
}

#[tokio::test]
#[ignore = "needs a server: see the top of the file"]
async fn a_real_server_lists_its_tools_in_a_session() {
    let (link, mut from) = open(&format!("{{url: '{}'}}", url())).link();
    let initialize = json!({
        "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "protocolVersion": "2025-11-25", "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"},
        },
    });
    link.send(handshake(&initialize.to_string())).await;
    let (welcome, about) = next(&mut from).await;
    assert_eq!(about, Some(1));
    assert!(welcome["result"]["protocolVersion"].is_string(), "{welcome}");
    link.send(notification("notifications/initialized")).await;
    link.send(request(2, "tools/list")).await;
    let tools = loop {
        let (message, about) = next(&mut from).await;
        if about == Some(2) && message["id"] == 2 {
            break message;
        }
    };
    assert!(tools["result"]["tools"].as_array().is_some_and(|tools| !tools.is_empty()), "{tools}");
    link.finish().await;
}

#[tokio::test]
#[ignore = "needs a server of the modern era: see the top of the file"]
async fn a_real_server_lists_its_tools_without_a_session() {
    let (link, mut from) = open(&format!("{{url: '{}'}}", url())).link();
    for (id, method) in [(1, "server/discover"), (2, "tools/list")] {
        let request = json!({
            "jsonrpc": "2.0", "id": id, "method": method, "params": {"_meta": {
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientCapabilities": {},
                "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
            }},
        });
        let terms =
            Terms::Modern { revision: "2026-07-28".to_owned(), name: None, params: Vec::new() };
        link.send(in_terms(&request.to_string(), terms)).await;
        let (answer, about) = next(&mut from).await;
        assert_eq!(about, Some(id));
        assert!(answer["result"].is_object(), "{answer}");
    }
    link.finish().await;
}
