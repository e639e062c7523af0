//! One request from its headers to its response.

use std::borrow::Cow;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use http::header::{ALLOW, HeaderName, HeaderValue, ORIGIN, VARY};
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use hyper::body::Incoming;

use super::agree;
use super::body::{self, Body, Room};
use super::desk::{Complaint, Desk, Peer, TurnedAway};
use super::guard::{self, check_accept, check_content_type, text};
use super::listener::Connection;
use super::lobby::Lobby;
use super::rate::Rate;
use super::refusal::Refusal;
use super::table::{Full, Table, Ticket};
use super::{exchange, handshake};
use crate::auth::Identity;
use crate::config::LimitsConfig;
use crate::mcp::{Id, Message, code, message};
use crate::transport::{Arrival, Notes};

/// Memory for the bodies of all requests that are being read, at least.
const BODIES: usize = 64 << 20;
/// Characters of a header that are noted for the audit record.
const NOTED: usize = 1024;
/// What clients may do, for `Allow` and for web pages.
const METHODS: &str = "POST, GET, DELETE, OPTIONS";

/// What the listeners of a daemon share.
pub struct Front {
    pub(super) desk: Arc<dyn Desk>,
    limits: RwLock<Arc<LimitsConfig>>,
    pub(super) lobby: Arc<Lobby>,
    pub(super) table: Arc<Table>,
    rate: Rate,
    room: Room,
}

/// Whom a request is for, and whose it is.
pub(super) struct Caller<'a> {
    pub(super) server: &'a str,
    pub(super) peer: &'a Peer,
}

/// What is known of a request by the time it is refused.
#[derive(Debug, Default)]
struct Known {
    server: Option<String>,
    identity: Option<Identity>,
    id: Option<Id>,
    method: Option<String>,
    /// The web page that calls, which may.
    origin: Option<HeaderValue>,
}

impl Front {
    /// A front for these servers.
    pub fn new(desk: Arc<dyn Desk>, limits: LimitsConfig) -> Arc<Self> {
        Arc::new(Self {
            desk,
            lobby: Arc::default(),
            table: Arc::default(),
            rate: Rate::default(),
            room: Room::new(BODIES.max(limits.body_bytes * 4)),
            limits: RwLock::new(Arc::new(limits)),
        })
    }

    /// Goes by other limits from the next connection, session and request on.
    pub fn limit(&self, limits: LimitsConfig) {
        self.room.grow(BODIES.max(limits.body_bytes * 4));
        *self.limits.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(limits);
    }

    /// The limits now.
    pub(super) fn limits(&self) -> Arc<LimitsConfig> {
        self.limits.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Room for a session or a request that stands alone.
    pub(super) fn ticket(&self, actor: &str) -> Result<Ticket, Refusal> {
        let limits = self.limits();
        let ticket = self.table.ticket(actor, limits.max_sessions, limits.max_sessions_per_actor);
        ticket.map_err(|full| match full {
            Full::Actor(_) => Refusal::too_many(5, full.to_string()),
            Full::All(_) => {
                let mut refusal = Refusal::too_many(5, full.to_string());
                refusal.status = StatusCode::SERVICE_UNAVAILABLE;
                refusal
            }
        })
    }

    /// Answers a request.
    pub(super) async fn serve(
        self: &Arc<Self>,
        connection: &Connection,
        request: Request<Incoming>,
    ) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let mut known = Known::default();
        let mut body = Some(body);
        let answered = self.answer(connection, &parts, &mut body, &mut known).await;
        let mut response = match answered {
            Ok(response) => response,
            Err(refusal) => {
                if let (None, Some(body), true) = (&known.id, body, parts.method == Method::POST) {
                    let read = body::glance(&parts.headers, body).await;
                    known.id = read.and_then(|text| message::readable_id(&text));
                }
                self.refuse(&connection.peer, refusal, &known)
            }
        };
        if let Some(origin) = known.origin {
            let headers = response.headers_mut();
            headers.insert("access-control-allow-origin", origin);
            let seen = "Mcp-Session-Id, X-Correlation-Id, Retry-After, WWW-Authenticate";
            headers.insert("access-control-expose-headers", HeaderValue::from_static(seen));
            headers.append(VARY, HeaderValue::from_static("Origin"));
        }
        response
    }

