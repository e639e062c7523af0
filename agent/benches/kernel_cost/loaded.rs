//! The kernel layer with its sessions, from start to stop.

use std::ffi::OsStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use aya::programs::loaded_programs;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use warrantd::kernel::{Access, Backend, FileRules, Kernel, KernelOptions, Reach, Session};
use warrantd::policy::network::{PortRange, Rule, Table, compile};

use crate::actors::Actor;
use crate::work::{self, Place, Work};

/// One program of every instance, by which instances are counted: its name, as far as the kernel keeps it.
const SIGN: &str = "warrantd_socket";
/// How long other instances are waited for.
const PATIENCE: Duration = Duration::from_secs(300);

/// The kernel layer, and a session or two with a program in each.
pub(crate) struct Loaded {
    pub(crate) watched: Seat,
    /// In a session whose files are enforced, where the kernel layer can.
    pub(crate) enforced: Option<Seat>,
    kernel: Arc<Kernel>,
    reader: JoinHandle<()>,
}

/// A session with a program in it.
pub(crate) struct Seat {
    // Killed before its session ends.
    actor: Actor,
    session: Session,
}

impl Seat {
    fn new(kernel: &Kernel, id: &str, place: &Place, program: &OsStr) -> anyhow::Result<Self> {
        let port = PortRange { low: place.peer.port(), high: place.peer.port() };
        let net = std::net::IpAddr::V4(*place.peer.ip()).into();
        let table: Table = compile(&[Rule { net, ports: vec![port], protocol: None }])?;
        let session = kernel.open_session(id, &table)?;
        let actor = Actor::within(&session, place, program)?;
        Ok(Self { actor, session })
    }

    /// Id of the session's cgroup.
    pub(crate) fn cgroup_id(&self) -> u64 {
        self.session.cgroup_id()
    }

    /// See [`Actor::round`]. Nothing may be lost.
    pub(crate) fn round(&mut self, work: Work) -> anyhow::Result<f64> {
        let nanoseconds = self.actor.round(work)?;
        self.drain()?;
        Ok(nanoseconds)
    }

    fn warm_up(&mut self) -> anyhow::Result<()> {
        self.actor.warm_up()?;
        self.drain()
    }

    fn drain(&self) -> anyhow::Result<()> {
        let drained = self.session.drain();
        ensure!(drained.lost == 0 && !drained.incomplete, "{} events were lost", drained.lost);
        ensure!(!drained.effects.is_empty(), "the session was not seen");
        Ok(())
    }
}

impl Loaded {
    /// Starts the kernel layer with one backend.
    pub(crate) fn start(backend: Backend, place: &Place) -> anyhow::Result<Self> {
        let kernel = Kernel::start(&KernelOptions {
            cleans_up: true,
            service: false,
            pin_root: "/sys/fs/bpf/warrantd-bench".into(),
            instance: format!("bench-{}", std::process::id()),
            probe: work::probe(),
            backends: vec![backend],
        })?;
        let mut watched = Seat::new(&kernel, "watched", place, work::SELF.as_ref())?;
        watched.warm_up()?;
        let mut enforced = None;
        if backend.enforces_files() {
            let mut seat = Seat::new(&kernel, "enforced", place, work::SELF.as_ref())?;
            seat.session.set_files(Some(rules(place)?))?;
            seat.warm_up()?;
            enforced = Some(seat);
        }
        let reader = Handle::current().spawn(Arc::clone(&kernel).run_reader());
        Ok(Self { watched, enforced, kernel, reader })
    }

    /// Another session, with a program that is a copy of this one.
    pub(crate) fn seat(&self, id: &str, place: &Place, program: &OsStr) -> anyhow::Result<Seat> {
        let mut seat = Seat::new(&self.kernel, id, place, program)?;
        seat.warm_up()?;
        Ok(seat)
    }

    /// How long its programs have run, and how often.
    pub(crate) fn times(&self) -> Vec<(String, Duration, u64)> {
        self.kernel.program_times()
    }

    /// Ends everything.
    pub(crate) fn stop(self) {
        self.reader.abort();
        // Aborted, it ends with an error that says so.
        let _ = Handle::current().block_on(self.reader);
    }
}

/// What the programs do, and no more.
fn rules(place: &Place) -> anyhow::Result<FileRules> {
    let mut rules = FileRules::default();
    let file = std::path::Path::new(&place.file);
    let top = file.ancestors().nth(3).context("the file lies deeper")?;
    rules.allow(top, Access::READ, Reach::Tree)?;
    rules.allow("/usr".as_ref(), Access::EXEC, Reach::Tree)?;
    rules.allow("/etc".as_ref(), Access::READ, Reach::Tree)?;
    Ok(rules)
}

/// Waits until as many instances of the kernel layer are loaded on this host as expected: the programs of
/// one that has ended go a little later, and others would be measured with it.
pub(crate) fn await_instances(expected: usize) -> anyhow::Result<()> {
    let begun = Instant::now();
    loop {
        let found = instances();
        if found == expected {
            return Ok(());
        }
        if begun.elapsed() > PATIENCE {
            bail!("{found} instances of warrantd are loaded, not {expected}: stop the others");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// How many instances of the kernel layer are loaded on this host.
pub(crate) fn instances() -> usize {
    let named = |name: Option<&str>| name.is_some_and(|name| name == SIGN);
    loaded_programs().flatten().filter(|program| named(program.name_as_str())).count()
}
