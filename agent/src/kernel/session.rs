//! One session: a cgroup, its network policy and its stream of effects.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};

use crate::policy::network::{Allowed, Table};
use crate::warrant::Effect;

use super::KernelError;
use super::cgroup::Cgroup;
use super::doors::Doors;
use super::file_rules::FileRules;
use super::queue::Queue;
use super::retired::Retired;
use super::runtime::Inner;
use super::spawn::{self, SpawnSpec};

/// How long a drain waits for a record that a processor has reserved and not yet written. Writing one
/// takes microseconds, unless the writer is preempted.
const SETTLE_WITHIN: Duration = Duration::from_millis(100);

/// A place for one server's processes. Dropped, it kills them all, waits until they are gone, and removes
/// the cgroup and the policy.
pub struct Session {
    inner: Arc<Inner>,
    cgroup: Cgroup,
    cgroup_id: u64,
    queue: Arc<Queue>,
    policy: Mutex<Policy>,
    /// Held by the drain that is going on: two at once would share out the effects.
    gate: Mutex<()>,
}

/// The tables of a session that are in the kernel.
#[derive(Default)]
struct Policy {
    current: Option<(u32, Table)>,
    /// Local ports, the resolver, and who may come in.
    doors: Doors,
    /// File rules in force.
    files: Option<(u32, FileRules)>,
    /// Addresses that names have opened.
    named: HashSet<[u8; 16]>,
    /// What was in force before, as long as a program may still read it.
    retired: Retired<Old>,
}

/// A table that was in force, and its generation.
enum Old {
    Network(u32, Table),
    Files(u32, FileRules),
}

impl Policy {
    fn generation(&self) -> u32 {
        self.current.as_ref().map_or(0, |(generation, _)| *generation)
    }

    fn files_generation(&self) -> u32 {
        self.files.as_ref().map_or(0, |(generation, _)| *generation)
    }
}

/// What a session's processes did since the last drain.
#[derive(Debug, Default)]
#[must_use]
pub struct Drained {
    /// The effects, in the order in which the kernel reported them.
    pub effects: Vec<Effect>,
    /// Events that were lost since the last drain: what is missing in `effects` is not known.
    pub lost: u64,
    /// Not every event that had happened could be waited for.
    pub incomplete: bool,
}

