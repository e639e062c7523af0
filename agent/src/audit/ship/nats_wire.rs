//! The client protocol of NATS, as much of it as publishing to `JetStream` needs (docs.nats.io, "Client
//! Protocol"). It is some hundred lines of text protocol; a client library for it would bring a few dozen
//! crates, among them another signature library and another TLS set-up, for features that are not used.

use std::io;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

use super::stream::Pipe;

/// Longest line of control, and largest message that is read: acknowledgements are short.
const MAX_LINE: u64 = 64 << 10;
const MAX_MESSAGE: usize = 1 << 20;

/// A connection to a server.
pub(super) struct Wire {
    pipe: BufReader<Box<dyn Pipe>>,
}

/// What a server says.
#[derive(Debug, PartialEq)]
pub(super) enum Said {
    Info(Value),
    Ping,
    Pong,
    Ok,
    Error(String),
    /// A message: subject, headers, payload.
    Message {
        subject: String,
        headers: Vec<u8>,
        payload: Vec<u8>,
    },
}

impl Wire {
    pub(super) fn new(pipe: Box<dyn Pipe>) -> Self {
        Self { pipe: BufReader::new(pipe) }
    }

    /// The connection itself. Nothing may have been read ahead: before TLS begins the server waits.
    pub(super) fn into_inner(self) -> Option<Box<dyn Pipe>> {
        self.pipe.buffer().is_empty().then(|| self.pipe.into_inner())
    }

    pub(super) async fn write(&mut self, text: &[u8]) -> io::Result<()> {
        self.pipe.write_all(text).await?;
        self.pipe.flush().await
    }

    /// The next thing that the server says.
    pub(super) async fn read(&mut self) -> io::Result<Said> {
        let mut line = Vec::new();
        let read = (&mut self.pipe).take(MAX_LINE).read_until(b'\n', &mut line).await?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = String::from_utf8_lossy(&line);
        let line = line.strip_suffix("\r\n").ok_or_else(|| strange("a line without its end"))?;
        let (word, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let number = |field: Option<&&str>| {
            let number = field.and_then(|text| text.parse::<usize>().ok());
            number.filter(|n| *n <= MAX_MESSAGE).ok_or_else(|| strange("a length"))
        };
        Ok(match word.to_ascii_uppercase().as_str() {
            "INFO" => Said::Info(serde_json::from_str(rest.trim())?),
            "PING" => Said::Ping,
            "PONG" => Said::Pong,
            "+OK" => Said::Ok,
            "-ERR" => Said::Error(rest.trim().trim_matches('\'').to_owned()),
            // MSG subject sid [reply] bytes, HMSG subject sid [reply] header-bytes bytes
            "MSG" | "HMSG" => {
                let total = number(fields.last())?;
                let head = if word.eq_ignore_ascii_case("HMSG") {
                    number(fields.len().checked_sub(2).and_then(|at| fields.get(at)))?
                } else {
                    0
                };
                let subject = (*fields.first().unwrap_or(&"")).to_owned();
                let mut text = vec![0; total + 2];
                self.pipe.read_exact(&mut text).await?;
                text.truncate(total);
                let payload = text.split_off(head.min(total));
                Said::Message { subject, headers: text, payload }
            }
            _ => return Err(strange("something that is none of its words")),
        })
    }
}

fn strange(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the server said {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn said(text: &'static [u8]) -> io::Result<Said> {
        let (mut server, client) = tokio::io::duplex(1 << 16);
        server.write_all(text).await.expect("written");
        drop(server);
        Wire::new(Box::new(client)).read().await
    }

    #[tokio::test]
    async fn what_a_server_says_is_read() {
        assert_eq!(said(b"PING\r\n").await.expect("read"), Said::Ping);
        assert_eq!(said(b"-ERR 'no'\r\n").await.expect("read"), Said::Error("no".to_owned()));
        let message = said(b"MSG a.b 1 5\r\nhello\r\n").await.expect("read");
        let expected = Said::Message {
            subject: "a.b".to_owned(),
            headers: Vec::new(),
            payload: b"hello".to_vec(),
        };
        assert_eq!(message, expected);
        let Said::Message { headers, payload, .. } =
            said(b"HMSG a 1 16 16\r\nNATS/1.0 503\r\n\r\n\r\n").await.expect("read")
        else {
            panic!("a message");
        };
        assert!(headers.starts_with(b"NATS/1.0 503") && payload.is_empty());
    }

    #[tokio::test]
    async fn what_is_no_protocol_is_an_error() {
        for text in [&b""[..], b"NONSENSE\r\n", b"MSG a 1 99999999999\r\n", b"MSG\r\n", b"PING"] {
            assert!(said(text).await.is_err(), "{text:?}");
        }
    }
}
