//! The beginning of a conversation: its server is started, confined and watched.

use std::sync::Arc;

use tokio::io::AsyncRead;
use tokio::process::Child;
use tokio::sync::watch;
use tokio::time::Instant;

use super::call::Recorder;
use super::clients::{Client, ClientKey};
use super::conversation::{Context, Conversation, Ending, SessionError};
use super::files::Files;
use super::gate::Gate;
use super::link::{FromServer, Link};
use super::source::Source;
use super::{names, opening};
use crate::audit::{self, Event, Record};
use crate::auth::Identity;
use crate::kernel::{self, SpawnSpec};
use crate::names::Resolver;
use crate::transport::{Inbox, Line, LineReader, LineWriter, Outbox};

/// A message from a server may have this many bytes.
const MAX_RESPONSE: usize = 64 << 20;
/// Messages that wait for a slow reader.
const QUEUE: usize = 16;

/// Starts the server for an authenticated client and carries messages until one of the two ends or
/// `stop` becomes true (or its sender is gone).
/// When it returns, no process of the server is left.
pub async fn converse(
    context: Context,
    identity: Identity,
    inbox: Inbox,
    out: Outbox,
    stop: watch::Receiver<bool>,
) -> Result<Ending, SessionError> {
    let generation = context.kernel.as_ref().map(|kernel| kernel.generation());
    let who = Arc::new(Recorder::new(&context.server, Some(identity), generation));
    let key = ClientKey(0);
    let client =
        Client { who: who.clone(), recorded: false, out, link: None, left: None, modern: false };
    run(context, who, Source::Own(key, inbox), Some((key, client)), stop).await
}

/// Starts the server and carries messages, for one client or for those that join.
pub(super) async fn run(
    context: Context,
    recorder: Arc<Recorder>,
    mut source: Source,
    only: Option<(ClientKey, Client)>,
    mut stop: watch::Receiver<bool>,
) -> Result<Ending, SessionError> {
    context.log.append(&Record {
        server_root: Some(context.server.root.to_string_lossy().into_owned()),
        ..recorder.record(Event::SessionStart)
    })?;
    let Started { watch, files, resolver, mut child } = start(&context, &recorder.session_id)?;
    if let Some(stderr) = child.stderr.take() {
        tokio::spawn(relay_stderr(stderr, context.server.id.clone()));
    }
    let shared = only.is_none();
    let mut conversation = Conversation {
        gate: Gate::new(context.server.startup.clone()),
        leave: Some(opening::at_start(&context.server)),
        link: child.stdin.take().map(|stdin| Link::Lines(LineWriter::new(stdin, QUEUE))),
        clients: only.into_iter().collect(),
        shared,
        gone: Vec::new(),
        wire: super::wire::Wire::default(),
        terms: super::terms::Terms::default(),
        subscriptions: super::news::Subscriptions::default(),
        seen: super::pins::Seen::default(),
        context,
        recorder,
        watch,
        files,
        resolver,
        answered: false,
        terminated: false,
        killed: false,
        frozen: None,
        idle_since: Instant::now(),
        since: audit::now(),
        verdicts: super::status::VerdictCounts::default(),
        child_pid: child.id(),
        queue: std::collections::VecDeque::new(),
        rounds: super::rounds::Rounds::default(),
        ended_tasks: super::tasks::Ended::default(),
    };
    let stdout = child.stdout.take();
    let mut child = Some(child);
    let ending = match stdout {
        Some(stdout) => {
            let mut server = FromServer::Lines(LineReader::new(stdout, MAX_RESPONSE));
            conversation.carry(&mut source, &mut server, &mut child, &mut stop).await
        }
        None => Ok(Ending::ServerGone { status: None, early: true }),
    };
    conversation.close(child, ending.as_ref().err()).await?;
    ending
}

/// A server that was started, and what stands around it.
struct Started {
    watch: Option<kernel::Session>,
    files: Option<Files>,
    resolver: Option<Resolver>,
    child: Child,
}

/// The server's process in its cgroup.
fn start(context: &Context, session_id: &str) -> Result<Started, SessionError> {
    let server = &context.server;
    let spec = SpawnSpec {
        argv: server.argv.clone(),
        cwd: server.root.clone(),
        env: server.env.clone(),
        user: server.user.clone(),
        floor: server.floor.clone(),
        unix_sockets: server.policy.reach.has_unix_sockets(),
    };
    match &context.kernel {
        // Unconfined, it asks whom it likes.
        None => {
            let child = kernel::spawn_unconfined(&spec)?;
            Ok(Started { watch: None, files: None, resolver: None, child })
        }
        Some(kernel) => {
            let name = format!("{}-{session_id}", server.id);
            let watch = kernel.open_session(&name, &server.policy.network)?;
            // Before the server runs, so that its first question finds an answer.
            let book = names::book(&watch);
            let resolver = names::start(server, book).map_err(SessionError::Names)?;
            watch.set_leave(&opening::at_start(server))?;
            watch.set_doors(names::doors(server, resolver.as_ref()))?;
            let files = opening::files_at_start(server).map_err(SessionError::Files)?;
            if let Some(files) = &files {
                watch.set_files(Some(files.now().map_err(SessionError::Files)?))?;
            }
            let child = watch.spawn(&spec)?;
            Ok(Started { watch: Some(watch), files, resolver, child })
        }
    }
}

/// Carries what the server writes for people, without what could steer a terminal.
async fn relay_stderr(stderr: impl AsyncRead + Unpin, server: String) {
    let mut lines = LineReader::new(stderr, 16 << 10);
    while let Ok(Some(line)) = lines.next().await {
        if let Line::Whole(line) = line {
            let text = String::from_utf8_lossy(&line);
            let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            tracing::info!(target: "warrantd::server", server, "{text}");
        }
    }
}
