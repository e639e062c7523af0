//! The beginning of a conversation: its server is started, confined and watched.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncRead;
use tokio::process::Child;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use super::call::Recorder;
use super::clients::{Client, ClientKey};
use super::conversation::{Context, Conversation, Ending, SessionError};
use super::files::Files;
use super::gate::Gate;
use super::link::{FromServer, Link, Opener};
use super::server::Server;
use super::source::Source;
use super::way::Way;
use super::{names, opening};
use crate::aside::aside;
use crate::audit::{self, Event, Record};
use crate::auth::Identity;
use crate::kernel::{self, SpawnSpec};
use crate::names::Resolver;
use crate::transport::{Inbox, Line, LineReader, LineWriter, Notes, Outbox};

/// A message from a server may have this many bytes.
const MAX_RESPONSE: usize = 64 << 20;
/// Messages that wait for a slow reader.
const QUEUE: usize = 16;
/// How long a server that serves HTTP may take to start.
const START: Duration = Duration::from_secs(30);

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
    let who = Arc::new(Recorder::new(&context.server, Some(identity)));
    let key = ClientKey(0);
    let client = Client {
        who: who.clone(),
        recorded: false,
        out,
        link: None,
        left: None,
        modern: false,
        notes: Notes::default(),
    };
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
    // Takes milliseconds, in which others go on.
    let started = aside(|| start(&context, &recorder.session_id));
    let Started { watch, files, resolver, mut child } = started?;
    let Ways { link, mut server, opener } = open(&context.server, child.as_mut()).await?;
    let shared = only.is_none();
    let mut conversation = Conversation {
        gate: Gate::new(context.server.startup.clone()),
        leave: Some(opening::at_start(&context.server)),
        link,
        opener,
        clients: only.into_iter().collect(),
        told: Vec::new(),
        records: std::sync::Mutex::default(),
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
        covered: false,
        answered: false,
        terminated: false,
        killed: false,
        frozen: None,
        idle_since: Instant::now(),
        since: audit::now(),
        verdicts: super::status::VerdictCounts::default(),
        child_pid: child.as_ref().and_then(Child::id),
        queue: std::collections::VecDeque::new(),
        rounds: super::rounds::Rounds::default(),
        ended_tasks: super::tasks::Ended::default(),
        asking: super::asking::Open::new(),
    };
    let ending = conversation.carry(&mut source, &mut server, &mut child, &mut stop).await;
    conversation.close(child, ending.as_ref().err()).await?;
    ending
}

/// A server that was started, and what stands around it.
struct Started {
    watch: Option<kernel::Session>,
    files: Option<Files>,
    resolver: Option<Resolver>,
    child: Option<Child>,
}

/// How messages get to a server and back.
struct Ways {
    link: Option<Link>,
    server: FromServer,
    opener: Option<Opener>,
}

/// Connects to a server that was started, or that runs already.
async fn open(server: &Server, mut child: Option<&mut Child>) -> Result<Ways, SessionError> {
    if let Some(stderr) = child.as_mut().and_then(|child| child.stderr.take()) {
        tokio::spawn(relay(stderr, server.id.clone()));
    }
    let stdin = child.as_mut().and_then(|child| child.stdin.take());
    let stdout = child.and_then(|child| child.stdout.take());
    let Some(upstream) = server.upstream() else {
        let link = stdin.map(|stdin| Link::Lines(LineWriter::new(stdin, QUEUE)));
        let stdout = stdout.ok_or(SessionError::NoOutput)?;
        let server = FromServer::Lines(LineReader::new(stdout, MAX_RESPONSE));
        return Ok(Ways { link, server, opener: None });
    };
    let mut gone = None;
    if let Some(stdout) = stdout {
        let (here, until) = oneshot::channel();
        let id = server.id.clone();
        tokio::spawn(async move {
            relay(stdout, id).await;
            drop(here); // Nobody writes there any more.
        });
        gone = Some(until);
        upstream.wait_until_reachable(START).await.map_err(SessionError::Unreachable)?;
    }
    let (opener, messages) = Opener::new();
    let link = opener.open(server, None);
    Ok(Ways { link, server: FromServer::Upstream { messages, gone }, opener: Some(opener) })
}

/// The server's process in its cgroup, if warrantd runs it.
fn start(context: &Context, session_id: &str) -> Result<Started, SessionError> {
    let server = &context.server;
    let unseen = match server.way {
        Way::Unobserved(_) => true,
        Way::Attached(..) => context.kernel.is_none(),
        Way::PerSession | Way::Shared | Way::Managed(_) => false,
    };
    if unseen {
        return Ok(Started { watch: None, files: None, resolver: None, child: None });
    }
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
            Ok(Started { watch: None, files: None, resolver: None, child: Some(child) })
        }
        Some(kernel) => {
            let name = format!("{}-{session_id}", server.id);
            let watch = match &server.way {
                Way::Attached(_, cgroup) => {
                    kernel.prepare_attached(&name, cgroup, &server.policy.network)?
                }
                _ => kernel.open_session(&name, &server.policy.network)?,
            };
            // Before the server runs, so that its first question finds an answer.
            let book = names::book(&watch);
            let resolver = names::start(server, book).map_err(SessionError::Names)?;
            watch.set_leave(&opening::at_start(server))?;
            watch.set_doors(names::doors(server, resolver.as_ref()))?;
            let files = opening::files_at_start(server).map_err(SessionError::Files)?;
            if let Some(files) = &files {
                watch.set_files(Some(files.now().map_err(SessionError::Files)?))?;
            }
            if let Way::Attached(..) = server.way {
                watch.attach()?;
                return Ok(Started { watch: Some(watch), files, resolver, child: None });
            }
            let child = watch.spawn(&spec)?;
            Ok(Started { watch: Some(watch), files, resolver, child: Some(child) })
        }
    }
}

/// Carries what the server writes for people, without what could steer a terminal.
async fn relay(output: impl AsyncRead + Unpin, server: String) {
    let mut lines = LineReader::new(output, 16 << 10);
    while let Ok(Some(line)) = lines.next().await {
        if let Line::Whole(line) = line {
            let text = String::from_utf8_lossy(&line);
            let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            tracing::info!(target: "warrantd::server", server, "{text}");
        }
    }
}
