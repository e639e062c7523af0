//! What HTTP listeners ask of the daemon: who a caller is, and a session with a server.

use std::sync::Arc;

use jiff::Timestamp;
use secrecy::SecretString;
use tokio::sync::mpsc;

use super::load::LoadedServer;
use super::roster::Roster;
use crate::audit::{Event, Log, Record, Status};
use crate::auth::{Identity, Method};
use crate::mcp::{Era, ParamHeader};
use crate::session::{Part, converse};
use crate::transport::http::{Complaint, Desk, Peer, TurnedAway, Visit};
use crate::transport::{Inbox, Outbox};

/// The servers of a daemon, for its HTTP listeners.
pub(super) struct HttpDesk {
    servers: Roster,
    log: Arc<Log>,
    /// Held by every session, so that the daemon knows when all have ended.
    alive: mpsc::Sender<()>,
}

impl HttpDesk {
    pub(super) fn new(servers: Roster, log: Arc<Log>, alive: mpsc::Sender<()>) -> Self {
        Self { servers, log, alive }
    }
}

impl Desk for HttpDesk {
    fn has(&self, server: &str) -> bool {
        self.servers.get(server).is_some()
    }

    fn only(&self) -> Option<String> {
        self.servers.only()
    }

    fn authenticate(
        &self,
        server: &str,
        key: Option<&SecretString>,
        peer: &Peer,
    ) -> Result<Identity, TurnedAway> {
        let unknown = |why: &str| Err(TurnedAway::Unknown(why.to_owned()));
        let Some(entry) = self.servers.get(server) else {
            return unknown("there is no such server");
        };
        let loaded = entry.loaded();
        let identity = match identify(&loaded, key, peer) {
            Ok(identity) => identity,
            Err(why) => return unknown(why),
        };
        let server = &loaded.server;
        let policy = &server.policy;
        if !server.is_observed() && policy.expect_actor(&identity.actor).is_err() {
            let message = format!(
                "denied by policy: actor `{}` may do nothing with server `{}`",
                identity.actor, server.id
            );
            return Err(TurnedAway::NotAllowed(identity, message));
        }
        Ok(identity)
    }

    fn begin(&self, visit: Visit) -> Result<(), String> {
        let Some(served) = self.servers.get(&visit.server) else {
            return Err("there is no such server".to_owned());
        };
        let (context, stop) = (served.context(&served.loaded()), served.stop());
        let Visit { identity, era, arrivals, departures, .. } = visit;
        let (inbox, out) = (Inbox::Queue(arrivals), Outbox::queue(departures));
        let shared = context.server.is_shared();
        if shared || era == Era::Modern {
            let part = if era == Era::Modern { Part::Request } else { Part::Session };
            let joined = served.pool().join(&context, identity, !shared, part, (inbox, out), &stop);
            return joined.map(drop).map_err(|error| error.to_string());
        }
        let alive = self.alive.clone();
        tokio::spawn(async move {
            let (id, actor) = (context.server.id.clone(), identity.actor.clone());
            match converse(context, identity, inbox, out, stop).await {
                Ok(ending) => tracing::info!(server = id, actor, ?ending, "session ended"),
                Err(error) => tracing::error!(server = id, actor, "session failed: {error}"),
            }
            drop(alive);
        });
        Ok(())
    }

    fn refused(&self, complaint: &Complaint<'_>) -> Option<String> {
        let correlation = uuid::Uuid::now_v7().to_string();
        let event =
            if complaint.authentication { Event::Authentication } else { Event::ProtocolError };
        let written = self.log.append(&Record {
            correlation_id: Some(correlation.clone()),
            server_id: complaint.server.map(str::to_owned),
            actor: complaint.identity.map(|identity| identity.actor.clone()),
            auth_method: complaint.identity.map(|identity| identity.method),
            source_ip: complaint.peer.address.map(|ip| ip.to_string()),
            method: complaint.method.map(str::to_owned),
            status: Some(Status::Failure),
            error: Some(complaint.error.to_owned()),
            ..Record::new(event)
        });
        match written {
            Ok(()) => {
                tracing::debug!(server = complaint.server, "refused: {}", complaint.error);
                Some(correlation)
            }
            Err(error) => {
                tracing::error!("{error}");
                None
            }
        }
    }

    fn param_headers(&self, server: &str, tool: &str) -> Vec<ParamHeader> {
        let found = self.servers.get(server);
        found.map(|entry| entry.loaded().server.param_headers(tool)).unwrap_or_default()
    }

    fn noted_headers(&self, server: &str) -> Vec<String> {
        let Some(entry) = self.servers.get(server) else { return Vec::new() };
        entry.loaded().server.headers_for_audit().map(str::to_owned).collect()
    }
}

/// Who a caller is. All that it shows must be of one actor; what it shows and nobody knows opens nothing.
fn identify(
    server: &LoadedServer,
    key: Option<&SecretString>,
    peer: &Peer,
) -> Result<Identity, &'static str> {
    let mut found: Vec<(String, Method)> = Vec::new();
    if let Some(key) = key {
        let keys = server.keys.current();
        let actor = keys.actor_of(key, Timestamp::now());
        let actor = actor.ok_or("the API key is not one that this server accepts now")?;
        found.push((actor.to_owned(), Method::ApiKey));
    }
    if let Some(certificate) = &peer.certificate {
        let actors = certificate.names.iter().filter_map(|name| server.certificates.get(name));
        found.extend(actors.map(|actor| (actor.clone(), Method::ClientCertificate)));
    }
    if let Some(actor) = peer.uid.and_then(|uid| server.uids.get(&uid)) {
        found.push((actor.clone(), Method::PeerUid));
    }
    if let Some(actor) = &peer.speaks_for {
        found.push((actor.to_string(), Method::Listener));
    }
    let Some((actor, method)) = found.first().cloned() else {
        return Err(match &peer.certificate {
            Some(_) => {
                "the client certificate is of no actor of this server, and there is no API key"
            }
            None => "no API key; send it in `Authorization: Bearer`",
        });
    };
    // A key speaks for itself on a socket that its actor's user did not open.
    let contradicts = |(other, how): &(String, Method)| *other != actor && *how != Method::PeerUid;
    if found.iter().any(contradicts) {
        return Err("key, certificate and listener are not of one actor");
    }
    Ok(Identity { actor, method, uid: peer.uid })
}
