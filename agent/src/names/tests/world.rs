//! A name server of our own on loopback, an address book that remembers, and clients.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;

use super::super::{AddressBook, Resolver, Upstream};
use crate::config::{PolicyFile, Source};
use crate::policy::Policy;
use crate::policy::network::Allowed;

/// What a name server does with a question.
#[derive(Debug, Clone, Default)]
pub(super) struct Zone {
    /// Records by owner: an address, or the target of an alias; and their life in seconds.
    pub(super) records: HashMap<String, Vec<(String, u32)>>,
    /// How long it thinks.
    pub(super) delay: Duration,
    /// It answers every question with this code.
    pub(super) code: Option<ResponseCode>,
    /// It does not care how much a client takes over UDP.
    pub(super) long: bool,
    /// It writes names in lower case, whatever was asked.
    pub(super) lower: bool,
}

impl Zone {
    pub(super) fn with(mut self, owner: &str, ttl: u32, data: &[&str]) -> Self {
        let records = data.iter().map(|data| ((*data).to_owned(), ttl)).collect();
        self.records.insert(owner.to_owned(), records);
        self
    }

    fn answer(&self, asked: &Message) -> Message {
        let query = &asked.queries[0];
        let mut message = Message::new(asked.id, MessageType::Response, OpCode::Query);
        let mut shown = query.clone();
        if self.lower {
            shown.set_name(query.name().to_lowercase());
        }
        message.add_query(shown);
        if let Some(code) = self.code {
            message.metadata.response_code = code;
            return message;
        }
        let mut name = query.name().to_lowercase().to_ascii();
        let mut known = false;
        for _ in 0..10 {
            let Some(records) = self.records.get(name.trim_end_matches('.')) else { break };
            known = true;
            let owner = Name::from_ascii(&name).unwrap();
            let mut next = None;
            for (data, ttl) in records {
                let data = match (data.parse(), query.query_type()) {
                    (Ok(IpAddr::V4(v4)), RecordType::A) => RData::A(A(v4)),
                    (Ok(IpAddr::V6(v6)), RecordType::AAAA) => RData::AAAA(AAAA(v6)),
                    (Ok(_), RecordType::TXT) => RData::TXT(TXT::new(vec!["secret".to_owned()])),
                    (Ok(_), _) => continue,
                    (Err(_), _) => {
                        next = Some(format!("{data}."));
                        RData::CNAME(CNAME(Name::from_ascii(format!("{data}.")).unwrap()))
                    }
                };
                message.add_answer(Record::from_rdata(owner.clone(), *ttl, data));
            }
            match next {
                Some(target) => name = target,
                None => break,
            }
        }
        if !known {
            message.metadata.response_code = ResponseCode::NXDomain;
        }
        message
    }
}

/// A name server. Stopped when dropped.
pub(super) struct NameServer {
    pub(super) address: SocketAddr,
    /// The questions it got, with whether they came over TCP and what EDNS options they had.
    asked: Arc<Mutex<Vec<Message>>>,
    pub(super) over_tcp: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl NameServer {
    pub(super) async fn start(zone: Zone) -> Self {
        let (udp, tcp) = loop {
            let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()).await {
                break (udp, tcp);
            }
        };
        let address = udp.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let over_tcp = Arc::new(AtomicUsize::new(0));
        let zone = Arc::new(zone);
        let mut tasks = JoinSet::new();
        tasks.spawn(serve_udp(Arc::new(udp), Arc::clone(&zone), Arc::clone(&asked)));
        tasks.spawn(serve_tcp(tcp, zone, Arc::clone(&asked), Arc::clone(&over_tcp)));
        Self { address, asked, over_tcp, _tasks: tasks }
    }

    pub(super) fn asked(&self) -> Vec<Message> {
        self.asked.lock().unwrap().clone()
    }

    pub(super) fn tcp_questions(&self) -> usize {
        self.over_tcp.load(Ordering::Relaxed)
    }
}

async fn serve_udp(socket: Arc<UdpSocket>, zone: Arc<Zone>, asked: Arc<Mutex<Vec<Message>>>) {
    let mut buffer = [0; 2048];
    let mut running = JoinSet::new();
    loop {
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else { continue };
        let question = Message::from_vec(&buffer[..length]).unwrap();
        asked.lock().unwrap().push(question.clone());
        let (socket, zone) = (Arc::clone(&socket), Arc::clone(&zone));
        running.spawn(async move {
            tokio::time::sleep(zone.delay).await;
            let mut answer = zone.answer(&question);
            let fits = answer.to_vec().unwrap().len() <= usize::from(question.max_payload());
            if !fits && !zone.long {
                answer = answer.truncate();
            }
            let _ = socket.send_to(&answer.to_vec().unwrap(), from).await;
        });
    }
}

