//! The endpoint: `/metrics`, `/live` and `/ready`, on loopback or a Unix socket.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::super::accept::bind;
use super::super::daemon::DaemonError;
use super::Metrics;
use crate::config::MetricsConfig;
use crate::session::stopped;
use crate::transport::activation;
use crate::transport::http::ListenError;

/// Connections at a time. Scrapers need one.
const CONNECTIONS: usize = 16;
/// How long a request may take to arrive, and a connection to be silent.
const PATIENCE: Duration = Duration::from_secs(30);
/// Headers may have this many bytes.
const HEADERS: usize = 16 << 10;
/// What [`Metrics::render`] gives (`OpenMetrics` 1.0, section Overall Structure).
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A socket that listens.
#[derive(Debug)]
pub(crate) struct Endpoint {
    socket: Socket,
    metrics: Arc<Metrics>,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener, PathBuf),
}

impl Endpoint {
    /// Makes the socket.
    pub(crate) async fn bind(
        config: &MetricsConfig,
        metrics: Arc<Metrics>,
    ) -> Result<Self, DaemonError> {
        let socket = match (config.address, &config.unix) {
            (Some(address), _) => Socket::Tcp(listen(address).await?),
            (None, path) => {
                let path = path.clone().unwrap_or_default();
                Socket::Unix(bind(&path).await?, path)
            }
        };
        Ok(Self { socket, metrics })
    }

    /// Where it listens: `http://ADDRESS:PORT/metrics` or `unix:PATH`.
    pub(crate) fn url(&self) -> String {
        match &self.socket {
            Socket::Tcp(listener) => listener.local_addr().map_or_else(
                |error| format!("an address that is not known ({error})"),
                |address| format!("http://{address}/metrics"),
            ),
            Socket::Unix(_, path) => format!("unix:{}", path.display()),
        }
    }

    /// Answers until `stop` becomes true.
    pub(crate) async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut connections = JoinSet::new();
        loop {
            let room = connections.len() < CONNECTIONS;
            tokio::select! {
                accepted = self.accept(), if room => match accepted {
                    Ok(stream) => {
                        let by_address = matches!(self.socket, Socket::Tcp(_));
                        connections.spawn(serve(stream, self.metrics.clone(), by_address));
                    }
                    Err(error) => {
                        tracing::warn!("metrics: cannot accept: {error}");
                        sleep(Duration::from_millis(100)).await;
                    }
                },
                Some(_) = connections.join_next() => {}
                () = stopped(&mut stop) => break,
            }
        }
        if let Socket::Unix(_, path) = &self.socket {
            activation::remove(path);
        }
    }

    async fn accept(&self) -> std::io::Result<Box<dyn Stream>> {
        Ok(match &self.socket {
            Socket::Tcp(listener) => Box::new(listener.accept().await?.0),
            Socket::Unix(listener, _) => Box::new(listener.accept().await?.0),
        })
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

async fn listen(address: SocketAddr) -> Result<TcpListener, DaemonError> {
    let failed = |source| ListenError::Socket { place: address.to_string(), source };
    match activation::tcp(address).map_err(failed)? {
        Some(passed) => Ok(passed),
        None => Ok(TcpListener::bind(address).await.map_err(failed)?),
    }
}

async fn serve(stream: Box<dyn Stream>, metrics: Arc<Metrics>, by_address: bool) {
    let service = service_fn(|request: Request<hyper::body::Incoming>| {
        let response = answer(&request, &metrics, by_address);
        async move { Ok::<_, Infallible>(response) }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).max_buf_size(HEADERS).header_read_timeout(PATIENCE);
    if let Err(error) = builder.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!("metrics: {error}");
    }
}

fn answer<B>(request: &Request<B>, metrics: &Metrics, by_address: bool) -> Response<Full<Bytes>> {
    if by_address && !names_an_address(request) {
        let text = "this endpoint is reached by its address alone, or as localhost\n";
        return plain(StatusCode::FORBIDDEN, text.to_owned());
    }
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut refused = plain(StatusCode::METHOD_NOT_ALLOWED, "GET only\n".to_owned());
        refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refused;
    }
    match request.uri().path() {
        "/live" => plain(StatusCode::OK, "live\n".to_owned()),
        "/ready" => match metrics.trouble() {
            None => plain(StatusCode::OK, "ready\n".to_owned()),
            Some(why) => plain(StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}\n")),
        },
        "/metrics" => match metrics.render() {
            Ok(text) => {
                let mut response = plain(StatusCode::OK, text);
                let kind = HeaderValue::from_static(OPEN_METRICS);
                response.headers_mut().insert(CONTENT_TYPE, kind);
                response
            }
            Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
        },
        _ => plain(StatusCode::NOT_FOUND, "/metrics, /live and /ready are here\n".to_owned()),
    }
}

/// Whether a request does not come from a web page whose name was made to lead here (DNS rebinding).
fn names_an_address<B>(request: &Request<B>) -> bool {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, port)| {
        if port.bytes().all(|byte| byte.is_ascii_digit()) { name } else { host }
    });
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || bare.parse::<std::net::IpAddr>().is_ok()
}

fn plain(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(host: &str, method: Method, path: &str) -> StatusCode {
        let metrics = Metrics::new(|_| false, super::super::Watched::nothing());
        let request = Request::builder().method(method).uri(path).header(HOST, host);
        answer(&request.body(()).expect("a request"), &metrics, true).status()
    }

    #[test]
    fn what_is_there_is_given_and_nothing_else() {
        for path in ["/metrics", "/live", "/ready", "/metrics?x=1"] {
            assert_eq!(status("127.0.0.1:9464", Method::GET, path), StatusCode::OK, "{path}");
        }
        assert_eq!(status("localhost", Method::GET, "/"), StatusCode::NOT_FOUND);
        assert_eq!(status("[::1]:1", Method::POST, "/metrics"), StatusCode::METHOD_NOT_ALLOWED);
    }

    #[test]
    fn pages_by_name_are_kept_out() {
        for host in ["evil.example:9464", "evil.example", "127.0.0.1.evil.example", ""] {
            assert_eq!(status(host, Method::GET, "/metrics"), StatusCode::FORBIDDEN, "{host}");
        }
        for host in ["localhost:9464", "127.0.0.1", "[::1]:9464"] {
            assert_eq!(status(host, Method::GET, "/metrics"), StatusCode::OK, "{host}");
        }
    }

    #[test]
    fn not_ready_says_why() {
        let metrics = Metrics::new(|_| false, super::super::Watched::nothing());
        crate::audit::Observer::failed(&metrics);
        let request = Request::builder().uri("/ready").body(()).expect("a request");
        let answered = answer(&request, &metrics, false);
        assert_eq!(answered.status(), StatusCode::SERVICE_UNAVAILABLE);
    }
}