    fn refuse(&self, peer: &Peer, refusal: Refusal, known: &Known) -> Response<Body> {
        let error = format!("HTTP {}: {}", refusal.status.as_u16(), refusal.message);
        let correlation = self.desk.refused(&Complaint {
            server: known.server.as_deref(),
            identity: known.identity.as_ref(),
            peer,
            method: known.method.as_deref(),
            authentication: refusal.authentication,
            error: &error,
        });
        refusal.into_response(known.id.as_ref(), correlation.as_deref())
    }

    async fn answer(
        self: &Arc<Self>,
        connection: &Connection,
        parts: &Parts,
        body: &mut Option<Incoming>,
        known: &mut Known,
    ) -> Result<Response<Body>, Refusal> {
        let headers = &parts.headers;
        guard::once(headers)?;
        connection.names.check_host(headers, &parts.uri, connection.local)?;
        connection.names.check_origin(headers)?;
        known.origin = headers.get(ORIGIN).cloned();
        let server = self.server_of(parts.uri.path())?.into_owned();
        known.server = Some(server.clone());
        if parts.method == Method::OPTIONS && known.origin.is_some() {
            return Ok(preflight());
        }
        if ![Method::POST, Method::GET, Method::DELETE].contains(&parts.method) {
            return Err(not_allowed(METHODS));
        }
        let identity = self.authenticate(connection, headers, &server, known)?;
        known.identity = Some(identity.clone());
        let limits = self.limits();
        if !connection.guest.come_in(limits.max_connections) {
            let most = limits.max_connections;
            let message =
                format!("there are {most} connections already (`limits.max_connections`)");
            let mut refusal = Refusal::too_many(1, message);
            refusal.status = StatusCode::SERVICE_UNAVAILABLE;
            return Err(refusal);
        }
        let most = limits.requests_per_second;
        self.rate.take(&identity.actor, most, Instant::now()).map_err(|wait| {
            let message =
                format!("more than {most} requests a second (`limits.requests_per_second`)");
            Refusal::too_many(wait.as_secs() + 1, message)
        })?;
        let caller = Caller { server: &server, peer: &connection.peer };
        match parts.method {
            Method::POST => self.post(&caller, headers, &identity, body, known).await,
            _ if agree::names_modern(headers) => Err(not_allowed("POST, OPTIONS")),
            Method::GET => {
                let session = handshake::session(self, &caller, &identity, headers)?;
                handshake::get(&session, headers)
            }
            _ => {
                let session = handshake::session(self, &caller, &identity, headers)?;
                self.table.remove(&session);
                session.close();
                Ok(body::empty(StatusCode::NO_CONTENT))
            }
        }
    }

    async fn post(
        self: &Arc<Self>,
        caller: &Caller<'_>,
        headers: &HeaderMap,
        identity: &Identity,
        body: &mut Option<Incoming>,
        known: &mut Known,
    ) -> Result<Response<Body>, Refusal> {
        check_content_type(headers)?;
        check_accept(headers, &["application/json", "text/event-stream"])?;
        let limits = self.limits();
        let most = limits.body_bytes;
        let Some(incoming) = body.take() else { return Err(Refusal::bad("no body")) };
        let patience = Duration::from_secs(limits.body_timeout_seconds);
        let read = body::read(headers, incoming, most, patience, &self.room).await?;
        let message = match Message::parse(&read.bytes) {
            Ok(message) => message,
            Err(error) => {
                known.id = message::readable_id(&read.bytes);
                let code = match error {
                    message::MessageError::Json(_) => code::PARSE,
                    _ => code::INVALID_REQUEST,
                };
                return Err(Refusal::bad(error.to_string()).coded(code));
            }
        };
        match &message {
            Message::Request { id, method, .. } => {
                known.id = Some(id.clone());
                known.method = Some(method.clone());
            }
            Message::Notification { method, .. } => known.method = Some(method.clone()),
            Message::Response { .. } => {}
        }
        let arrival = Arrival { text: one_line(read.bytes), notes: self.notes(caller, headers) };
        if agree::is_modern(headers, &message) {
            return self.modern(caller, headers, identity, &message, arrival).await;
        }
        match &message {
            Message::Request { id, method, .. }
                if method == "initialize" && text(headers, &guard::SESSION).is_none() =>
            {
                handshake::initialize(self, caller, identity, id.clone(), arrival).await
            }
            _ => {
                let session = handshake::session(self, caller, identity, headers)?;
                handshake::post(&session, &message, arrival).await
            }
        }
    }