async fn serve_tcp(
    listener: TcpListener,
    zone: Arc<Zone>,
    asked: Arc<Mutex<Vec<Message>>>,
    over_tcp: Arc<AtomicUsize>,
) {
    loop {
        let Ok((mut stream, _)) = listener.accept().await else { continue };
        let Some(question) = read(&mut stream).await else { continue };
        over_tcp.fetch_add(1, Ordering::Relaxed);
        let answer = zone.answer(&question);
        asked.lock().unwrap().push(question);
        write(&mut stream, &answer.to_vec().unwrap()).await;
    }
}

pub(super) async fn read(stream: &mut TcpStream) -> Option<Message> {
    let length = stream.read_u16().await.ok()?;
    let mut bytes = vec![0; length.into()];
    stream.read_exact(&mut bytes).await.ok()?;
    Message::from_vec(&bytes).ok()
}

pub(super) async fn write(stream: &mut TcpStream, bytes: &[u8]) {
    let length = u16::try_from(bytes.len()).unwrap();
    stream.write_all(&[&length.to_be_bytes(), bytes].concat()).await.unwrap();
}

/// What was opened, in order.
#[derive(Default)]
pub(super) struct Book {
    pub(super) opened: Mutex<Vec<(IpAddr, Vec<Allowed>, Duration)>>,
    /// Addresses that cannot be opened.
    pub(super) broken: Vec<IpAddr>,
}

impl AddressBook for Book {
    fn open(
        &self,
        address: IpAddr,
        _: &str,
        allowed: &[Allowed],
        lives: Duration,
    ) -> Result<(), String> {
        if self.broken.contains(&address) {
            return Err("the map is full".to_owned());
        }
        self.opened.lock().unwrap().push((address, allowed.to_vec(), lives));
        Ok(())
    }
}

/// A resolver under a policy's `network.allow`, and what stands around it.
pub(super) struct World {
    pub(super) resolver: Resolver,
    pub(super) book: Arc<Book>,
    pub(super) upstream: NameServer,
}

impl World {
    pub(super) async fn new(allow: &str, zone: Zone) -> Self {
        Self::with_book(allow, zone, Book::default()).await
    }

    pub(super) async fn with_book(allow: &str, zone: Zone, book: Book) -> Self {
        let upstream = NameServer::start(zone).await;
        let book = Arc::new(book);
        let resolver = resolver(allow, vec![upstream.address], Arc::clone(&book));
        Self { resolver, book, upstream }
    }

    pub(super) fn at(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.resolver.v4_port()))
    }

    pub(super) async fn ask(&self, name: &str, kind: RecordType) -> Message {
        udp(self.at(), &question(name, kind)).await
    }

    pub(super) fn opened(&self) -> Vec<String> {
        self.book.opened.lock().unwrap().iter().map(|(ip, ..)| ip.to_string()).collect()
    }

    pub(super) fn reasons(&self) -> Vec<(String, String)> {
        self.resolver.refused().into_iter().map(|r| (r.name, r.reason)).collect()
    }
}

pub(super) fn resolver(allow: &str, servers: Vec<SocketAddr>, book: Arc<Book>) -> Resolver {
    let text = format!("network: {{allow: [{allow}]}}");
    let file: PolicyFile = Source::new(Path::new("p.yaml"), text).parse().unwrap();
    let policy = Policy::compile(&file, "/").unwrap();
    Resolver::start(policy.reach.names, Upstream::new(servers), book).unwrap()
}

pub(super) fn question(name: &str, kind: RecordType) -> Message {
    let mut message = Message::query();
    message.add_query(Query::query(Name::from_ascii(format!("{name}.")).unwrap(), kind));
    message.metadata.recursion_desired = true;
    message
}

/// Asks over UDP and waits for the answer; the test fails when none comes.
pub(super) async fn udp(at: SocketAddr, question: &Message) -> Message {
    let answer = udp_bytes(at, &question.to_vec().unwrap()).await.expect("an answer");
    let answer = Message::from_vec(&answer).unwrap();
    assert_eq!((answer.id, &answer.queries), (question.id, &question.queries));
    answer
}

/// Sends bytes, and gives what comes back within 10 seconds.
pub(super) async fn udp_bytes(at: SocketAddr, bytes: &[u8]) -> Option<Vec<u8>> {
    let local = if at.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
    let socket = UdpSocket::bind(local).await.unwrap();
    socket.connect(at).await.unwrap();
    socket.send(bytes).await.unwrap();
    let mut buffer = vec![0; 65_536];
    let received = tokio::time::timeout(Duration::from_secs(10), socket.recv(&mut buffer)).await;
    let length = received.ok()?.ok()?;
    buffer.truncate(length);
    Some(buffer)
}

pub(super) fn addresses(answer: &Message) -> Vec<String> {
    let shown = answer.answers.iter().map(|record| match &record.data {
        RData::A(v4) => v4.to_string(),
        RData::AAAA(v6) => v6.to_string(),
        other => format!("unexpected: {other}"),
    });
    shown.collect()
}
