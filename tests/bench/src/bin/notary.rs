//! The least that a record of every call takes: a relay like `socat` that writes one, chained, before an answer
//! leaves. It reads no message, asks nobody and decides nothing.
//!
//! `notary SOCKET LOG SERVER [ARGUMENT…]`

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use sha2::{Digest, Sha256};

/// Bytes of a record before its hash, about as many as warrantd's have.
const RECORD: usize = 1000;

fn main() -> io::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [socket, log, server @ ..] = words.as_slice() else {
        return Err(io::Error::other("notary SOCKET LOG SERVER [ARGUMENT…]"));
    };
    let file = OpenOptions::new().create(true).append(true).open(log)?;
    let log = Arc::new(Mutex::new(Log { file, last: String::new() }));
    let listener = UnixListener::bind(socket)?;
    loop {
        let (client, _) = listener.accept()?;
        let (server, log) = (server.to_vec(), log.clone());
        thread::spawn(move || relay(client, &server, &log));
    }
}

/// Carries what comes from either side, as it comes.
fn relay(mut client: UnixStream, server: &[String], log: &Mutex<Log>) -> io::Result<()> {
    let (program, words) = server.split_first().ok_or_else(|| io::Error::other("no server"))?;
    let mut command = Command::new(program);
    let mut child = command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let (Some(mut input), Some(mut output)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(io::Error::other("its streams are piped"));
    };
    let mut buffer = vec![0; 64 << 10];
    loop {
        let mut both = [
            PollFd::new(client.as_fd(), PollFlags::POLLIN),
            PollFd::new(output.as_fd(), PollFlags::POLLIN),
        ];
        poll(&mut both, PollTimeout::NONE)?;
        let [from_client, from_server] = both.map(|fd| fd.any() == Some(true));
        if from_client {
            let read = client.read(&mut buffer)?;
            if read == 0 {
                drop(input);
                child.wait()?;
                return Ok(());
            }
            input.write_all(buffer.get(..read).unwrap_or_default())?;
        }
        if from_server {
            let read = output.read(&mut buffer)?;
            if read == 0 {
                child.wait()?;
                return Ok(());
            }
            let text = buffer.get(..read).unwrap_or_default();
            let answers = memchr::memchr_iter(b'\n', text).count();
            log.lock().unwrap_or_else(PoisonError::into_inner).write(answers)?;
            client.write_all(text)?;
        }
    }
}

struct Log {
    file: File,
    last: String,
}

impl Log {
    /// Writes so many records, each with the hash of the one before, together.
    fn write(&mut self, count: usize) -> io::Result<()> {
        let mut text = String::with_capacity(count * (RECORD + 80));
        for _ in 0..count {
            let start = text.len();
            text.push_str("{\"record\":\"");
            text.extend(std::iter::repeat_n('x', RECORD - 100));
            text.push_str("\",\"prev_hash\":\"");
            text.push_str(&self.last);
            let hash = Sha256::digest(text.get(start..).unwrap_or_default());
            self.last = data_encoding::HEXLOWER.encode(&hash);
            text.push_str("\",\"hash\":\"");
            text.push_str(&self.last);
            text.push_str("\"}\n");
        }
        self.file.write_all(text.as_bytes())
    }
}
