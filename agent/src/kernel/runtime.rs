//! One running instance of the kernel layer.

use std::collections::HashMap;
use std::ffi::OsString;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::policy::network::Table;

use super::backend::Backend;
use super::gap::Gap;
use super::instance::{Held, Instance};
use super::object::Attached;
use super::queue::Queue;
use super::ring::Ring;
use super::session::Session;
use super::tables::Tables;
use super::{KernelError, decode, delegation, mounts, object, privileges, self_test};

/// How long events may lie in the ring when no drain comes by and nothing wakes the reader.
const READ_EVERY: Duration = Duration::from_millis(200);

/// How an instance starts.
#[derive(Debug, Clone)]
pub struct KernelOptions {
    /// Directory on bpffs for links and maps, `/sys/fs/bpf/warrantd`.
    pub pin_root: PathBuf,
    /// Name of the instance, unique on the host: `serve`, `run-<pid>`. Letters, digits, `-`, `_`.
    pub instance: String,
    /// Program and arguments of the self-test's probe. It opens `/dev/null`, tries a TCP connection to
    /// 127.0.0.1:9 and prints `open `, how it went, `connect `, how it went: `ok` or the error's name.
    pub probe: Vec<OsString>,
    /// Which observers may be used, best first: [`Backend::ALL`] unless a test wants one.
    pub backends: Vec<Backend>,
    /// Whether to clean up after dead instances of other names. Who does has the only copy of what they had
    /// not told, and must record it; see [`Kernel::take_gaps`].
    pub cleans_up: bool,
    /// Whether this process is a service, which keeps its cgroups below its own where they were delegated to it.
    pub service: bool,
}

/// The kernel layer: programs attached to a parent cgroup, and the ring they report to.
///
/// Dropped, it kills every process in its sessions and removes cgroups, links and maps. If the process is
/// killed instead, the links stay pinned and go on denying; the next [`Kernel::start`] cleans up.
pub struct Kernel {
    inner: Arc<Inner>,
    gaps: Mutex<Vec<Gap>>,
}

/// What sessions share. Lives until the last of them is gone.
pub(super) struct Inner {
    // Dropped first: processes end before enforcement does.
    instance: Instance,
    tables: Tables,
    ring: Mutex<Ring>,
    queues: Mutex<HashMap<u64, Arc<Queue>>>,
    generation: AtomicU32,
    /// Whether another instance takes over.
    succeeded: AtomicBool,
    /// What dead instances had attached to cgroups that are not warrantd's; it goes on deciding.
    held: Mutex<Vec<Held>>,
    attached: Attached,
}

impl Kernel {
    /// Starts an instance: checks privileges, cleans up after dead instances, loads, attaches and pins
    /// the programs, and demands that a probe process is refused a connection and seen to do so.
    pub fn start(options: &KernelOptions) -> Result<Arc<Self>, KernelError> {
        privileges::check()?;
        let cgroup_root = delegation::home(&mounts::cgroup2()?, options.service)?;
        mounts::prepare_pins(&options.pin_root)?;
        let mut ebpf = object::load()?;
        let (instance, gaps, held) = Instance::claim(options, &cgroup_root)?;
        let parent = instance.cgroup().open()?;
        object::pin_maps(&ebpf, instance.pins())?;
        Tables::describe_calls(&mut ebpf)?;
        let tables = Tables::take(&mut ebpf)?;
        let ring = Tables::take_ring(&mut ebpf)?;
        let attached = object::attach(ebpf, &parent, instance.pins(), &options.backends)?;
        let kernel = Arc::new(Self {
            inner: Arc::new(Inner {
                instance,
                tables,
                ring: Mutex::new(ring),
                queues: Mutex::default(),
                generation: AtomicU32::new(0),
                succeeded: AtomicBool::new(false),
                held: Mutex::new(held),
                attached,
            }),
            gaps: Mutex::new(gaps),
        });
        self_test::run(&kernel, &options.probe)?;
        Ok(kernel)
    }

    /// What instances that were dead at the start had not told, once.
    pub fn take_gaps(&self) -> Vec<Gap> {
        std::mem::take(&mut *lock(&self.gaps))
    }

    /// The observer in use.
    pub fn backend(&self) -> Backend {
        self.inner.attached.backend
    }

    /// Better observers than the one in use, and why this kernel does not have them.
    pub fn passed_over(&self) -> &[(Backend, String)] {
        &self.inner.attached.passed_over
    }

    /// Hooks that the observer would use and this kernel does not offer.
    pub fn lacking(&self) -> &[&'static str] {
        self.inner.attached.lacking()
    }

    /// The programs, each with how long it has run and how often: zeros unless the kernel keeps
    /// statistics (`kernel.bpf_stats_enabled`). For measurements.
    #[doc(hidden)]
    pub fn program_times(&self) -> Vec<(String, Duration, u64)> {
        self.inner.attached.times()
    }

    /// Generation of the network policy that was set last, over all sessions. Counts from 1.
    pub fn generation(&self) -> u32 {
        self.inner.generation.load(Ordering::Relaxed)
    }

