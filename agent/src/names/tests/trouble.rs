//! Name servers that fail, clients that misbehave, and many of both.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RecordType;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use super::world::{
    Book, NameServer, World, Zone, addresses, question, read, resolver, udp, udp_bytes, write,
};

const LISTED: &str = "{host: www.example.com, ports: [443]}";

fn zone() -> Zone {
    Zone::default().with("www.example.com", 60, &["8.8.8.8"])
}

/// A resolver with these name servers, and where it is.
fn with_servers(servers: Vec<SocketAddr>) -> (super::super::Resolver, Arc<Book>, SocketAddr) {
    let book = Arc::new(Book::default());
    let resolver = resolver(LISTED, servers, Arc::clone(&book));
    let at = SocketAddr::from(([127, 0, 0, 1], resolver.v4_port()));
    (resolver, book, at)
}

/// A name server that takes questions and never answers.
async fn silent() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

#[tokio::test]
async fn without_a_name_server_nothing_opens() {
    let (_socket, address) = silent().await;
    let (resolver, book, at) = with_servers(vec![address]);
    let answer = udp(at, &question("www.example.com", RecordType::A)).await;
    assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
    assert!(answer.answers.is_empty() && book.opened.lock().unwrap().is_empty());
    assert!(resolver.refused()[0].reason.contains("no name server answered"));
}

#[tokio::test]
async fn a_name_server_that_is_not_there_is_not_waited_for() {
    let (socket, address) = silent().await;
    drop(socket);
    let (resolver, book, at) = with_servers(vec![address]);
    let answer = udp(at, &question("www.example.com", RecordType::A)).await;
    assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
    assert!(book.opened.lock().unwrap().is_empty());
    // Not the time-out, but what the kernel was told.
    let reason = resolver.refused().remove(0).reason;
    assert!(reason.contains("refused"), "{reason}");
    // The twin: the next one is asked.
    let good = NameServer::start(zone()).await;
    let (_resolver, _, at) = with_servers(vec![address, good.address]);
    assert_eq!(addresses(&udp(at, &question("www.example.com", RecordType::A)).await), ["8.8.8.8"]);
}

#[tokio::test]
async fn the_next_name_server_is_asked_when_one_is_silent_or_fails() {
    let (_socket, silent) = silent().await;
    let failing = Zone { code: Some(ResponseCode::ServFail), ..Zone::default() };
    let failing = NameServer::start(failing).await;
    let good = NameServer::start(zone()).await;
    let (_resolver, _, at) = with_servers(vec![silent, failing.address, good.address]);
    let answer = udp(at, &question("www.example.com", RecordType::A)).await;
    assert_eq!(addresses(&answer), ["8.8.8.8"]);
    let (resolver, _, at) = with_servers(vec![failing.address]);
    let answer = udp(at, &question("www.example.com", RecordType::A)).await;
    assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
    assert!(resolver.refused()[0].reason.contains(&failing.address.to_string()));
}

#[tokio::test]
async fn a_slow_name_server_is_waited_for() {
    let world = World::new(LISTED, Zone { delay: Duration::from_secs(1), ..zone() }).await;
    assert_eq!(addresses(&world.ask("www.example.com", RecordType::A).await), ["8.8.8.8"]);
}

#[tokio::test]
async fn a_name_that_does_not_exist_does_not_exist() {
    let world = World::new("{host: '*', ports: [443]}", zone()).await;
    let answer = world.ask("nothing.example.com", RecordType::A).await;
    assert_eq!(answer.metadata.response_code, ResponseCode::NXDomain);
    assert!(world.reasons().is_empty(), "policy has not refused it");
}

