//! Names that are listed.

use std::net::SocketAddr;
use std::time::Duration;

use hickory_proto::op::{Edns, ResponseCode};
use hickory_proto::rr::RecordType;
use hickory_proto::rr::rdata::opt::EdnsOption;
use tokio::net::TcpStream;

use super::super::{LINGER, MAX_TTL};
use super::world::{Book, World, Zone, addresses, question, read, udp, write};

const GITHUB: &str = "{host: api.github.com, ports: [443], protocol: tcp}";

#[tokio::test]
async fn a_listed_name_is_answered_and_opened_first() {
    let zone = Zone::default().with("api.github.com", 60, &["8.8.8.8", "2600::8"]);
    let world = World::new(GITHUB, zone).await;
    let answer = world.ask("API.github.com", RecordType::A).await;
    assert_eq!(addresses(&answer), ["8.8.8.8"]);
    assert_eq!(answer.answers[0].name.to_ascii(), "API.github.com.");
    let (address, allowed, lives) = world.book.opened.lock().unwrap()[0].clone();
    assert_eq!((address.to_string(), lives), ("8.8.8.8".into(), LINGER + Duration::from_secs(60)));
    let allowed: Vec<_> = allowed.iter().map(|a| (a.protocol, a.ports.low, a.ports.high)).collect();
    assert_eq!(allowed, [(6, 443, 443)]);
    assert_eq!(addresses(&world.ask("api.github.com", RecordType::AAAA).await), ["2600::8"]);
    assert_eq!(world.opened(), ["8.8.8.8", "2600::8"]);
    assert!(world.reasons().is_empty());
    // A connection can be told by the name.
    for (address, names) in [("::ffff:8.8.8.8", &["api.github.com"][..]), ("8.8.4.4", &[])] {
        assert_eq!(world.resolver.names_of(address.parse().unwrap()), names, "{address}");
    }
}

#[tokio::test]
async fn both_families_of_loopback_are_served() {
    let zone = Zone::default().with("api.github.com", 60, &["8.8.8.8"]);
    let world = World::new(GITHUB, zone).await;
    let question = question("api.github.com", RecordType::A);
    let Some(port) = world.resolver.v6_port() else { return };
    let answer = udp(format!("[::1]:{port}").parse::<SocketAddr>().unwrap(), &question).await;
    assert_eq!(addresses(&answer), ["8.8.8.8"]);
}

#[tokio::test]
async fn aliases_are_followed_and_the_asked_name_is_judged() {
    let zone = Zone::default().with("api.github.com", 300, &["edge.cdn.example"]).with(
        "edge.cdn.example",
        0,
        &["8.8.8.8", "8.8.4.4"],
    );
    let world = World::new(GITHUB, zone).await;
    let answer = world.ask("api.github.com", RecordType::A).await;
    assert_eq!(addresses(&answer), ["8.8.8.8", "8.8.4.4"]);
    // The shortest life of the way, and still time to connect.
    assert!(answer.answers.iter().all(|record| record.ttl == 0));
    assert!(world.book.opened.lock().unwrap().iter().all(|(.., lives)| *lives == LINGER));
    // The twin: the alias itself is not listed.
    let answer = world.ask("edge.cdn.example", RecordType::A).await;
    assert_eq!(answer.metadata.response_code, ResponseCode::NXDomain);
}

#[tokio::test]
async fn long_lives_are_capped() {
    let zone = Zone::default().with("api.github.com", 604_800, &["8.8.8.8"]);
    let world = World::new(GITHUB, zone).await;
    assert_eq!(world.ask("api.github.com", RecordType::A).await.answers[0].ttl, MAX_TTL);
    let cap = LINGER + Duration::from_secs(MAX_TTL.into());
    assert_eq!(world.book.opened.lock().unwrap()[0].2, cap);
}

