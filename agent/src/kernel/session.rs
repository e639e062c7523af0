//! One session: a cgroup, its network policy and its stream of effects.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::aside::aside;
use crate::policy::network::Table;
use crate::warrant::Effect;

use super::KernelError;
use super::account::Lost;
use super::attachment::Attachment;
use super::cgroup::Cgroup;
use super::doors::Doors;
use super::file_rules::FileRules;
use super::in_force::InForce;
use super::instance;
use super::leave::Leave;
use super::names::NamedAddresses;
use super::open_peers::OpenPeer;
use super::queue::Queue;
use super::runtime::Inner;
use super::spawn::{self, SpawnSpec};

/// How long a drain waits for a record that a processor has reserved and not yet written. Writing one
/// takes microseconds, unless the writer is preempted.
const SETTLE_WITHIN: Duration = Duration::from_millis(100);

/// A place for one server's processes. Dropped, it kills them all, waits until they are gone, and removes
/// the cgroup and the policy; what is only attached to is left to itself.
pub struct Session {
    inner: Arc<Inner>,
    place: Place,
    cgroup_id: u64,
    queue: Arc<Queue>,
    policy: InForce,
    names: NamedAddresses,
    /// Held by the drain that is going on: two at once would share out the effects.
    gate: Mutex<()>,
}

/// Whose the cgroup is.
enum Place {
    /// Warrantd's, and what the session is called.
    Own(Cgroup, String),
    /// Somebody else's.
    Attached(Attachment),
}

/// What a session's processes did since the last drain.
#[derive(Debug, Default)]
#[must_use]
pub struct Drained {
    /// The effects, in the order in which the kernel reported them.
    pub effects: Vec<Effect>,
    /// Events that were lost since the last drain: what is missing in `effects` is not known.
    pub lost: u64,
    /// The same, by what was lost.
    pub losses: Lost,
    /// Not every event that had happened could be waited for.
    pub incomplete: bool,
}

impl Session {
    pub(super) fn open(inner: Arc<Inner>, id: &str, network: &Table) -> Result<Self, KernelError> {
        let cgroup = inner.instance().session_cgroup(id)?;
        let cgroup_id = cgroup.id()?;
        Self::begin(inner, Place::Own(cgroup, id.to_owned()), cgroup_id, network)
    }

    pub(super) fn prepare_attached(
        inner: Arc<Inner>,
        id: &str,
        path: &Path,
        network: &Table,
    ) -> Result<Self, KernelError> {
        instance::check_name(id)?;
        let attachment = Attachment::new(Arc::clone(&inner), id, path)?;
        let cgroup_id = attachment.id();
        if inner.is_session(cgroup_id) {
            let why = "it is another server's already; each needs a cgroup of its own";
            return Err(KernelError::Attach { path: path.to_owned(), why });
        }
        Self::begin(inner, Place::Attached(attachment), cgroup_id, network)
    }

    fn begin(
        inner: Arc<Inner>,
        place: Place,
        cgroup_id: u64,
        network: &Table,
    ) -> Result<Self, KernelError> {
        let queue = inner.register(cgroup_id);
        // From here on, dropping cleans up.
        let session = Self {
            names: NamedAddresses::new(Arc::clone(&inner), cgroup_id),
            policy: InForce::new(Arc::clone(&inner), cgroup_id),
            inner,
            place,
            cgroup_id,
            queue,
            gate: Mutex::default(),
        };
        session.inner.tables().open_session(cgroup_id)?;
        session.set_network(network)?;
        Ok(session)
    }

    /// Id of the session's cgroup.
    pub fn cgroup_id(&self) -> u64 {
        self.cgroup_id
    }

    /// Lets the policy that was set decide for a cgroup that is only attached to. Nothing for others.
    pub fn attach(&self) -> Result<(), KernelError> {
        match &self.place {
            Place::Own(..) => Ok(()),
            Place::Attached(attachment) => attachment.attach(),
        }
    }

    /// Whether everything that the server does is still in the session's view: `false` once a cgroup that is only
    /// attached to was replaced, as on a restart of the server, or has others below it. A new session must
    /// then be made.
    pub fn is_whole(&self) -> bool {
        match &self.place {
            Place::Own(..) => true,
            Place::Attached(attachment) => attachment.is_whole(),
        }
    }

    /// The session's own cgroup, for what is done to its processes.
    fn own(&self) -> Result<&Cgroup, KernelError> {
        match &self.place {
            Place::Own(cgroup, _) => Ok(cgroup),
            Place::Attached(_) => Err(KernelError::Spec(
                "warrantd does not run this server, so it neither starts, stops nor freezes its processes",
            )),
        }
    }

    fn cgroup(&self) -> &Cgroup {
        match &self.place {
            Place::Own(cgroup, _) => cgroup,
            Place::Attached(attachment) => attachment.cgroup(),
        }
    }

    /// Starts a program inside, with its standard streams piped; see [`SpawnSpec`] for how it is confined.
    ///
    /// The program is killed when this process ends, however it does. Needs a tokio runtime.
    pub fn spawn(&self, spec: &SpawnSpec) -> Result<tokio::process::Child, KernelError> {
        if spec.user.as_ref().is_some_and(|user| user.uid == 0) {
            return Err(KernelError::Spec(
                "a server cannot run as root: root owns the cgroup files and could leave its session. \
                 Run it as another user",
            ));
        }
        spawn::spawn(spec, Some(self.own()?.open_procs()?))
    }

