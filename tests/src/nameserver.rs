//! A name server inside a network namespace, for what resolvers ask.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::Context;

use crate::dns::{A, AAAA, CNAME, NXDOMAIN, Question, labels};
use crate::netns::Namespace;
use crate::probe::PATIENCE;

/// How often it looks whether it is to end.
const BEAT: Duration = Duration::from_millis(20);

/// Names, and what they lead to: addresses or one alias; with their life in seconds.
#[derive(Debug, Clone, Default)]
pub struct Zone(HashMap<String, (u32, Vec<String>)>);

impl Zone {
    /// With one more name.
    #[must_use]
    pub fn with(mut self, name: &str, life: u32, data: &[&str]) -> Self {
        self.0.insert(name.to_owned(), (life, data.iter().map(ToString::to_string).collect()));
        self
    }

    /// The answer, aliases followed to their end.
    fn answer(&self, question: &Question) -> Vec<u8> {
        let mut records = Vec::new();
        let mut owner = question.name.clone();
        let mut code = 0;
        for _ in 0..10 {
            let Some((life, data)) = self.0.get(&owner) else {
                code = NXDOMAIN;
                break;
            };
            let mut alias = None;
            for datum in data {
                let (kind, bytes) = match datum.parse() {
                    Ok(IpAddr::V4(v4)) => (A, v4.octets().to_vec()),
                    Ok(IpAddr::V6(v6)) => (AAAA, v6.octets().to_vec()),
                    Err(_) => {
                        alias = Some(datum.clone());
                        (CNAME, labels(datum))
                    }
                };
                if kind == question.kind || kind == CNAME {
                    records.push((owner.clone(), kind, *life, bytes));
                }
            }
            match alias {
                Some(alias) => owner = alias,
                None => break,
            }
        }
        question.answer(code, &records)
    }
}

/// A name server, over UDP and TCP. Stopped when dropped.
#[derive(Debug)]
pub struct NameServer {
    asked: Arc<Mutex<Vec<String>>>,
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl NameServer {
    /// Starts one at an address inside a namespace.
    pub fn start(net: &Namespace, address: &str, zone: Zone) -> anyhow::Result<Self> {
        let address: SocketAddr = address.parse().context("an address and port")?;
        let (udp, tcp) = net
            .within(|| -> io::Result<_> {
                let (udp, tcp) = (UdpSocket::bind(address)?, TcpListener::bind(address)?);
                udp.set_read_timeout(Some(BEAT))?;
                tcp.set_nonblocking(true)?;
                Ok((udp, tcp))
            })?
            .with_context(|| format!("a name server at {address}"))?;
        let asked = Arc::new(Mutex::new(Vec::new()));
        let over = Arc::new(AtomicBool::new(false));
        let one =
            Server { zone: Arc::new(zone), asked: Arc::clone(&asked), over: Arc::clone(&over) };
        let other = one.clone();
        let threads = vec![
            thread::spawn(move || one.serve_udp(&udp)),
            thread::spawn(move || other.serve_tcp(&tcp)),
        ];
        Ok(Self { asked, over, threads })
    }

    /// What it was asked so far, as `udp NAME TYPE` or `tcp NAME TYPE`.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

#[derive(Clone)]
struct Server {
    zone: Arc<Zone>,
    asked: Arc<Mutex<Vec<String>>>,
    over: Arc<AtomicBool>,
}

impl Server {
    fn serve_udp(&self, socket: &UdpSocket) {
        let mut buffer = [0; 4096];
        while !self.over.load(Ordering::SeqCst) {
            let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
            let Ok(question) = Question::read(buffer.get(..length).unwrap_or_default()) else {
                continue;
            };
            let mut answer = self.answer("udp", &question);
            if answer.len() > question.room {
                answer = question.answer_cut();
            }
            let _ = socket.send_to(&answer, from);
        }
    }

    fn serve_tcp(&self, listener: &TcpListener) {
        while !self.over.load(Ordering::SeqCst) {
            match listener.accept() {
                Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(BEAT),
                Err(_) => return,
                Ok((mut stream, _)) => {
                    let _ = stream.set_read_timeout(Some(PATIENCE));
                    // Who does not ask, or not right, gets no answer.
                    let _ = self.converse(&mut stream);
                }
            }
        }
    }

    fn converse(&self, stream: &mut (impl Read + Write)) -> anyhow::Result<()> {
        let question = Question::read(&read_message(stream)?)?;
        Ok(write_message(stream, &self.answer("tcp", &question))?)
    }

    fn answer(&self, way: &str, question: &Question) -> Vec<u8> {
        let Question { name, kind, .. } = question;
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.push(format!("{way} {name} {kind}"));
        self.zone.answer(question)
    }
}

/// Reads a message from a stream: its length in two bytes, then itself.
pub fn read_message(stream: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut message = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut message)?;
    Ok(message)
}

/// Writes a message to a stream.
pub fn write_message(stream: &mut impl Write, message: &[u8]) -> io::Result<()> {
    let length = u16::try_from(message.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), message].concat())
}
