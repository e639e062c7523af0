//! nats-server with `JetStream`, asked by its text protocol.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use serde_json::Value;
use tempfile::TempDir;

use crate::Outcome;
use crate::receiver::{Program, Receiver, free_port};

pub(crate) struct Nats {
    dir: TempDir,
    port: u16,
    program: Program,
}

impl Nats {
    pub(crate) fn start() -> Outcome<Self> {
        let dir = tempfile::tempdir()?;
        let port = free_port()?;
        let config = dir.path().join("nats.conf");
        let store = dir.path().join("store");
        let text = format!(
            "listen: 127.0.0.1:{port}\njetstream {{ store_dir: \"{}\" }}\n\
             authorization {{ token: \"hunter2\" }}\n",
            store.display()
        );
        std::fs::write(&config, text)?;
        std::fs::write(dir.path().join("token"), "hunter2\n")?;
        let config = config.display().to_string();
        let program = Program::start(&["usr/sbin/nats-server", "-c", &config], port)?;
        let nats = Self { dir, port, program };
        let stream = r#"{"name":"AUDIT","subjects":["audit.>"],"storage":"file"}"#;
        let made = Client::connect(port)?.ask("$JS.API.STREAM.CREATE.AUDIT", stream)?;
        if made.get("error").is_some() {
            return Err(made.to_string().into());
        }
        Ok(nats)
    }
}

impl Receiver for Nats {
    fn config(&self) -> String {
        let (port, token) = (self.port, self.dir.path().join("token"));
        format!(
            "{{name: n, to: nats, url: 'nats://127.0.0.1:{port}', subject: audit.host, \
             format: native, token_file: {}}}",
            token.display()
        )
    }

    fn kill(&mut self) -> Outcome<()> {
        self.program.kill()
    }

    fn revive(&mut self) -> Outcome<()> {
        self.program.revive()
    }

    fn stored(&self) -> Outcome<Vec<u64>> {
        let mut client = Client::connect(self.port)?;
        let info = client.ask("$JS.API.STREAM.INFO.AUDIT", "")?;
        let last = info["state"]["last_seq"].as_u64().ok_or("no state")?;
        let mut seqs = Vec::new();
        for n in 1..=last {
            let got = client.ask("$JS.API.STREAM.MSG.GET.AUDIT", &format!("{{\"seq\":{n}}}"))?;
            let data = got["message"]["data"].as_str().ok_or("no message")?;
            let line = data_encoding::BASE64.decode(data.as_bytes())?;
            let line: Value = serde_json::from_slice(&line)?;
            seqs.push(line["seq"].as_u64().ok_or("no number")?);
        }
        Ok(seqs)
    }
}

struct Client(BufReader<TcpStream>);

impl Client {
    fn connect(port: u16) -> Outcome<Self> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        let hello = r#"{"verbose":false,"auth_token":"hunter2"}"#;
        stream.write_all(format!("CONNECT {hello}\r\nSUB _INBOX.test 1\r\n").as_bytes())?;
        Ok(Self(BufReader::new(stream)))
    }

    fn ask(&mut self, subject: &str, body: &str) -> Outcome<Value> {
        let question = format!("PUB {subject} _INBOX.test {}\r\n{body}\r\n", body.len());
        self.0.get_mut().write_all(question.as_bytes())?;
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line)? == 0 {
                return Err("the server went away".into());
            }
            if line.starts_with("PING") {
                self.0.get_mut().write_all(b"PONG\r\n")?;
            } else if line.starts_with("MSG") {
                let length = line.split_whitespace().last().ok_or("no length")?.parse::<usize>()?;
                let mut text = vec![0; length + 2];
                self.0.read_exact(&mut text)?;
                text.truncate(length);
                return Ok(serde_json::from_slice(&text)?);
            } else if line.starts_with("-ERR") {
                return Err(line.into());
            }
        }
    }
}