    /// Makes a cgroup named `id` and the session in it, with this network policy.
    pub fn open_session(&self, id: &str, network: &Table) -> Result<Session, KernelError> {
        Session::open(Arc::clone(&self.inner), id, network)
    }

    /// Makes the cgroup at `path` a session: one that something else runs, named from the cgroup mount on, such
    /// as `/system.slice/search.service`. Its processes are observed at once; what the policy in force says of
    /// the network holds from [`Session::attach`] on. They are never killed, frozen or moved, and when
    /// the session is dropped they go on as if nothing had been.
    ///
    /// What was there before stays out of reach of some rules: a socket that a service manager opened for the
    /// server belongs to the manager's cgroup, and a process that was there is not missed when it moves away.
    pub fn prepare_attached(
        &self,
        id: &str,
        path: &Path,
        network: &Table,
    ) -> Result<Session, KernelError> {
        Session::prepare_attached(Arc::clone(&self.inner), id, path, network)
    }

    /// Lets go of cgroups to which a dead instance had attached and this one has not: they are not enforced any
    /// more. To be called when every configured server has been attached to.
    pub fn release_leftovers(&self) {
        lock(&self.inner.held).clear();
    }

    /// Says that another instance of this name starts when this one has ended. What is attached to cgroups that
    /// are not warrantd's then stays in force until the other has attached to them, as after a crash.
    pub fn hand_over(&self) {
        self.inner.succeeded.store(true, Ordering::Relaxed);
    }

    /// Moves events from the ring to their sessions.
    pub fn pump(&self) {
        self.inner.pump();
    }

    /// Moves events to their sessions whenever the kernel asks for it, and every 200 ms. Never returns.
    pub async fn run_reader(self: Arc<Self>) {
        let readiness = self.inner.readiness();
        if let Err(error) = &readiness {
            tracing::warn!(%error, "the event ring cannot be polled; reading it by the clock alone");
        }
        loop {
            let mut tick = std::pin::pin!(tokio::time::sleep(READ_EVERY));
            if let Ok(readiness) = &readiness {
                tokio::select! {
                    guard = readiness.readable() => {
                        self.pump();
                        if let Ok(mut guard) = guard {
                            guard.clear_ready();
                        }
                        // A flood must not keep the runtime's thread.
                        tokio::task::yield_now().await;
                        continue;
                    }
                    () = &mut tick => {}
                }
            } else {
                tick.await;
            }
            self.pump();
        }
    }
}

impl Inner {
    /// The instance's cgroups.
    pub(super) fn instance(&self) -> &Instance {
        &self.instance
    }

    /// The maps.
    pub(super) fn tables(&self) -> &Tables {
        &self.tables
    }

    /// The programs.
    pub(super) fn attached(&self) -> &Attached {
        &self.attached
    }

    /// Whether a cgroup is a session.
    pub(super) fn is_session(&self, cgroup_id: u64) -> bool {
        lock(&self.queues).contains_key(&cgroup_id)
    }

    /// Leaves an attached session as it is, if another instance takes over.
    #[must_use]
    pub(super) fn leaves_behind(&self) -> bool {
        let leaves = self.succeeded.load(Ordering::Relaxed);
        if leaves {
            self.instance.leave_behind();
        }
        leaves
    }

    /// Lets go of what a dead instance had attached to a cgroup.
    pub(super) fn release_held(&self, cgroup_id: u64) {
        lock(&self.held).retain(|held| held.cgroup_id != cgroup_id);
    }

    /// Opens that went unseen since the start, by any process of the host.
    pub(super) fn misses(&self) -> u64 {
        self.attached.misses()
    }

    /// A number for the next network policy, from 1.
    pub(super) fn next_generation(&self) -> u32 {
        self.generation.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Starts delivering the events of a cgroup.
    pub(super) fn register(&self, cgroup_id: u64) -> Arc<Queue> {
        let queue = Arc::new(Queue::new(self.misses()));
        lock(&self.queues).insert(cgroup_id, Arc::clone(&queue));
        queue
    }

    /// Stops it.
    pub(super) fn unregister(&self, cgroup_id: u64) {
        lock(&self.queues).remove(&cgroup_id);
    }

    /// Moves events from the ring to their sessions.
    pub(super) fn pump(&self) {
        let mut ring = lock(&self.ring);
        let queues = lock(&self.queues);
        ring.read(|record| {
            let queue = decode::header(record).and_then(|header| queues.get(&header.cgroup_id));
            // Events of a session that has been closed belong to nobody.
            if let Some(queue) = queue {
                queue.push(record);
            }
        });
    }

    /// The ring's descriptor, registered with the current runtime. The kernel reports an edge when it is
    /// asked to wake a reader.
    fn readiness(&self) -> std::io::Result<AsyncFd<OwnedFd>> {
        let descriptor = lock(&self.ring).as_fd().try_clone_to_owned()?;
        // SAFETY: the descriptor is owned by the AsyncFd and never changes.
        let registered = unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) };
        registered.map_err(std::io::Error::from)
    }
}

/// What a panicking thread left behind is still consistent: every change is one step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
