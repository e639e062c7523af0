//! Clients on the Unix sockets: taken in, authenticated, and given a session.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::authenticate::{Outcome, authenticate};
use super::daemon::DaemonError;
use super::roster::Served;
use crate::audit::{Event, Record, Status};
use crate::mcp::{RpcError, code};
use crate::session::{Context, MAX_REQUEST, Part, converse, stopped};
use crate::transport::{Inbox, LineReader, LineWriter, Outbox, activation};

/// The socket at `path` that the service manager passed, or a new one, replacing one that nobody listens on any
/// more.
pub(super) async fn bind(path: &Path) -> Result<UnixListener, DaemonError> {
    let failed = |source| DaemonError::Listen { path: path.to_owned(), source };
    if let Some(passed) = activation::unix(path).map_err(failed)? {
        return Ok(passed);
    }
    if path.exists() {
        if UnixStream::connect(path).await.is_ok() {
            return Err(DaemonError::InUse(path.to_owned()));
        }
        std::fs::remove_file(path).map_err(failed)?;
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    // Who may do what is decided by authentication, not by who can open the socket.
    std::fs::set_permissions(path, Permissions::from_mode(0o666)).map_err(failed)?;
    Ok(listener)
}

/// Takes in clients until the server is served no more, and returns when all their sessions have ended.
pub(super) async fn accept(listener: UnixListener, served: Served, room: Arc<Semaphore>) {
    let mut stop = served.stop();
    let mut sessions = JoinSet::new();
    loop {
        let permit = tokio::select! {
            permit = room.clone().acquire_owned() => permit,
            () = stopped(&mut stop) => break,
            Some(_) = sessions.join_next() => continue,
        };
        let Ok(permit) = permit else { break };
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    let id = &served.loaded().server.id;
                    tracing::warn!(server = id, "cannot accept: {error}");
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                    continue;
                }
            },
            () = stopped(&mut stop) => break,
            Some(_) = sessions.join_next() => continue,
        };
        let served = served.clone();
        sessions.spawn(async move {
            session(stream, served).await;
            drop(permit);
        });
    }
    drop(listener);
    while sessions.join_next().await.is_some() {}
}

/// One connection from its first byte to its last.
async fn session(stream: UnixStream, served: Served) {
    let loaded = served.loaded();
    let id = loaded.server.id.clone();
    let mut stop = served.stop();
    let Ok(peer) = stream.peer_cred() else { return };
    let (reader, writer) = stream.into_split();
    let mut reader = LineReader::new(Box::new(reader) as _, MAX_REQUEST);
    let writer = LineWriter::new(writer, 16);
    let outcome = tokio::select! {
        outcome = authenticate(&loaded, peer.uid(), &mut reader) => outcome,
        () = stopped(&mut stop) => return,
    };
    let context = served.context(&loaded);
    match outcome {
        Outcome::Known(identity) => {
            let actor = identity.actor.clone();
            let (inbox, out) = (Inbox::Lines(reader), Outbox::Lines(writer));
            if context.server.is_shared() {
                let part = Part::Session;
                match served.pool().join(&context, identity, false, part, (inbox, out), &stop) {
                    Ok(listening) => drop(listening.await), // It ends when the client has left.
                    Err(error) => tracing::warn!(server = id, actor, "{error}"),
                }
                return;
            }
            match converse(context, identity, inbox, out, stop).await {
                Ok(ending) => tracing::info!(server = id, actor, ?ending, "session ended"),
                Err(error) => tracing::error!(server = id, actor, "session failed: {error}"),
            }
        }
        Outcome::Unknown(request) => {
            tracing::warn!(server = id, uid = peer.uid(), "authentication failed");
            refuse(&context, peer.uid(), request, writer).await;
        }
    }
}

/// Records a caller that could not be authenticated and answers its first request.
async fn refuse(context: &Context, uid: u32, request: Option<crate::mcp::Id>, writer: LineWriter) {
    let correlation = uuid::Uuid::now_v7().to_string();
    let written = context.log.append(&Record {
        correlation_id: Some(correlation.clone()),
        server_id: Some(context.server.id.clone()),
        status: Some(Status::Failure),
        error: Some(format!("authentication failed (peer uid {uid})")),
        ..Record::new(Event::Authentication)
    });
    if let Err(error) = written {
        tracing::error!("{error}");
    }
    if let Some(id) = request {
        let reason = "authentication_failed";
        let error = RpcError::new(code::AUTHENTICATION, "authentication failed", reason)
            .with_correlation(correlation);
        writer.send(error.to_line(Some(&id))).await;
    }
    writer.finish().await;
}
