//! The loop of one session: its server's process, its client, and the gate between them.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncRead;
use tokio::process::{Child, ChildStdout};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::call::{End, Recorder};
use super::files::Files;
use super::frozen::Frozen;
use super::gate::{Drain, Gate};
use super::names;
use super::opening;
use super::pins::Seen;
use super::queue::Waiting;
use super::request::Request;
use super::rounds::Rounds;
use super::server::Server;
use super::sessions::Sessions;
use super::status::VerdictCounts;
use super::tasks::Ended;
use crate::audit::{
    self, Attribution, AuditError, EffectsRecord, Event, Log, Record, Sanitizer, Status,
};
use crate::auth::Identity;
use crate::kernel::{self, Kernel, KernelError, Leave, SpawnSpec};
use crate::mcp::{RpcError, code};
use crate::names::Resolver;
use crate::transport::{Line, LineReader, LineWriter};
use crate::warrant::{Effect, Observation};

/// A message from a client may have this many bytes.
pub(crate) const MAX_REQUEST: usize = 4 << 20;
/// A message from a server may have this many bytes.
const MAX_RESPONSE: usize = 64 << 20;
/// Messages that wait for a slow reader.
const QUEUE: usize = 16;
/// How long a server may go on after its client has left.
const GRACE: Duration = Duration::from_secs(10);
/// How often effects are drained while nothing is said.
const IDLE_DRAIN: Duration = Duration::from_millis(250);

/// What sessions share.
#[derive(Clone)]
pub struct Context {
    /// The server that is talked to.
    pub server: Arc<Server>,
    /// The kernel view; `None` when it was switched off by hand.
    pub kernel: Option<Arc<Kernel>>,
    /// The audit log.
    pub log: Arc<Log>,
    /// The sessions of this process.
    pub sessions: Arc<Sessions>,
}

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The client closed its side.
    ClientLeft,
    /// The server ended by itself.
    ServerGone {
        /// Its exit status, as wait(2) tells it.
        status: Option<std::process::ExitStatus>,
        /// It had not answered a single request.
        early: bool,
    },
    /// The server was killed because it did more than it may.
    Terminated,
    /// An operator killed the session.
    Killed,
}

/// Why a session could not go on.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The server could not be confined or started.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// The resolver for the names in its policy could not be started.
    #[error("cannot start the session's resolver: {0}")]
    Names(std::io::Error),
    /// The log cannot be written.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// What the server may reach cannot be looked at.
    #[error("effects.enforce: {0}")]
    Files(std::io::Error),
    /// What calls may do to files cannot be taken back.
    #[error(transparent)]
    Opening(#[from] super::opening::OpeningError),
    /// A stream failed.
    #[error("cannot read from the client: {0}")]
    Client(std::io::Error),
}

/// One session while it lasts.
pub(super) struct Conversation {
    pub(super) context: Context,
    pub(super) recorder: Recorder,
    pub(super) gate: Gate,
    /// What the server listed in this session.
    pub(super) seen: Seen,
    pub(super) watch: Option<kernel::Session>,
    /// What of its network the server may use now; `None` when the kernel did not take the last change.
    pub(super) leave: Option<Leave>,
    /// What it may do to files now, if that is enforced.
    pub(super) files: Option<Files>,
    /// Answers for the names in the policy, when there are any.
    pub(super) resolver: Option<Resolver>,
    pub(super) to_client: LineWriter,
    pub(super) to_server: Option<LineWriter>,
    /// The server has answered a request.
    pub(super) answered: bool,
    pub(super) terminated: bool,
    /// An operator has killed the session.
    pub(super) killed: bool,
    /// The server's processes stand still.
    pub(super) frozen: Option<Frozen>,
    /// When the client closed its side.
    pub(super) client_left: Option<Instant>,
    /// When the session began, as records have it.
    pub(super) since: String,
    /// How its calls ended.
    pub(super) verdicts: VerdictCounts,
    /// The server's first process.
    pub(super) child_pid: Option<u32>,
    /// Calls that wait for those before them.
    pub(super) queue: VecDeque<Waiting>,
    /// Calls that were answered with a question.
    pub(super) rounds: Rounds,
    /// Tasks that have ended.
    pub(super) ended_tasks: Ended,
}

