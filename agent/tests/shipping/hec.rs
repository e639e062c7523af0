//! A receiver in the shape of Splunk's HEC with indexer acknowledgement. What it took and has not indexed yet
//! is gone when it is killed.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::Outcome;
use crate::receiver::{Receiver, free_port};

#[derive(Default)]
struct State {
    dead: bool,
    next: u64,
    /// What was taken, by `ackId`.
    taken: Vec<(u64, Vec<u64>)>,
    indexed: Vec<u64>,
    acknowledged: Vec<u64>,
    open: Vec<TcpStream>,
}

pub(crate) struct Hec {
    dir: TempDir,
    port: u16,
    state: Arc<Mutex<State>>,
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Hec {
    pub(crate) fn start() -> Outcome<Self> {
        let dir = tempfile::tempdir()?;
        std::fs::write(dir.path().join("token"), "hunter2\n")?;
        let port = free_port()?;
        let state = Arc::new(Mutex::new(State::default()));
        let (listener, shared) = (TcpListener::bind(("127.0.0.1", port))?, Arc::clone(&state));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut state = lock(&shared);
                if state.dead {
                    continue;
                }
                state.open.extend(stream.try_clone());
                drop(state);
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || drop(serve(stream, &shared)));
            }
        });
        Ok(Self { dir, port, state })
    }
}

impl Receiver for Hec {
    fn config(&self) -> String {
        let token = self.dir.path().join("token");
        let (port, token) = (self.port, token.display());
        format!("{{name: h, to: splunk, url: 'http://127.0.0.1:{port}', token_file: {token}}}")
    }

    fn kill(&mut self) -> Outcome<()> {
        let mut state = lock(&self.state);
        state.dead = true;
        state.taken.clear();
        for stream in state.open.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
        Ok(())
    }

    fn revive(&mut self) -> Outcome<()> {
        lock(&self.state).dead = false;
        Ok(())
    }

    fn stored(&self) -> Outcome<Vec<u64>> {
        Ok(lock(&self.state).indexed.clone())
    }
}

fn serve(mut stream: TcpStream, state: &Mutex<State>) -> Outcome<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    loop {
        let (mut first, mut length, mut known) = (String::new(), 0, false);
        if reader.read_line(&mut first)? == 0 {
            return Ok(());
        }
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            known |= line == "authorization: splunk hunter2";
            if let Some(text) = line.strip_prefix("content-length: ") {
                length = text.parse()?;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let answer = if !known {
            json!({"text": "Invalid token", "code": 4})
        } else if first.contains("/ack") {
            acknowledge(&body, state)?
        } else {
            take(&body, state)?
        };
        let (status, answer) = (if known { "200 OK" } else { "403 Forbidden" }, answer.to_string());
        let length = answer.len();
        let head = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{answer}");
        stream.write_all(head.as_bytes())?;
    }
}

fn take(body: &[u8], state: &Mutex<State>) -> Outcome<Value> {
    let events = serde_json::Deserializer::from_slice(body).into_iter::<Value>();
    let seqs =
        events.map(|event| Ok(event?["fields"]["warrantd_seq"].as_u64().ok_or("no number")?));
    let seqs = seqs.collect::<Outcome<Vec<_>>>()?;
    let mut state = lock(state);
    state.next += 1;
    let id = state.next;
    state.taken.push((id, seqs));
    Ok(json!({"text": "Success", "code": 0, "ackId": id}))
}

/// Indexes what was taken when it is asked about for the first time, and says so the second time.
fn acknowledge(body: &[u8], state: &Mutex<State>) -> Outcome<Value> {
    let asked: Value = serde_json::from_slice(body)?;
    let id = asked["acks"][0].as_u64().ok_or("no id")?;
    let mut state = lock(state);
    let done = state.acknowledged.contains(&id);
    if let Some(at) = state.taken.iter().position(|(taken, _)| *taken == id) {
        let (_, seqs) = state.taken.remove(at);
        state.indexed.extend(seqs);
        state.acknowledged.push(id);
    }
    Ok(json!({"acks": {id.to_string(): done}}))
}
