//! Requests to receivers that speak HTTP, one at a time on a connection that stays open.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST, HeaderName, HeaderValue, USER_AGENT};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;
use url::{Position, Url};

use super::error::Failure;
use super::stream::{CONNECT_WITHIN, Pipe, Place, connect, host};
use super::token::Token;
use super::{ShipError, tls};
use crate::config::{Problem, ShipConfig};

/// How long an answer may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// Most bytes of an answer.
const MAX_ANSWER: usize = 8 << 20;

/// A receiver that speaks HTTP.
#[derive(Debug)]
pub(super) struct Post {
    place: Place,
    host: HeaderValue,
    /// Path and query of the URL as configured.
    pub(super) path: String,
    /// The token, and what stands before it in `Authorization`.
    token: Option<(Token, &'static str)>,
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl Post {
    /// Reads all that the configuration names. `scheme` stands before the token in `Authorization`.
    pub(super) fn open(
        config: &ShipConfig,
        url: &Url,
        base: &Path,
        scheme: &'static str,
    ) -> Result<Self, ShipError> {
        let bad = |why: &str| ShipError::Config(Problem::new("ship.url", why));
        let ca = config.ca.as_ref().map(|ca| base.join(ca));
        let tls = url.scheme() == "https";
        let tls = tls.then(|| tls::client(url, ca.as_deref(), &[b"http/1.1"])).transpose()?;
        let host = host(url).ok_or_else(|| bad("the URL has no host"))?;
        let port = url.port_or_known_default().unwrap_or(443);
        let name = HeaderValue::from_str(&url[Position::BeforeHost..Position::AfterPort]);
        let token = config.token_file.as_ref().map(|file| Token::open(base.join(file)));
        Ok(Self {
            place: Place { host, port, tls },
            host: name.map_err(|_| bad("its host cannot be asked for"))?,
            path: url[Position::BeforePath..Position::AfterQuery].to_owned(),
            token: token.transpose()?.map(|token| (token, scheme)),
            sender: None,
        })
    }

    pub(super) fn reset(&mut self) {
        self.sender = None;
    }

    /// Posts a body and gives the answer, whatever its status.
    pub(super) async fn post(
        &mut self,
        path: &str,
        headers: &[(&'static str, &str)],
        body: Vec<u8>,
    ) -> Result<(StatusCode, Vec<u8>), Failure> {
        let request = self.request(path, headers, body)?;
        let mut sender = match self.sender.take().filter(|sender| !sender.is_closed()) {
            Some(sender) => sender,
            None => self.connect().await?,
        };
        let asking = async {
            sender.ready().await?;
            let answer = sender.send_request(request).await?;
            let (head, body) = answer.into_parts();
            Ok::<_, hyper::Error>((head, Limited::new(body, MAX_ANSWER).collect().await))
        };
        let (head, body) = match timeout(ANSWER_WITHIN, asking).await {
            Err(_) => return Err(Failure::Slow("answer")),
            Ok(Err(error)) => return Err(Failure::Broken(error.to_string())),
            Ok(Ok(answer)) => answer,
        };
        let body = body.map_err(|error| Failure::Broken(error.to_string()))?;
        self.sender = Some(sender);
        Ok((head.status, body.to_bytes().to_vec()))
    }

    fn request(
        &self,
        path: &str,
        headers: &[(&'static str, &str)],
        body: Vec<u8>,
    ) -> Result<Request<Full<Bytes>>, Failure> {
        let own = concat!("warrantd/", env!("CARGO_PKG_VERSION"));
        let mut request =
            Request::post(path).header(HOST, self.host.clone()).header(USER_AGENT, own);
        for (name, value) in headers {
            request = request.header(HeaderName::from_static(name), *value);
        }
        if let Some((token, scheme)) = &self.token {
            let token = token.read().map_err(|error| Failure::Refused(error.to_string()))?;
            let value = zeroize::Zeroizing::new(format!("{scheme}{}", token.as_str()));
            let value = HeaderValue::from_str(&value);
            let mut value = value.map_err(|_| Failure::Refused("the token is none".to_owned()))?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        let request = request.body(Full::new(Bytes::from(body)));
        request.map_err(|error| Failure::Protocol(error.to_string()))
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, Failure> {
        let opening = async {
            let stream = connect(&self.place.host, self.place.port).await?;
            let pipe: Box<dyn Pipe> = match &self.place.tls {
                Some(tls) => Box::new(tls.connector.connect(tls.name.clone(), stream).await?),
                None => Box::new(stream),
            };
            Ok::<_, std::io::Error>(pipe)
        };
        let pipe = match timeout(CONNECT_WITHIN, opening).await {
            Ok(opened) => opened.map_err(|error| Failure::unreachable(&error))?,
            Err(_) => return Err(Failure::Slow("let connect")),
        };
        let (sender, connection) = http1::handshake(TokioIo::new(pipe))
            .await
            .map_err(|error| Failure::Broken(error.to_string()))?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!("a connection to a receiver ended: {error}");
            }
        });
        Ok(sender)
    }
}

/// The header of a body of JSON.
pub(super) const JSON: (&str, &str) = ("content-type", "application/json");
/// The header of a body with a JSON value on each line.
pub(super) const NDJSON: (&str, &str) = ("content-type", "application/x-ndjson");

/// Whether a receiver will never take a body, whoever asks and whenever: 400, 413 and 422.
pub(super) fn is_final(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY
    )
}