    /// For the self-test, which runs without a runtime.
    pub(super) fn spawn_blocking(
        &self,
        spec: &SpawnSpec,
    ) -> Result<std::process::Child, KernelError> {
        spawn::spawn_blocking(spec, Some(self.own()?.open_procs()?))
    }

    /// The response gate: everything that the session's processes had done when this was called. Blocks
    /// for at most 100 ms, ordinarily for some microseconds.
    pub fn drain(&self) -> Drained {
        let _gate = lock(&self.gate);
        let goal = self.inner.tables().counters(self.cgroup_id);
        let started = Instant::now();
        let mut now = goal;
        let mut incomplete = !self.is_whole();
        loop {
            self.inner.pump();
            if self.queue.reached(goal, now) {
                break;
            }
            let waited = started.elapsed();
            if waited > SETTLE_WITHIN {
                incomplete = true;
                break;
            }
            if waited < Duration::from_micros(50) {
                thread::yield_now();
            } else {
                thread::sleep(Duration::from_micros(100));
            }
            now = self.inner.tables().counters(self.cgroup_id);
        }
        let (effects, losses) = self.queue.take(now, self.inner.misses());
        Drained { effects, lost: losses.total(), losses, incomplete }
    }

    /// What had been reported when this was called, without asking the kernel: enough to tell what happens
    /// between calls from what a call does. What was lost, and what another processor is about to report, is left
    /// to the next [`Self::drain`].
    pub fn glance(&self) -> Drained {
        let _gate = lock(&self.gate);
        self.inner.pump();
        Drained { effects: self.queue.take_waiting(), ..Drained::default() }
    }

    /// Replaces the network policy, in one step for every program. What of it is open stays as
    /// [`Self::set_leave`] said last. Existing connections are judged by the new one from their next
    /// packet on. On an error the old policy stays in force. Blocks for up to a second when it is
    /// called more than 256 times within one.
    pub fn set_network(&self, table: &Table) -> Result<(), KernelError> {
        self.policy.set_network(table)
    }

    /// Opens these of the peers that the policy lists and closes all others, in one step each for peers
    /// by address and for the addresses of names. At first everything is open. On a closed connection
    /// no data leaves any more; it can be ended. On an error what was open may be closed in part, and
    /// nothing else is open.
    pub fn set_leave(&self, leave: &Leave) -> Result<(), KernelError> {
        self.names.set_leave(leave)?;
        self.policy.set_leave(leave)
    }

    /// Replaces what the session may listen on, who may come in and where it asks for names.
    pub fn set_doors(&self, doors: Doors) -> Result<(), KernelError> {
        self.policy.set_doors(doors)
    }

    /// Enforces file rules from now on, or only observes files. A backend that cannot refuse enforces
    /// nothing; see [`Backend::enforces_files`](super::Backend::enforces_files).
    pub fn set_files(&self, rules: Option<FileRules>) -> Result<(), KernelError> {
        self.policy.set_files(rules)
    }

    /// The addresses that names have opened, and may open.
    pub fn names(&self) -> &NamedAddresses {
        &self.names
    }

    /// Peers that may be reached now, as [`Self::set_leave`] and the names that were asked for have opened
    /// them.
    pub fn open_peers(&self) -> Vec<OpenPeer> {
        OpenPeer::of_table(&self.policy.open_now()).chain(self.names.open_now()).collect()
    }

    /// Packets from elsewhere that were not let in since the session began.
    pub fn refused_inbound(&self) -> u64 {
        self.inner.tables().counters(self.cgroup_id).refused_inbound
    }

    /// Kills every process of the session.
    pub fn kill(&self) -> Result<(), KernelError> {
        self.own()?.kill()
    }

    /// Stops every process of the session, or lets them go on.
    pub fn freeze(&self, frozen: bool) -> Result<(), KernelError> {
        self.own()?.freeze(frozen)
    }

    /// The session's processes, by id.
    pub fn pids(&self) -> Vec<u32> {
        self.cgroup().pids()
    }

    /// Whether the session has any process.
    pub fn populated(&self) -> bool {
        self.cgroup().populated()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        match &self.place {
            // The kernel may take a while to dismantle it.
            Place::Own(cgroup, id) => match aside(|| cgroup.destroy()) {
                Ok(()) => self.inner.instance().forget_session(self.cgroup_id, id),
                Err(error) => {
                    tracing::warn!(%error, "a session could not be removed; its network stays denied");
                }
            },
            // Its policy stays in force.
            Place::Attached(_) if self.inner.leaves_behind() => {
                return self.inner.unregister(self.cgroup_id);
            }
            // Before its policy goes: without one the programs refuse everything.
            Place::Attached(attachment) => attachment.detach(),
        }
        self.policy.end();
        self.names.close();
        self.inner.tables().close_session(self.cgroup_id);
        self.inner.unregister(self.cgroup_id);
    }
}

/// What a panicking thread left behind is still consistent: every change is one step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
