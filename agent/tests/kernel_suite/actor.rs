//! The program inside sessions: does one thing and prints how it went.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::process::ExitCode;

/// First argument of an actor.
pub(crate) const MARK: &str = "act";

/// The command line of an actor.
pub(crate) fn command(words: &[&str]) -> Vec<OsString> {
    ["/proc/self/exe", MARK].iter().chain(words).map(OsString::from).collect()
}

/// Does what the words say. A refusal is printed, not failed with.
pub(crate) fn run(words: impl Iterator<Item = String>) -> ExitCode {
    let words: Vec<String> = words.collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["probe"] => {
            let _ = File::open("/dev/null");
            println!("connect {}", outcome(TcpStream::connect("127.0.0.1:9")));
            return ExitCode::SUCCESS;
        }
        ["nothing"] => Ok(()),
        ["read", path] => File::open(path).map(drop),
        ["write", path] => OpenOptions::new().write(true).open(path).map(drop),
        ["update", path] => OpenOptions::new().read(true).write(true).open(path).map(drop),
        ["create", path] => File::create_new(path).map(drop),
        ["exec", program] => std::process::Command::new(program).status().map(drop),
        ["tcp", peer] => TcpStream::connect(address(peer)).map(drop),
        ["udp", peer] => {
            UdpSocket::bind(local(peer)).and_then(|s| s.send_to(b"x", address(peer))).map(drop)
        }
        ["list", path] => fs::read_dir(path).map(drop),
        _ => {
            eprintln!("the actor does not know {words:?}");
            return ExitCode::FAILURE;
        }
    };
    println!("{}", outcome(result));
    ExitCode::SUCCESS
}

/// `ok`, or the name of the error.
pub(crate) fn outcome<T>(result: io::Result<T>) -> String {
    match result {
        Ok(_) => "ok".into(),
        Err(error) => match error.raw_os_error() {
            Some(libc::EPERM) => "EPERM".into(),
            Some(libc::EACCES) => "EACCES".into(),
            Some(libc::ECONNREFUSED) => "ECONNREFUSED".into(),
            Some(libc::ENOSYS) => "ENOSYS".into(),
            _ => error.to_string(),
        },
    }
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address and port")
}

fn local(peer: &str) -> SocketAddr {
    let any = if address(peer).is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    address(any)
}
