use std::sync::Arc;

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::json;
use tokio::net::{TcpListener, UnixListener};
use tokio_rustls::TlsAcceptor;

use super::server::*;
use crate::transport::upstream::{Failure, Upstream};

async fn ping(upstream: &Arc<Upstream>) -> Result<(), Failure> {
    let (link, mut from) = upstream.link();
    link.send(request(1, "ping")).await;
    let message = from.recv().await.expect("an answer");
    message.failure.map_or(Ok(()), Err)
}

#[tokio::test]
async fn a_unix_socket_is_spoken_to() {
    let dir = tempfile::tempdir().expect("directory");
    let path = dir.path().join("mcp.sock");
    let listener = UnixListener::bind(&path).expect("a socket");
    let (server, serve) = Server::new(String::new(), |got| json(&answer(got)));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve.clone().serve(stream));
        }
    });
    let upstream = open(&format!("{{url: 'http://tickets/x', unix: '{}'}}", path.display()));
    assert_eq!(ping(&upstream).await, Ok(()));
    assert_eq!(server.request(0).header("host"), Some("tickets"));
    assert_eq!(server.request(0).path, "/x");
}

#[tokio::test]
async fn a_certificate_is_checked() {
    let own = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(own.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], key)
        .expect("a configuration");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (server, serve) = Server::new(String::new(), |got| json(&answer(got)));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, serve) = (acceptor.clone(), serve.clone());
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    serve.serve(stream).await;
                }
            });
        }
    });
    let dir = tempfile::tempdir().expect("directory");
    let (ca, other) = (dir.path().join("ca.pem"), dir.path().join("other.pem"));
    std::fs::write(&ca, own.cert.pem()).expect("written");
    let stranger = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("another");
    std::fs::write(&other, stranger.cert.pem()).expect("written");
    let at = |host: &str, ca: &std::path::Path| {
        open(&format!("{{url: 'https://{host}:{port}/', ca: '{}'}}", ca.display()))
    };
    assert_eq!(ping(&at("127.0.0.1", &ca)).await, Ok(()));
    assert!(matches!(ping(&at("127.0.0.1", &other)).await, Err(Failure::Unreachable(_))));
    assert!(matches!(ping(&at("localhost", &ca)).await, Err(Failure::Unreachable(_))));
    assert_eq!(server.heard().len(), 1);
}

#[tokio::test]
async fn secrets_are_sent_and_not_shown() {
    let dir = tempfile::tempdir().expect("directory");
    let file = dir.path().join("token");
    std::fs::write(&file, "Bearer hunter2\n").expect("written");
    let server = Server::start(|got| json(&answer(got))).await;
    let more =
        format!(", headers: {{Authorization: {{file: '{}'}}, X-Key: hunter3}}", file.display());
    let upstream = server.upstream(&more);
    assert_eq!(ping(&upstream).await, Ok(()));
    assert_eq!(server.request(0).header("authorization"), Some("Bearer hunter2"));
    assert_eq!(server.request(0).header("x-key"), Some("hunter3"));
    let shown = format!("{upstream:?}");
    assert!(!shown.contains("hunter"), "{shown}");
}

#[tokio::test]
async fn a_server_that_is_starting_is_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let upstream = open(&format!("{{url: 'http://{address}/'}}"));
    let short = std::time::Duration::from_millis(20);
    assert!(upstream.wait_until_reachable(short).await.is_err());
    let waiting = {
        let upstream = Arc::clone(&upstream);
        let long = std::time::Duration::from_secs(60);
        tokio::spawn(async move { upstream.wait_until_reachable(long).await })
    };
    tokio::task::yield_now().await;
    let _listener = TcpListener::bind(address).await.expect("the same port");
    assert_eq!(waiting.await.expect("a task"), Ok(()));
}

#[tokio::test]
async fn the_side_door_is_closed_by_a_mark() {
    let marked = open("{url: 'http://127.0.0.1:1/', side_door: closed}");
    let doors = marked.doors(crate::kernel::Doors::default());
    assert!(doors.mark.is_some_and(|mark| (1..=0x3fff).contains(&mark)), "{doors:?}");
    let unmarked = open("{url: 'http://127.0.0.1:1/'}");
    assert_eq!(unmarked.doors(crate::kernel::Doors::default()).mark, None);
    // The mark needs no more than root has, and changes nothing where nobody asks for it.
    if nix::unistd::Uid::effective().is_root() {
        let server = Server::start(|got| json(&answer(got))).await;
        assert_eq!(ping(&server.upstream(", side_door: closed")).await, Ok(()));
        assert_eq!(server.request(0).body["id"], json!(1));
    }
}
