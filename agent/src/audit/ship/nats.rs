//! NATS `JetStream`: every event is published with its id (`Nats-Msg-Id`), by which a stream drops those that
//! come twice within its duplicate window, and each publication is acknowledged as stored.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, timeout, timeout_at};
use url::Url;

use super::error::{Failure, excerpt};
use super::nats_wire::{Said, Wire};
use super::sink::Delivered;
use super::stream::{CONNECT_WITHIN, Pipe, Place, connect, host};
use super::tls::Tls;
use super::token::Token;
use super::{ShipError, tls};
use crate::audit::format::Formatted;
use crate::config::{Problem, ShipConfig};

/// How long the acknowledgements of a batch may take.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(30);
/// What a server takes when it does not say.
const MAX_PAYLOAD: u64 = 1 << 20;

/// A NATS server.
#[derive(Debug)]
pub(super) struct Nats {
    place: Place,
    subject: String,
    token: Option<Token>,
    connection: Option<Connection>,
}

struct Connection {
    wire: Wire,
    inbox: String,
    /// Counts publications, so that a late acknowledgement is not taken for another's.
    next: u64,
    max_payload: u64,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("next", &self.next).finish_non_exhaustive()
    }
}

impl Nats {
    pub(super) fn open(config: &ShipConfig, url: &Url, base: &Path) -> Result<Self, ShipError> {
        let bad = |why: &str| ShipError::Config(Problem::new("ship.url", why));
        let ca = config.ca.as_ref().map(|ca| base.join(ca));
        let tls = url.scheme() == "tls";
        let tls = tls.then(|| tls::client(url, ca.as_deref(), &[])).transpose()?;
        let host = host(url).ok_or_else(|| bad("the URL has no host"))?;
        let port = url.port().or(config.default_port()).unwrap_or(4222);
        let token = config.token_file.as_ref().map(|file| Token::open(base.join(file)));
        Ok(Self {
            place: Place { host, port, tls },
            subject: config.subject.clone().unwrap_or_default(),
            token: token.transpose()?,
            connection: None,
        })
    }

    pub(super) fn reset(&mut self) {
        self.connection = None;
    }

    /// Publishes all events and waits until all are stored.
    pub(super) async fn deliver(&mut self, events: &[Formatted]) -> Result<Delivered, Failure> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => match timeout(CONNECT_WITHIN, self.connect()).await {
                Ok(connected) => connected?,
                Err(_) => return Err(Failure::Slow("let connect")),
            },
        };
        let done = connection.publish(&self.subject, events).await?;
        self.connection = Some(connection);
        Ok(done)
    }

    async fn connect(&self) -> Result<Connection, Failure> {
        let stream = connect(&self.place.host, self.place.port).await;
        let stream = stream.map_err(|error| Failure::unreachable(&error))?;
        let mut wire = Wire::new(Box::new(stream));
        let Said::Info(info) = wire.read().await.map_err(|error| Failure::broken(&error))? else {
            return Err(Failure::Protocol("it did not introduce itself".to_owned()));
        };
        let wants_tls = info["tls_required"] == true;
        match &self.place.tls {
            Some(tls) => wire = upgrade(wire, tls).await?,
            None if wants_tls => {
                return Err(Failure::Refused("it wants TLS; write tls:// in `url`".to_owned()));
            }
            None => {}
        }
        let mut hello = json!({
            "verbose": false, "pedantic": false, "lang": "rust", "name": "warrantd", "protocol": 1,
            "version": env!("CARGO_PKG_VERSION"), "headers": true, "no_responders": true,
            "tls_required": self.place.tls.is_some(),
        });
        if let (Some(token), Value::Object(hello)) = (&self.token, &mut hello) {
            let token = token.read().map_err(|error| Failure::Refused(error.to_string()))?;
            hello.insert("auth_token".to_owned(), token.as_str().into());
        }
        let inbox = format!("_INBOX.{}", uuid::Uuid::now_v7().simple());
        let hello = format!("CONNECT {hello}\r\nSUB {inbox}.* 1\r\nPING\r\n");
        wire.write(hello.as_bytes()).await.map_err(|error| Failure::broken(&error))?;
        let max_payload = info["max_payload"].as_u64().unwrap_or(MAX_PAYLOAD);
        let mut connection = Connection { wire, inbox, next: 0, max_payload };
        loop {
            match connection.read().await? {
                Said::Pong => return Ok(connection),
                Said::Error(why) => return Err(Failure::Refused(excerpt(why.as_bytes()))),
                _ => {}
            }
        }
    }
}

