//! What is refused, each with a twin that passes.

use hickory_proto::op::{Edns, Message, ResponseCode};
use hickory_proto::rr::RecordType;
use hickory_proto::rr::rdata::opt::EdnsOption;

use super::world::{World, Zone, addresses, question, udp};

fn zone() -> Zone {
    Zone::default()
        .with("www.example.com", 60, &["8.8.8.8"])
        .with("a.b.example.com", 60, &["8.8.8.8"])
        .with("example.com", 60, &["8.8.8.8"])
        .with("evil.example", 60, &["8.8.8.8"])
        .with("rebind.example.com", 0, &["169.254.169.254", "10.0.0.1"])
        .with("mixed.example.com", 0, &["10.0.0.1", "8.8.8.8", "127.0.0.1"])
        .with("six.example.com", 0, &["::1", "::ffff:10.0.0.1", "fd00:ec2::254", "64:ff9b::a00:1"])
        .with("nat64.example.com", 0, &["64:ff9b::808:808"])
}

const WILD: &str = "{host: '*.example.com', ports: [443]}";

fn code(answer: &Message) -> ResponseCode {
    answer.metadata.response_code
}

#[tokio::test]
async fn a_name_that_is_not_listed_does_not_exist_and_is_not_asked_for() {
    let world = World::new(WILD, zone()).await;
    let mut asked = question("evil.example", RecordType::A);
    asked.set_edns(Edns::new());
    let answer = udp(world.at(), &asked).await;
    assert_eq!((code(&answer), answer.answers.len()), (ResponseCode::NXDomain, 0));
    assert!(answer.authorities.is_empty(), "without SOA nobody caches it");
    let said = answer.edns.and_then(|edns| edns.option(15.into()).cloned());
    let Some(EdnsOption::Unknown(15, said)) = said else { panic!("says nothing") };
    assert!(String::from_utf8_lossy(&said).contains("no `host` rule"));
    assert!(world.upstream.asked().is_empty() && world.opened().is_empty());
    let refused = world.resolver.refused();
    assert_eq!((refused.len(), refused[0].count), (1, 1));
    assert_eq!((refused[0].name.as_str(), refused[0].record_type.as_str()), ("evil.example", "A"));
}

#[tokio::test]
async fn a_wildcard_covers_what_is_below() {
    let world = World::new(WILD, zone()).await;
    for (name, listed) in [
        ("www.example.com", true),
        ("a.b.example.com", true),
        ("example.com", false),
        ("wwwexample.com", false),
        ("www.example.com.evil.example", false),
    ] {
        let answer = world.ask(name, RecordType::A).await;
        assert_eq!(!answer.answers.is_empty(), listed, "{name}");
    }
}

#[tokio::test]
async fn rebinding_opens_nothing() {
    let world = World::new(WILD, zone()).await;
    for kind in [RecordType::A, RecordType::AAAA] {
        let name = if kind == RecordType::A { "rebind.example.com" } else { "six.example.com" };
        let answer = world.ask(name, kind).await;
        assert_eq!((code(&answer), answer.answers.len()), (ResponseCode::NoError, 0), "{name}");
        let reasons = world.reasons();
        assert!(reasons.iter().all(|(of, why)| of == name && why.contains("no name can open")));
        assert_eq!(reasons.len(), 1);
    }
    assert!(world.opened().is_empty());
    // What is public among them is answered.
    let mixed = world.ask("mixed.example.com", RecordType::A).await;
    assert_eq!(addresses(&mixed), ["8.8.8.8"]);
    // NAT64 of a public address is opened as what the kernel looks up.
    let nat64 = world.ask("nat64.example.com", RecordType::AAAA).await;
    assert_eq!(addresses(&nat64), ["64:ff9b::808:808"]);
    assert_eq!(world.opened(), ["8.8.8.8", "8.8.8.8"]);
}

#[tokio::test]
async fn the_same_addresses_are_told_when_rules_by_address_open_them() {
    let allow = format!(
        "{WILD}, {{cidr: 10.0.0.0/8, ports: [443]}}, {{cidr: 169.254.169.254/32, ports: [443]}}"
    );
    let world = World::new(&allow, zone()).await;
    let answer = world.ask("rebind.example.com", RecordType::A).await;
    assert_eq!(addresses(&answer), ["169.254.169.254", "10.0.0.1"]);
    assert_eq!(world.opened(), ["169.254.169.254", "10.0.0.1"], "as far as both rules go");
    assert!(world.reasons().is_empty());
    // On other ports than the name's they are as closed as before.
    let allow = format!("{WILD}, {{cidr: 10.0.0.0/8, ports: [5432]}}");
    let world = World::new(&allow, zone()).await;
    assert!(world.ask("rebind.example.com", RecordType::A).await.answers.is_empty());
}

#[tokio::test]
async fn other_types_are_neither_forwarded_nor_answered() {
    let world = World::new(WILD, zone()).await;
    for kind in [
        RecordType::HTTPS,
        RecordType::SVCB,
        RecordType::TXT,
        RecordType::MX,
        RecordType::ANY,
        RecordType::NULL,
        RecordType::CNAME,
        RecordType::Unknown(65_280),
    ] {
        let answer = world.ask("www.example.com", kind).await;
        assert_eq!((code(&answer), answer.answers.len()), (ResponseCode::NoError, 0), "{kind}");
        let answer = world.ask("evil.example", kind).await;
        assert_eq!((code(&answer), answer.answers.len()), (ResponseCode::NXDomain, 0), "{kind}");
    }
    let answer = world.ask("www.example.com", RecordType::AXFR).await;
    assert_eq!(code(&answer), ResponseCode::Refused);
    assert!(world.upstream.asked().is_empty());
}

#[tokio::test]
async fn names_that_look_like_addresses_are_never_asked_for() {
    let world = World::new("{host: '*', ports: [443]}", zone()).await;
    for name in ["10.0.0.1", "1.example.2", "169.254.169.254", "example.0x7f"] {
        assert_eq!(code(&world.ask(name, RecordType::A).await), ResponseCode::NXDomain, "{name}");
    }
    assert!(world.upstream.asked().is_empty());
    assert_eq!(addresses(&world.ask("evil.example", RecordType::A).await), ["8.8.8.8"]);
}

#[tokio::test]
async fn a_wildcard_is_no_way_out_for_data() {
    let world = World::new(WILD, zone()).await;
    let long = format!("{0}.{0}.example.com", "a".repeat(60));
    assert_eq!(code(&world.ask(&long, RecordType::A).await), ResponseCode::NXDomain);
    assert!(world.reasons()[0].1.contains("list the name"));
    assert!(world.upstream.asked().is_empty());
    // Short ones run out; what was asked before still works.
    assert_eq!(addresses(&world.ask("www.example.com", RecordType::A).await), ["8.8.8.8"]);
    let mut refused = 0;
    for n in 0..300 {
        let answer = world.ask(&format!("n{n}.example.com"), RecordType::A).await;
        refused += usize::from(code(&answer) == ResponseCode::Refused);
    }
    assert!(refused > 0 && world.upstream.asked().len() < 300, "{refused} were refused");
    assert_eq!(addresses(&world.ask("www.example.com", RecordType::A).await), ["8.8.8.8"]);
}