/// Starts the server for an authenticated client and carries messages until one of the two ends or
/// `stop` becomes true (or its sender is gone).
/// When it returns, no process of the server is left.
pub async fn converse<R: AsyncRead + Unpin>(
    context: Context,
    identity: Identity,
    mut client: LineReader<R>,
    to_client: LineWriter,
    mut stop: watch::Receiver<bool>,
) -> Result<Ending, SessionError> {
    let generation = context.kernel.as_ref().map(|kernel| kernel.generation());
    let recorder = Recorder::new(&context.server, Some(identity), generation);
    context.log.append(&Record {
        server_root: Some(context.server.root.to_string_lossy().into_owned()),
        ..recorder.record(Event::SessionStart)
    })?;
    let Started { watch, files, resolver, mut child } = start(&context, &recorder.session_id)?;
    if let Some(stderr) = child.stderr.take() {
        tokio::spawn(relay_stderr(stderr, context.server.id.clone()));
    }
    let mut conversation = Conversation {
        gate: Gate::new(context.server.startup.clone()),
        leave: Some(opening::at_start(&context.server)),
        to_server: child.stdin.take().map(|stdin| LineWriter::new(stdin, QUEUE)),
        seen: Seen::default(),
        context,
        recorder,
        watch,
        files,
        resolver,
        to_client,
        answered: false,
        terminated: false,
        killed: false,
        frozen: None,
        client_left: None,
        since: audit::now(),
        verdicts: VerdictCounts::default(),
        child_pid: child.id(),
        queue: VecDeque::new(),
        rounds: Rounds::default(),
        ended_tasks: Ended::default(),
    };
    let ending = match child.stdout.take() {
        Some(stdout) => {
            let server = LineReader::new(stdout, MAX_RESPONSE);
            conversation.carry(&mut client, server, &mut child, &mut stop).await
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

impl Conversation {
    async fn carry<R: AsyncRead + Unpin>(
        &mut self,
        client: &mut LineReader<R>,
        mut server: LineReader<ChildStdout>,
        child: &mut Child,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<Ending, SessionError> {
        let mut tick = interval(IDLE_DRAIN);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut place = self.context.sessions.enter(&self.recorder.session_id);
        loop {
            let room = self.to_client.has_room();
            let server_room = self.to_server.as_ref().is_none_or(LineWriter::has_room);
            let frozen = self.frozen.is_some();
            let listens = self.client_left.is_none() && !self.gate.awaits_initialize();
            let next_deadline = self.gate.next_deadline();
            let overdue = next_deadline.unwrap_or_else(std::time::Instant::now);
            let deadline = self.client_left.unwrap_or_else(Instant::now) + GRACE;
            tokio::select! {
                line = client.next(), if listens && room && server_room => {
                    match line.map_err(SessionError::Client)? {
                        Some(Line::Whole(line)) => self.hear_client(line).await?,
                        Some(Line::TooLong) => self.refuse_long().await?,
                        None => self.client_left = Some(Instant::now()),
                    }
                }
                line = server.next(), if room && !frozen => match line {
                    Ok(Some(Line::Whole(line))) => self.hear_server(line).await?,
                    Ok(Some(Line::TooLong)) => {
                        tracing::warn!(server = self.context.server.id, "message too long; dropped");
                    }
                    Ok(None) | Err(_) => {
                        let status = tokio::time::timeout(GRACE, child.wait()).await;
                        let status = status.ok().and_then(Result::ok);
                        let early = !self.answered;
                        return Ok(match (self.client_left, self.terminated) {
                            (_, true) => Ending::Terminated,
                            (Some(_), _) => Ending::ClientLeft,
                            (None, _) => Ending::ServerGone { status, early },
                        });
                    }
                },
                () = self.to_client.room(), if !room => {}
                () = wait_for_room(self.to_server.as_ref()), if room && !server_room => {}
                _ = tick.tick() => {
                    self.take_stock().await?;
                    self.record_refused_names(false)?;
                }
                () = sleep_until(overdue.into()), if next_deadline.is_some() => self.give_up().await?,
                () = stopped(stop) => return Ok(Ending::ClientLeft),
                Some(order) = place.order() => {
                    self.obey(order)?;
                    // Without its client a session that was thawed has nothing to go on for.
                    if frozen && self.frozen.is_none() && self.client_left.is_some() {
                        return Ok(Ending::ClientLeft);
                    }
                }
                () = sleep_until(deadline), if self.client_left.is_some() && !frozen => {
                    return Ok(Ending::ClientLeft);
                }
            }
            self.next_in_line().await?;
            // Closing its input asks the server to end, once it has answered everything.
            let done = self.client_left.is_some() && self.gate.is_idle() && self.queue.is_empty();
            if done && self.frozen.is_none() {
                self.to_server = None;
            }
            if self.killed {
                return Ok(Ending::Killed);
            }
            if self.terminated || self.is_empty_shell() {
                return Ok(Ending::Terminated);
            }
        }
    }

    /// Reads the kernel's events up to now into the books.
    pub(super) fn drain(&mut self) {
        if let Some(watch) = &self.watch {
            let drained = watch.drain();
            let (effects, ambient) = names::tell(drained.effects, self.resolver.as_ref());
            let drain = Drain { effects, ambient, lost: drained.lost, cut: drained.incomplete };
            let server = &self.context.server;
            self.gate.enter(drain, &server.ambient, |effect| sanitized(effect, &server.sanitizer));
        }
    }

    /// Records effects that belong to no call, and what follows from them, if anything.
    pub(super) fn record_effects(
        &self,
        event: Event,
        seen: &Observation,
        error: Option<String>,
    ) -> Result<(), AuditError> {
        for effect in seen.exceeded() {
            tracing::warn!(server = self.context.server.id, ?event, "outside ambient: {effect}");
        }
        let effects = EffectsRecord::new(seen, Attribution::None, self.backend());
        let status = error.is_some().then_some(Status::Failure);
        let record = self.recorder.record(event);
        self.append(&Record { effects: Some(effects), error, status, ..record })
    }

    /// Frees the slot that a call took of its limits.
    pub(super) fn ended(&self, request: &Request) {
        if let (Some(call), Some(identity)) = (&request.call, &self.recorder.identity)
            && call.counted
        {
            self.context.server.let_go(&identity.actor, &call.tool);
        }
    }

    pub(super) fn append(&self, record: &Record) -> Result<(), AuditError> {
        self.context.log.append(record)
    }

    /// How the kernel observes.
    pub(super) fn backend(&self) -> &str {
        self.context.kernel.as_ref().map_or("off", |kernel| kernel.backend().name())
    }

    /// Ends every process of the server and writes what is still to be written.
    async fn close(
        mut self,
        mut child: Child,
        failure: Option<&SessionError>,
    ) -> Result<(), SessionError> {
        self.to_server = None;
        if let Some(watch) = &self.watch {
            watch.kill()?;
        }
        let _ = child.start_kill(); // It may have ended by itself.
        let _ = child.wait().await;
        self.drain();
        self.record_startup()?;
        let waiting = self.unqueue_all().into_iter().map(|(id, request)| (id, request, false));
        let flying = self.gate.end_all().into_iter().map(|(id, request)| (id, request, true));
        for (id, request, forwarded) in flying.chain(waiting) {
            self.ended(&request);
            let Some(call) = &request.call else { continue };
            if request.task.is_some() {
                let error = Some("the session ended before the task".to_owned());
                let effects = self.effects_of(&request);
                self.finish(&request, End { error, ..End::default() }, effects)?;
                continue;
            }
            let message = "the server ended before it answered";
            let error = RpcError::new(code::SERVER_GONE, message, "server_gone")
                .with_correlation(call.correlation_id.clone());
            if forwarded {
                let effects = self.effects_of(&request);
                let end = End { error: Some(error.message.clone()), ..End::default() };
                self.finish(&request, end, effects)?;
            } else {
                self.append(&self.recorder.never_forwarded(&request, &error.message))?;
            }
            self.to_client.send(error.to_line(Some(&id))).await;
        }
        self.record_unsolicited()?;
        self.record_refused_names(true)?;
        let mut record = self.recorder.record(Event::SessionEnd);
        record.error = failure.map(ToString::to_string);
        self.append(&record)?;
        self.to_client.finish().await;
        Ok(())
    }
}

/// What a program is told may be a secret as well as what a tool is told.
fn sanitized(mut effect: Effect, sanitizer: &Sanitizer) -> Effect {
    for word in &mut effect.argv {
        if let Cow::Owned(clean) = sanitizer.text(None, word) {
            *word = clean;
        }
    }
    effect
}

/// Waits until `stop` becomes true or its sender is gone.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone.
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn wait_for_room(writer: Option<&LineWriter>) {
    if let Some(writer) = writer {
        writer.room().await;
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