    async fn modern(
        self: &Arc<Self>,
        caller: &Caller<'_>,
        headers: &HeaderMap,
        identity: &Identity,
        message: &Message,
        arrival: Arrival,
    ) -> Result<Response<Body>, Refusal> {
        match message {
            Message::Request { method, params, .. } => {
                let tools = |tool: &str| self.desk.param_headers(caller.server, tool);
                agree::check(headers, method, params, tools)?;
                exchange::exchange(self, caller, identity, arrival).await
            }
            // This revision knows none that goes to a server over HTTP, and there is nothing that one
            // could be about.
            Message::Notification { method, .. } => {
                agree::check_version(headers)?;
                tracing::debug!(server = caller.server, method, "notification dropped");
                Ok(body::empty(StatusCode::ACCEPTED))
            }
            Message::Response { .. } => {
                let message = "servers of this revision ask nothing, so there is nothing to answer";
                Err(Refusal::bad(message))
            }
        }
    }

    fn authenticate(
        &self,
        connection: &Connection,
        headers: &HeaderMap,
        server: &str,
        known: &mut Known,
    ) -> Result<Identity, Refusal> {
        let key = guard::key(headers)?;
        let identity = self.desk.authenticate(server, key.as_ref(), &connection.peer);
        identity.map_err(|turned| match turned {
            TurnedAway::Unknown(why) => Refusal::unauthenticated(why, key.is_some()),
            TurnedAway::NotAllowed(identity, why) => {
                known.identity = Some(identity);
                Refusal::forbidden("policy_denied", why)
            }
        })
    }

    /// The server at a path: `/SERVER/mcp` and `/SERVER`, and `/mcp` when there is only one.
    fn server_of<'a>(&self, path: &'a str) -> Result<Cow<'a, str>, Refusal> {
        let path = path.strip_prefix('/').unwrap_or(path);
        let path = path.strip_suffix('/').unwrap_or(path);
        let server = path.strip_suffix("/mcp").unwrap_or(path);
        if self.desk.has(server) {
            return Ok(server.into());
        }
        match self.desk.only() {
            Some(only) if path == "mcp" => Ok(only.into()),
            _ => {
                let message = "there is no server at this path; the path is `/SERVER/mcp`";
                Err(Refusal::not_found("server_not_found", message))
            }
        }
    }

    fn notes(&self, caller: &Caller<'_>, headers: &HeaderMap) -> Notes {
        let wanted = self.desk.noted_headers(caller.server);
        let noted = wanted.into_iter().filter_map(|name| {
            let value = text(headers, &name.parse::<HeaderName>().ok()?)?;
            Some((name, value.chars().take(NOTED).collect()))
        });
        Notes { source_ip: caller.peer.address, headers: noted.collect() }
    }

    /// Records what cannot be answered any more.
    pub(super) fn note(&self, peer: &Peer, error: &str) {
        let (server, identity, method, authentication) = (None, None, None, false);
        let complaint = Complaint { server, identity, peer, method, authentication, error };
        let _ = self.desk.refused(&complaint); // Nobody waits for its id.
    }
}

/// A message as one line. In JSON a raw line end stands between tokens alone, where it means nothing; where
/// messages are lines, what follows it would be a message of its own, which nobody has judged.
fn one_line(mut text: Vec<u8>) -> Vec<u8> {
    for byte in &mut text {
        if *byte == b'\n' {
            *byte = b' ';
        }
    }
    text
}

fn not_allowed(methods: &'static str) -> Refusal {
    let message = format!("this method is not taken here; {methods} are");
    Refusal::of_protocol(StatusCode::METHOD_NOT_ALLOWED, message)
        .with(ALLOW, HeaderValue::from_static(methods))
}

/// The answer to a browser that asks whether a web page may call (Fetch, section 3.2). Its origin was checked.
fn preflight() -> Response<Body> {
    let mut response = body::empty(StatusCode::NO_CONTENT);
    let headers = response.headers_mut();
    headers.insert("access-control-allow-methods", HeaderValue::from_static(METHODS));
    let may = "Authorization, Content-Type, Accept, Last-Event-ID, Mcp-Session-Id, MCP-Protocol-Version, \
               Mcp-Method, Mcp-Name, X-API-Key, Traceparent, Tracestate, Baggage";
    headers.insert("access-control-allow-headers", HeaderValue::from_static(may));
    headers.insert("access-control-max-age", HeaderValue::from_static("600"));
    response
}

impl std::fmt::Debug for Front {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Front").field("limits", &self.limits).finish_non_exhaustive()
    }
}
