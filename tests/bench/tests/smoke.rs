//! The null server and the load client do what they are for. Nothing here is about time.

#![allow(clippy::expect_used)] // Also in what tests call.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use warrantd_bench::http::Session;
use warrantd_bench::lines::Lines;
use warrantd_bench::load::{Channel, run};

const SOON: Duration = Duration::from_millis(20);

fn server(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_null-server"));
    command.args(words);
    command
}

#[test]
fn calls_are_answered_over_pipes() {
    let mut channels = [Lines::start(&mut server(&[])).expect("a session")];
    let mut serial = 8_990;
    for in_flight in [1, 16] {
        let stretch = run(&mut channels, in_flight, SOON, &mut serial).expect("answers");
        assert!(stretch.latencies.len() >= in_flight);
    }
    assert!(serial < 8_990, "ids begin anew: {serial}");
}

#[test]
fn large_results_arrive_whole() {
    let mut channels = [Lines::start(&mut server(&["--result", "1048576"])).expect("a session")];
    let stretch = run(&mut channels, 2, SOON, &mut 0).expect("answers");
    assert!(stretch.latencies.len() >= 2);
}

#[test]
fn a_call_fails_when_its_files_are_not_there() {
    let dir = env!("CARGO_MANIFEST_DIR");
    let mut channels = [Lines::start(&mut server(&["--open", dir])).expect("a session")];
    assert!(run(&mut channels, 1, SOON, &mut 0).is_err());
}

/// The server gets the socket as its standard input and output.
#[test]
fn several_sessions_over_inherited_sockets_take_turns() {
    let directory = std::env::temp_dir().join(format!("warrantd-bench-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory");
    let path = directory.join("socket");
    let listener = UnixListener::bind(&path).expect("a socket");
    let accepting = thread::spawn(move || -> Vec<Child> {
        let start = |_| {
            let (stream, _) = listener.accept().expect("a client");
            let input = OwnedFd::from(stream.try_clone().expect("the same socket"));
            let mut command = server(&[]);
            command.stdin(Stdio::from(input)).stdout(Stdio::from(OwnedFd::from(stream)));
            command.spawn().expect("a server")
        };
        (0..3).map(start).collect()
    });
    let open = (0..3).map(|_| Lines::connect(&path, None).expect("a session"));
    let mut channels: Vec<Lines> = open.collect();
    let stretch = run(&mut channels, 1, SOON, &mut 0).expect("answers");
    assert!(stretch.latencies.len() >= 3);
    drop(channels);
    for mut child in accepting.join().expect("accepted") {
        assert!(child.wait().expect("ended").success(), "it ends with its client");
    }
    std::fs::remove_dir_all(directory).expect("removed");
}

/// Both ways in which a response can come, in pieces.
#[test]
fn calls_are_answered_over_http() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
    let address: SocketAddr = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(move || serve(stream.expect("a client")));
        }
    });
    let session = Session::begin(address, "/mcp", "").expect("a session");
    let open = (0..3).map(|_| session.connect().expect("a connection"));
    let mut channels: Vec<_> = open.collect();
    let stretch = run(&mut channels, 1, SOON, &mut 0).expect("answers");
    assert!(stretch.latencies.len() >= 3);
    let mut done = Vec::new();
    channels[0].call(7).expect("sent");
    while done.is_empty() {
        channels[0].read(&mut done).expect("an answer");
    }
    assert_eq!(done, [7]);
}

/// A server over HTTP, by way of the null server over pipes.
fn serve(mut stream: TcpStream) {
    let mut child = server(&[]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("runs");
    let mut input = child.stdin.take().expect("piped");
    let mut output = BufReader::new(child.stdout.take().expect("piped"));
    let mut reader = BufReader::new(stream.try_clone().expect("the same socket"));
    for turn in 0.. {
        let mut length = 0;
        let mut line = String::new();
        while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
            if let Some(value) = line.strip_prefix("Content-Length: ") {
                length = value.trim().parse().expect("a number");
            }
            line.clear();
        }
        if length == 0 {
            break;
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).expect("a body");
        if !body.windows(5).any(|word| word == b"\"id\":") {
            stream.write_all(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n").expect("sent");
            continue;
        }
        body.push(b'\n');
        input.write_all(&body).expect("forwarded");
        let mut answer = String::new();
        output.read_line(&mut answer).expect("answered");
        let head = "HTTP/1.1 200 OK\r\nMcp-Session-Id: one\r\n";
        if turn % 2 == 0 {
            let length = answer.len();
            write!(stream, "{head}Content-Length: {length}\r\n\r\n{answer}").expect("sent");
            continue;
        }
        let event = format!("event: message\ndata: {answer}\n\n");
        let (first, second) = event.split_at(20);
        write!(stream, "{head}Transfer-Encoding: chunked\r\n\r\n14\r\n{first}\r\n").expect("sent");
        stream.flush().expect("sent");
        write!(stream, "{:x}\r\n{second}\r\n0\r\n\r\n", second.len()).expect("sent");
    }
    drop(input);
    child.wait().expect("ended");
}

/// The floors, which answer like the server itself.
#[test]
fn floors_answer() {
    let directory = tempfile::tempdir().expect("a directory");
    let (socket, log) = (directory.path().join("socket"), directory.path().join("log"));
    let mut notary = Command::new(env!("CARGO_BIN_EXE_notary"));
    notary.arg(&socket).arg(&log).arg(env!("CARGO_BIN_EXE_null-server"));
    let mut notary = notary.spawn().expect("a relay");
    let address = warrantd_bench::daemon::free_address().expect("an address");
    let mut http = Command::new(env!("CARGO_BIN_EXE_null-http"));
    let mut http = http.arg(address.to_string()).spawn().expect("a server");
    let patiently = || (0..500).map(|_| thread::sleep(SOON));
    let line = patiently().find_map(|()| Lines::connect(&socket, None).ok());
    let over_http = patiently().find_map(|()| Session::begin(address, "/mcp", "").ok());
    let mut lines = [line.expect("a session")];
    let calls = run(&mut lines, 4, SOON, &mut 0).expect("answers").latencies.len();
    drop(lines);
    let records = std::fs::read_to_string(&log).expect("a log").lines().count();
    assert!(records >= calls + 2, "{records} records of {calls} calls, a handshake and a list");
    let mut connection = [over_http.expect("a session").connect().expect("a connection")];
    assert!(!run(&mut connection, 1, SOON, &mut 0).expect("answers").latencies.is_empty());
    for process in [&mut notary, &mut http] {
        process.kill().expect("ended");
        process.wait().expect("ended");
    }
}
