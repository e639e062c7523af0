//! The loop of one conversation: a server's process, its clients, and the gate between them.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::process::Child;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::call::Recorder;
use super::clients::{Client, ClientKey};
use super::files::Files;
use super::frozen::Frozen;
use super::gate::{Drain, Gate};
use super::link::{FromServer, Link, Opener, Sent};
use super::names;
use super::news::Subscriptions;
use super::pins::Seen;
use super::queue::Waiting;
use super::rounds::Rounds;
use super::server::Server;
use super::sessions::Sessions;
use super::source::{Said, Source};
use super::status::VerdictCounts;
use super::tasks::Ended;
use super::terms::Terms;
use super::wire::Wire;
use crate::audit::{
    Attribution, AuditError, EffectsRecord, Event, Log, Prepared, Record, Sanitizer, Status,
};
use crate::kernel::{self, Kernel, KernelError, Leave};
use crate::names::Resolver;
use crate::transport::Heard;
use crate::warrant::{Effect, Observation};

/// A message from a client may have this many bytes.
pub(crate) const MAX_REQUEST: usize = 4 << 20;
/// How long a server may go on after its client has left.
const GRACE: Duration = Duration::from_secs(10);
/// Messages that are heard before what follows from them leaves, when they came together.
const TOGETHER: usize = 16;
/// How often effects are drained while nothing is said.
const IDLE_DRAIN: Duration = Duration::from_millis(250);

/// What sessions share.
#[derive(Clone)]
pub struct Context {
    /// The server that is talked to.
    pub server: Arc<Server>,
    /// The same as it is configured now.
    pub latest: watch::Receiver<Arc<Server>>,
    /// The kernel view; `None` when it was switched off by hand.
    pub kernel: Option<Arc<Kernel>>,
    /// The audit log.
    pub log: Arc<Log>,
    /// The sessions of this process.
    pub sessions: Arc<Sessions>,
}