#[tokio::test]
async fn a_hundred_addresses_are_cut_to_what_is_open() {
    let many: Vec<_> = (0..100).map(|n| format!("8.8.8.{n}")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    let world = World::new(GITHUB, Zone::default().with("api.github.com", 60, &many)).await;
    let asked = question("api.github.com", RecordType::A);
    let answer = udp(world.at(), &asked).await;
    assert!(answer.metadata.truncation && answer.answers.len() < 64);
    let mut stream = TcpStream::connect(world.at()).await.unwrap();
    write(&mut stream, &asked.to_vec().unwrap()).await;
    let whole = read(&mut stream).await.unwrap();
    assert!(!whole.metadata.truncation);
    assert_eq!(addresses(&whole), many[..64]);
    assert!(world.opened().iter().all(|ip| many[..64].contains(&ip.as_str())));
    // It did not fit the name server's UDP answer either.
    assert_eq!(world.upstream.tcp_questions(), 2);
}

#[tokio::test]
async fn several_questions_on_one_connection_are_answered_in_order() {
    let zone = Zone::default().with("api.github.com", 60, &["8.8.8.8"]);
    let world = World::new(GITHUB, zone).await;
    let mut stream = TcpStream::connect(world.at()).await.unwrap();
    let names = ["api.github.com", "evil.example", "api.github.com", "github.com"];
    let questions: Vec<_> = names.iter().map(|name| question(name, RecordType::A)).collect();
    for question in &questions {
        write(&mut stream, &question.to_vec().unwrap()).await;
    }
    for (question, name) in questions.iter().zip(names) {
        let answer = read(&mut stream).await.unwrap();
        assert_eq!(answer.id, question.id);
        assert_eq!(addresses(&answer).is_empty(), name != "api.github.com", "{name}");
    }
}

#[tokio::test]
async fn nothing_of_the_client_is_forwarded_but_the_name() {
    let zone = Zone::default().with("api.github.com", 60, &["8.8.8.8"]);
    let world = World::new(GITHUB, zone).await;
    let mut asked = question("aPi.GiThUb.CoM", RecordType::A);
    let mut edns = Edns::new();
    edns.options_mut().insert(EdnsOption::Unknown(65_001, b"smuggled".to_vec()));
    asked.set_edns(edns);
    asked.metadata.checking_disabled = true;
    assert_eq!(addresses(&udp(world.at(), &asked).await), ["8.8.8.8"]);
    let seen = world.upstream.asked();
    assert!(!seen.is_empty());
    for seen in seen {
        assert!(seen.edns.is_none_or(|edns| edns.options().as_ref().is_empty()));
        assert!(seen.metadata.recursion_desired && !seen.metadata.checking_disabled);
        assert_eq!(seen.queries[0].name().to_lowercase().to_ascii(), "api.github.com.");
    }
}

#[tokio::test]
async fn a_name_server_that_changes_the_case_is_asked_over_tcp() {
    let zone = Zone::default().with("api.github.com", 60, &["8.8.8.8"]);
    let world = World::new(GITHUB, Zone { lower: true, ..zone }).await;
    // A random case may be all lower case, once in 4096 times; then UDP is enough.
    let answer = world.ask("api.github.com", RecordType::A).await;
    assert_eq!(addresses(&answer), ["8.8.8.8"], "{:?}", world.reasons());
}

#[tokio::test]
async fn a_name_without_such_addresses_is_answered_empty() {
    let zone = Zone::default().with("api.github.com", 60, &["8.8.8.8"]);
    let world = World::new(GITHUB, zone).await;
    let answer = world.ask("api.github.com", RecordType::AAAA).await;
    assert_eq!(answer.metadata.response_code, ResponseCode::NoError);
    assert!(answer.answers.is_empty() && world.reasons().is_empty());
}

#[tokio::test]
async fn an_address_that_cannot_be_opened_is_not_told() {
    let zone = Zone::default().with("api.github.com", 60, &["8.8.8.8", "8.8.4.4"]);
    let broken = Book { broken: vec!["8.8.8.8".parse().unwrap()], ..Book::default() };
    let world = World::with_book(GITHUB, zone.clone(), broken).await;
    assert_eq!(addresses(&world.ask("api.github.com", RecordType::A).await), ["8.8.4.4"]);
    assert!(world.reasons()[0].1.contains("the map is full"));
    let broken = ["8.8.8.8", "8.8.4.4"].iter().map(|ip| ip.parse().unwrap()).collect();
    let world = World::with_book(GITHUB, zone, Book { broken, ..Book::default() }).await;
    let answer = world.ask("api.github.com", RecordType::A).await;
    assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
    assert!(answer.answers.is_empty());
}