/// TLS on a connection on which the server has introduced itself.
async fn upgrade(wire: Wire, tls: &Tls) -> Result<Wire, Failure> {
    let plain = wire.into_inner();
    let plain = plain.ok_or_else(|| Failure::Protocol("it spoke before TLS began".to_owned()))?;
    let secured = tls.connector.connect(tls.name.clone(), plain).await;
    let secured: Box<dyn Pipe> = Box::new(secured.map_err(|error| Failure::unreachable(&error))?);
    Ok(Wire::new(secured))
}

impl Connection {
    async fn read(&mut self) -> Result<Said, Failure> {
        loop {
            match self.wire.read().await.map_err(|error| Failure::broken(&error))? {
                Said::Ping => {
                    let pong = self.wire.write(b"PONG\r\n").await;
                    pong.map_err(|error| Failure::broken(&error))?;
                }
                said => return Ok(said),
            }
        }
    }

    async fn publish(&mut self, subject: &str, events: &[Formatted]) -> Result<Delivered, Failure> {
        let first = self.next;
        let (mut rejected, mut why, mut text) = (0, String::new(), Vec::new());
        for event in events {
            let head = format!("NATS/1.0\r\nNats-Msg-Id: {}\r\n\r\n", event.id);
            let total = head.len() + event.text.len();
            if total as u64 > self.max_payload {
                rejected += 1;
                why = format!("record {} is larger than the server's max_payload", event.seq);
                continue;
            }
            let line =
                format!("HPUB {subject} {}.{} {} {total}\r\n", self.inbox, self.next, head.len());
            for part in [line.as_str(), &head, &event.text, "\r\n"] {
                text.extend_from_slice(part.as_bytes());
            }
            self.next += 1;
        }
        let deadline = Instant::now() + ACKNOWLEDGED_WITHIN;
        let all = async {
            self.wire.write(&text).await.map_err(|error| Failure::broken(&error))?;
            let mut waiting = self.next - first;
            while waiting > 0 {
                match self.read().await? {
                    Said::Message { subject, headers, payload } => {
                        let number = subject.rsplit('.').next().and_then(|n| n.parse::<u64>().ok());
                        if number.is_some_and(|number| number >= first) {
                            stored(&headers, &payload)?;
                            waiting -= 1;
                        }
                    }
                    Said::Error(why) => return Err(Failure::Refused(excerpt(why.as_bytes()))),
                    _ => {}
                }
            }
            Ok(())
        };
        match timeout_at(deadline, all).await {
            Ok(done) => done?,
            Err(_) => return Err(Failure::Slow("acknowledge what was published")),
        }
        Ok(Delivered::Acknowledged { rejected, why })
    }
}

/// Whether an answer says that a stream has stored the event, now or before.
fn stored(headers: &[u8], payload: &[u8]) -> Result<(), Failure> {
    if headers.starts_with(b"NATS/1.0 503") {
        return Err(Failure::Refused("no stream takes this subject".to_owned()));
    }
    let answer: Value =
        serde_json::from_slice(payload).map_err(|_| Failure::Protocol(excerpt(payload)))?;
    if let Some(error) = answer.get("error") {
        let why = error["description"].as_str().unwrap_or("it could not be stored");
        return Err(Failure::Refused(excerpt(why.as_bytes())));
    }
    if answer["stream"].is_string() { Ok(()) } else { Err(Failure::Protocol(excerpt(payload))) }
}