impl Context {
    /// With the server as it is configured now.
    pub(super) fn renewed(&self) -> Self {
        Self { server: self.latest.borrow().clone(), ..self.clone() }
    }
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
    /// Its server is configured so that it has to be started anew.
    #[error("`{0}` of its server was changed, which takes a new start: a new session has it")]
    Outdated(&'static str),
    /// Its output is not there to be read.
    #[error("the server has no standard output")]
    NoOutput,
    /// It was started and does not listen where it should.
    #[error("the server cannot be reached: {0}")]
    Unreachable(crate::transport::upstream::Failure),
    /// A stream failed.
    #[error("cannot read from the client: {0}")]
    Client(std::io::Error),
}

/// One conversation while it lasts.
#[allow(clippy::struct_excessive_bools)] // Facts that do not depend on each other.
pub(super) struct Conversation {
    pub(super) context: Context,
    /// Who it is for, in records that are of no client in particular.
    pub(super) recorder: Arc<Recorder>,
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
    pub(super) clients: BTreeMap<ClientKey, Client>,
    /// Clients for whom messages are held.
    pub(super) told: Vec<ClientKey>,
    /// Records that are to be written before those messages leave.
    pub(super) records: Mutex<Vec<Prepared>>,
    /// Clients may come and go.
    pub(super) shared: bool,
    /// Clients that were let go, of which there is more to forget.
    pub(super) gone: Vec<ClientKey>,
    /// The connection to the server, unless each client has its own.
    pub(super) link: Option<Link>,
    /// Opens connections to a server over HTTP.
    pub(super) opener: Option<Opener>,
    pub(super) wire: Wire,
    /// How client and server come to terms.
    pub(super) terms: Terms,
    pub(super) subscriptions: Subscriptions,
    /// What the server sent last came together with what it sent before, so that what was read from the kernel
    /// for that is all that had happened by then.
    pub(super) covered: bool,
    /// The server has answered a request.
    pub(super) answered: bool,
    pub(super) terminated: bool,
    /// An operator has killed the session.
    pub(super) killed: bool,
    /// The server's processes stand still.
    pub(super) frozen: Option<Frozen>,
    /// When it was last of use to somebody, while it has no client.
    pub(super) idle_since: Instant,
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
    /// What the server has asked its client.
    pub(super) asking: super::asking::Open,
}

impl Conversation {
    /// Carries messages until one of the two sides ends.
    pub(super) async fn carry(
        &mut self,
        source: &mut Source,
        server: &mut FromServer,
        child: &mut Option<Child>,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<Ending, SessionError> {
        let mut tick = interval(IDLE_DRAIN);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut place = self.context.sessions.enter(&self.recorder.session_id);
        if self.shared {
            self.come_to_terms().await;
        }
        let mut heard = 0;
        loop {
            self.adopt()?;
            heard += 1;
            if heard > TOGETHER || !self.hears_more(source, server) {
                self.release().await?;
                heard = 0;
            }
            // One client alone may hold up its own server.
            let only = self.clients.values().next().filter(|_| !self.shared);
            let room = only.is_none_or(|client| client.out.has_room());
            let server_room = self.link.as_ref().is_none_or(Link::has_room);
            let frozen = self.frozen.is_some();
            let left = self.client_left();
            let waits = self.gate.awaits_initialize() || self.terms.are_open();
            let listens = left.is_none() && !waits;
            let own = self.terms.deadline();
            let next_deadline = self.gate.next_deadline().into_iter().chain(own).min();
            let overdue = next_deadline.unwrap_or_else(std::time::Instant::now);
            let deadline = left.unwrap_or_else(Instant::now) + GRACE;
            tokio::select! {
                said = source.next(), if listens && room && server_room => {
                    self.hear(said.map_err(SessionError::Client)?).await?;
                }
                heard = server.next(), if room && !frozen => match heard {
                    Some(Sent::Message(from, line)) => {
                        self.covered = server.came_with_the_last();
                        self.hear_server(from, line).await?;
                    }
                    Some(Sent::TooLong) => {
                        tracing::warn!(server = self.context.server.id, "message too long; dropped");
                    }
                    Some(Sent::Lost(Some(client))) => self.lose(client),
                    Some(Sent::Lost(None)) => {
                        return Ok(Ending::ServerGone { status: None, early: !self.answered });
                    }
                    None => return Ok(self.ended_by_itself(child).await),
                },
                () = wait_for_client(only), if !room => {}
                () = wait_for_room(self.link.as_ref()), if room && !server_room => {}
                _ = tick.tick() => {
                    self.take_stock().await?;
                    self.record_refused_names(false)?;
                    // A service that was started again is in another cgroup, which nobody watches yet.
                    if self.watch.as_ref().is_some_and(|watch| !watch.is_whole()) {
                        return Ok(Ending::ServerGone { status: None, early: false });
                    }
                }
                () = sleep_until(overdue.into()), if next_deadline.is_some() => {
                    self.give_up().await?;
                    self.give_up_asking().await?;
                }
                () = stopped(stop) => return Ok(Ending::ClientLeft),
                // Adopted above, before anything else is heard.
                Ok(()) = self.context.latest.changed() => {}
                Some(order) = place.order() => {
                    self.obey(order)?;
                    // Without its client a session that was thawed has nothing to go on for.
                    if frozen && self.frozen.is_none() && left.is_some() {
                        return Ok(Ending::ClientLeft);
                    }
                }
                () = sleep_until(deadline), if left.is_some() && !frozen => {
                    return Ok(Ending::ClientLeft);
                }
            }
            self.let_go().await?;
            self.next_in_line().await?;
            // Closing its input asks the server to end, once it has answered everything.
            let done = self.deserted() && self.gate.is_idle() && self.queue.is_empty();
            if done && self.frozen.is_none() {
                self.link = None;
            }
            if self.killed {
                return Ok(Ending::Killed);
            }
            if self.terminated || self.is_empty_shell() {
                return Ok(Ending::Terminated);
            }
            if self.is_unused(source) {
                return Ok(Ending::ClientLeft);
            }
        }
    }

    /// Whether something has come already that is listened to.
    fn hears_more(&self, source: &Source, server: &FromServer) -> bool {
        let only = self.clients.values().next().filter(|_| !self.shared);
        let room = only.is_none_or(|client| client.out.has_room());
        let waits = self.gate.awaits_initialize() || self.terms.are_open();
        let listens = self.client_left().is_none() && !waits;
        let server_room = self.link.as_ref().is_none_or(Link::has_room);
        let frozen = self.frozen.is_some();
        room && (listens && server_room && source.has_next() || !frozen && server.has_next())
    }

    /// Takes what a client said or did.
    async fn hear(&mut self, said: Said) -> Result<(), SessionError> {
        match said {
            Said::Joined(key, client) => self.welcome(key, *client),
            Said::Heard(client, Heard::Message(message)) => {
                if let Some(client) = self.clients.get_mut(&client) {
                    client.notes = message.notes;
                }
                self.hear_client(client, message.text).await
            }
            Said::Heard(client, Heard::TooLong) => self.refuse_long(client).await,
            Said::Left(key) => {
                if let Some(client) = self.clients.get_mut(&key) {
                    client.left = Some(Instant::now());
                }
                if self.shared {
                    self.gone.push(key);
                }
                Ok(())
            }
        }
    }

    /// The server has closed its output.
    async fn ended_by_itself(&self, child: &mut Option<Child>) -> Ending {
        let status = match child {
            Some(child) => tokio::time::timeout(GRACE, child.wait()).await.ok(),
            None => None,
        };
        let status = status.and_then(Result::ok);
        match (self.client_left(), self.terminated) {
            (_, true) => Ending::Terminated,
            (Some(_), _) => Ending::ClientLeft,
            (None, _) => Ending::ServerGone { status, early: !self.answered },
        }
    }

    /// Reads the kernel's events up to now into the books.
    pub(super) fn drain(&mut self) {
        if let Some(drained) = self.watch.as_ref().map(kernel::Session::drain) {
            self.enter(drained);
        }
    }

    /// Enters what the kernel told into the books.
    pub(super) fn enter(&mut self, drained: kernel::Drained) {
        let (effects, ambient) = names::tell(drained.effects, self.resolver.as_ref());
        let server = &self.context.server;
        self.context.sessions.reached.note(&server.id, &effects, jiff::Timestamp::now);
        let drain = Drain { effects, ambient, lost: drained.lost, cut: drained.incomplete };
        self.gate.enter(drain, &server.ambient, |effect| sanitized(effect, &server.sanitizer));
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
        self.append(Record { effects: Some(effects), error, status, ..record })
    }

    /// Has a record written before anything else that was heard or done leaves.
    pub(super) fn append(&self, record: Record) -> Result<(), AuditError> {
        let record = self.context.log.prepare(record)?;
        self.records.lock().unwrap_or_else(PoisonError::into_inner).push(record);
        Ok(())
    }

    /// Writes the records. When they cannot be written, nothing of what was held leaves any more.
    pub(super) fn write_records(&self) -> Result<(), AuditError> {
        let records = &mut *self.records.lock().unwrap_or_else(PoisonError::into_inner);
        let written = self.context.log.append_all(std::mem::take(records));
        if written.is_err() {
            self.clients.values().for_each(|client| client.out.discard());
        }
        written
    }

    /// Writes the records of all that was heard, and only then sends what was held for it: to clients, and to the
    /// server.
    async fn release(&mut self) -> Result<(), AuditError> {
        self.write_records()?;
        for client in std::mem::take(&mut self.told) {
            if let Some(client) = self.clients.get(&client) {
                client.out.flush().await;
            }
        }
        if let Some(link) = &self.link {
            link.flush().await;
        }
        Ok(())
    }

    /// How the kernel observes.
    pub(super) fn backend(&self) -> &str {
        self.context.kernel.as_ref().map_or("off", |kernel| kernel.backend().name())
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

async fn wait_for_room(link: Option<&Link>) {
    if let Some(link) = link {
        link.room().await;
    }
}

async fn wait_for_client(client: Option<&Client>) {
    if let Some(client) = client {
        client.out.room().await;
    }
}