impl Session {
    pub(super) fn open(inner: Arc<Inner>, id: &str, network: &Table) -> Result<Self, KernelError> {
        let cgroup = inner.instance().session_cgroup(id)?;
        let cgroup_id = cgroup.id()?;
        let queue = inner.register(cgroup_id);
        // From here on, dropping cleans up.
        let session = Self {
            inner,
            cgroup,
            cgroup_id,
            queue,
            policy: Mutex::default(),
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

    /// Starts a program inside, with its standard streams piped; see [`SpawnSpec`] for how it is confined.
    ///
    /// The program is killed when the *thread* that calls this ends (prctl(2), `PR_SET_PDEATHSIG`), so
    /// call it from a thread that lives as long as the server shall: not from one that a pool retires
    /// when idle. Needs a tokio runtime.
    pub fn spawn(&self, spec: &SpawnSpec) -> Result<tokio::process::Child, KernelError> {
        if spec.user.as_ref().is_some_and(|user| user.uid == 0) {
            return Err(KernelError::Spec(
                "a server cannot run as root: root owns the cgroup files and could leave its session. \
                 Run it as another user",
            ));
        }
        spawn::spawn(spec, Some(self.cgroup.open_procs()?))
    }

    /// For the self-test, which runs without a runtime.
    pub(super) fn spawn_blocking(
        &self,
        spec: &SpawnSpec,
    ) -> Result<std::process::Child, KernelError> {
        spawn::spawn_blocking(spec, Some(self.cgroup.open_procs()?))
    }

    /// The response gate: everything that the session's processes had done when this was called. Blocks
    /// for at most 100 ms, ordinarily for some microseconds.
    pub fn drain(&self) -> Drained {
        let _gate = lock(&self.gate);
        let goal = self.inner.tables().counters(self.cgroup_id);
        let started = Instant::now();
        let mut now = goal;
        let mut incomplete = false;
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
        let (effects, lost) = self.queue.take(now, self.inner.misses());
        Drained { effects, lost, incomplete }
    }

    /// Replaces the network policy, in one step for every program. Existing connections are judged by
    /// the new one from their next packet on. On an error the old policy stays in force. Blocks for up to
    /// a second when it is called more than 256 times within one.
    pub fn set_network(&self, table: &Table) -> Result<(), KernelError> {
        let mut policy = lock(&self.policy);
        self.make_room(&mut policy);
        let generation = self.inner.next_generation();
        let now = policy.doors.policy(generation, policy.files_generation());
        self.inner.tables().set_table(self.cgroup_id, now, table)?;
        if let Some((old, table)) = policy.current.replace((generation, table.clone())) {
            policy.retired.push(Old::Network(old, table), Instant::now());
        }
        self.remove_outlived(&mut policy);
        Ok(())
    }

    /// Waits until there is room for one more replaced table.
    fn make_room(&self, policy: &mut Policy) {
        while let Some(wait) = policy.retired.until_room(Instant::now()) {
            thread::sleep(wait);
            self.remove_outlived(policy);
        }
    }

    fn remove_outlived(&self, policy: &mut Policy) {
        for old in policy.retired.take_outlived(Instant::now()) {
            self.remove(&old);
        }
    }

    fn remove(&self, old: &Old) {
        match old {
            Old::Network(generation, table) => {
                self.inner.tables().remove_rules(*generation, table);
            }
            Old::Files(generation, rules) => self.inner.tables().remove_files(*generation, rules),
        }
    }

    /// Replaces what the session may listen on, who may come in and where it asks for names.
    pub fn set_doors(&self, doors: Doors) -> Result<(), KernelError> {
        let mut policy = lock(&self.policy);
        let now = doors.policy(policy.generation(), policy.files_generation());
        self.inner.tables().set_policy(self.cgroup_id, now)?;
        policy.doors = doors;
        Ok(())
    }

    /// Enforces file rules from now on, or only observes files. A backend that cannot refuse enforces
    /// nothing; see [`Backend::enforces_files`](super::Backend::enforces_files).
    pub fn set_files(&self, rules: Option<FileRules>) -> Result<(), KernelError> {
        let mut policy = lock(&self.policy);
        self.make_room(&mut policy);
        let next = rules.map(|rules| (self.inner.next_generation(), rules));
        if let Some((generation, rules)) = &next {
            self.inner.tables().insert_files(*generation, rules)?;
        }
        let number = next.as_ref().map_or(0, |(generation, _)| *generation);
        let now = policy.doors.policy(policy.generation(), number);
        if let Err(error) = self.inner.tables().set_policy(self.cgroup_id, now) {
            if let Some((generation, rules)) = next {
                self.inner.tables().remove_files(generation, &rules);
            }
            return Err(error);
        }
        if let Some((old, rules)) = std::mem::replace(&mut policy.files, next) {
            policy.retired.push(Old::Files(old, rules), Instant::now());
        }
        self.remove_outlived(&mut policy);
        Ok(())
    }

    /// Lets the session begin connections to an address for a while, because a name led there.
    /// Connections that have begun outlast it.
    pub fn open_name(
        &self,
        address: IpAddr,
        allowed: &[Allowed],
        lives: Duration,
    ) -> Result<(), KernelError> {
        let mut policy = lock(&self.policy);
        let octets = match address {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
            IpAddr::V6(v6) => v6.octets(),
        };
        let until =
            since_boot().saturating_add(u64::try_from(lives.as_nanos()).unwrap_or(u64::MAX));
        self.inner.tables().open_name(self.cgroup_id, octets, allowed, until)?;
        policy.named.insert(octets);
        Ok(())
    }

    /// Packets from elsewhere that were not let in since the session began.
    pub fn refused_inbound(&self) -> u64 {
        self.inner.tables().counters(self.cgroup_id).refused_inbound
    }

    /// Kills every process of the session.
    pub fn kill(&self) -> Result<(), KernelError> {
        self.cgroup.kill()
    }

    /// Stops every process of the session, or lets them go on.
    pub fn freeze(&self, frozen: bool) -> Result<(), KernelError> {
        self.cgroup.freeze(frozen)
    }

    /// Whether the session has any process.
    pub fn populated(&self) -> bool {
        self.cgroup.populated()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Err(error) = self.cgroup.destroy() {
            tracing::warn!(%error, "a session could not be removed; its network stays denied");
        }
        let policy = std::mem::take(&mut *lock(&self.policy));
        let files = policy.files.map(|(generation, rules)| Old::Files(generation, rules));
        for old in policy.retired.into_all().chain(files) {
            self.remove(&old);
        }
        for address in policy.named {
            self.inner.tables().close_name(self.cgroup_id, address);
        }
        let tables: Vec<_> = policy.current.into_iter().collect();
        self.inner.tables().close_session(self.cgroup_id, &tables);
        self.inner.unregister(self.cgroup_id);
    }
}

/// What a panicking thread left behind is still consistent: every change is one step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Nanoseconds since boot, suspend included.
fn since_boot() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_BOOTTIME).map(Duration::from);
    now.map_or(0, |now| u64::try_from(now.as_nanos()).unwrap_or(0))
}
