//! What HTTP needs of the daemon: who a caller is, and somebody to talk to.

use std::net::IpAddr;
use std::sync::Arc;

use secrecy::SecretString;
use tokio::sync::mpsc;

use super::ClientCertificate;
use crate::auth::Identity;
use crate::mcp::{Era, ParamHeader};
use crate::transport::{Arrival, Departure};

/// The other end of a connection.
#[derive(Debug, Clone, Default)]
pub struct Peer {
    /// Its address, on a network.
    pub address: Option<IpAddr>,
    /// Its user, on a Unix socket.
    pub uid: Option<u32>,
    /// The certificate that it proved to hold.
    pub certificate: Option<Arc<ClientCertificate>>,
    /// The actor that everybody is who comes in here.
    pub speaks_for: Option<Arc<str>>,
}

/// Why a caller may not come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TurnedAway {
    /// It did not prove who it is. What it lacks, without what it sent.
    Unknown(String),
    /// It did, and has no business here.
    NotAllowed(Identity, String),
}

/// A client's conversation with a server.
#[derive(Debug)]
pub struct Visit {
    /// The server.
    pub server: String,
    /// The caller.
    pub identity: Identity,
    /// `Handshake`: it begins with `initialize`, and lasts as long as the client wants. `Modern`: one request.
    pub era: Era,
    /// The client's messages; closed when it has left, or does not want its request any more.
    pub arrivals: mpsc::Receiver<Arrival>,
    /// Messages for it.
    pub departures: mpsc::Sender<Departure>,
}

/// A request that was refused, for the audit log.
#[derive(Debug)]
pub struct Complaint<'a> {
    /// The server that was asked for, if there is one of that name.
    pub server: Option<&'a str>,
    /// Who was refused, if that is known.
    pub identity: Option<&'a Identity>,
    /// Where it came from.
    pub peer: &'a Peer,
    /// The JSON-RPC method, if it was read.
    pub method: Option<&'a str>,
    /// The caller did not prove who it is.
    pub authentication: bool,
    /// What was wrong, in one line.
    pub error: &'a str,
}

/// Who answers for the servers behind.
pub trait Desk: Send + Sync {
    /// Whether there is a server of this id.
    fn has(&self, server: &str) -> bool;

    /// The only server, when there is no other.
    fn only(&self) -> Option<String>;

    /// Who a caller is. A key that was sent must be right.
    fn authenticate(
        &self,
        server: &str,
        key: Option<&SecretString>,
        peer: &Peer,
    ) -> Result<Identity, TurnedAway>;

    /// Begins a conversation, which goes on by itself. The error says why not, in one line.
    fn begin(&self, visit: Visit) -> Result<(), String>;

    /// Records a request that was refused, and gives the correlation id of the record; `None` when it
    /// could not be written.
    fn refused(&self, complaint: &Complaint<'_>) -> Option<String>;

    /// The headers that must repeat arguments of a tool, as the server last described it.
    fn param_headers(&self, server: &str, tool: &str) -> Vec<ParamHeader>;

    /// The headers that belong into the audit record, in lower case.
    fn noted_headers(&self, server: &str) -> Vec<String>;
}