#[tokio::test]
async fn malformed_packets_are_refused_and_the_next_is_answered() {
    let world = World::new(LISTED, zone()).await;
    let whole = question("www.example.com", RecordType::A).to_vec().unwrap();
    for length in [12, 13, 20, whole.len() - 1] {
        let answer = udp_bytes(world.at(), &whole[..length]).await.expect("an answer");
        let answer = Message::from_vec(&answer).unwrap();
        assert_eq!(answer.metadata.response_code, ResponseCode::FormErr, "{length}");
    }
    // Neither too short ones nor answers are answered: the one after them is.
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(world.at()).await.unwrap();
    let mut reflected = whole.clone();
    reflected[2] |= 0x80;
    for packet in [&whole[..5], &[], &reflected, &whole] {
        socket.send(packet).await.unwrap();
    }
    let mut buffer = [0; 512];
    let length = socket.recv(&mut buffer).await.unwrap();
    let answer = Message::from_vec(&buffer[..length]).unwrap();
    assert_eq!(addresses(&answer), ["8.8.8.8"]);
}

#[tokio::test]
async fn a_slow_or_rude_tcp_client_hinders_nobody() {
    let world = World::new(LISTED, zone()).await;
    // One sends half a question, one announces more than a question can have, one sends garbage.
    let mut half = TcpStream::connect(world.at()).await.unwrap();
    half.write_all(&[0, 40, 1, 2, 3]).await.unwrap();
    let mut long = TcpStream::connect(world.at()).await.unwrap();
    long.write_all(&[0xff, 0xff]).await.unwrap();
    assert_eq!(long.read(&mut [0; 16]).await.unwrap_or(0), 0, "it is closed");
    let mut garbage = TcpStream::connect(world.at()).await.unwrap();
    garbage.write_all(&[0, 3, 1, 2, 3]).await.unwrap();
    assert_eq!(garbage.read(&mut [0; 16]).await.unwrap_or(0), 0, "it is closed");
    let asked = question("www.example.com", RecordType::A);
    let mut good = TcpStream::connect(world.at()).await.unwrap();
    // Byte by byte is slow, and a question all the same.
    let bytes = asked.to_vec().unwrap();
    let length = u16::try_from(bytes.len()).unwrap();
    for byte in length.to_be_bytes().iter().chain(&bytes) {
        good.write_all(&[*byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(addresses(&read(&mut good).await.unwrap()), ["8.8.8.8"]);
    assert_eq!(addresses(&udp(world.at(), &asked).await), ["8.8.8.8"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_questions_at_once_are_answered() {
    let world = Arc::new(World::new(LISTED, zone()).await);
    let mut running = tokio::task::JoinSet::new();
    for n in 0..1000 {
        let at = world.at();
        running.spawn(async move {
            let name = if n % 10 == 0 { "evil.example" } else { "www.example.com" };
            let answer = udp(at, &question(name, RecordType::A)).await;
            (n % 10 == 0, answer.answers.len())
        });
    }
    while let Some(done) = running.join_next().await {
        let (evil, answers) = done.unwrap();
        assert_eq!(answers, usize::from(!evil));
    }
    let refused = world.resolver.refused_to_the_end();
    assert_eq!((refused.len(), refused[0].count), (1, 100));
}

#[tokio::test]
async fn a_flood_is_slowed_down() {
    let world = World::new(LISTED, zone()).await;
    let mut stream = TcpStream::connect(world.at()).await.unwrap();
    let asked = question("evil.example", RecordType::A).to_vec().unwrap();
    let mut refused = 0;
    for _ in 0..4000 {
        write(&mut stream, &asked).await;
        let answer = read(&mut stream).await.unwrap();
        refused += usize::from(answer.metadata.response_code == ResponseCode::Refused);
    }
    assert!(refused > 0);
    assert_eq!(world.resolver.refused_to_the_end().iter().map(|r| r.count).sum::<u64>(), 4000);
}

#[tokio::test]
async fn dropped_it_answers_no_more() {
    let world = World::new(LISTED, zone()).await;
    let at = world.at();
    let mut open = TcpStream::connect(at).await.unwrap();
    let asked = question("www.example.com", RecordType::A);
    write(&mut open, &asked.to_vec().unwrap()).await;
    assert!(read(&mut open).await.is_some());
    drop(world.resolver);
    assert_eq!(open.read(&mut [0; 16]).await.unwrap_or(0), 0);
    // The port is free again.
    let free = async {
        while UdpSocket::bind(at).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), free).await.unwrap();
    assert!(world.book.opened.lock().unwrap().iter().all(|(ip, ..)| ip.is_ipv4()));
    let _: IpAddr = at.ip();
}
