//! Loads the kernel object, attaches its programs and pins what must outlive a crash.

use std::error::Error;
use std::fs::File;
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use aya::programs::links::{FdLink, PinnedLink};
use aya::programs::{
    CgroupAttachMode, CgroupSkb, CgroupSkbAttachType, CgroupSock, CgroupSockAddr, Program,
    ProgramError,
};
use aya::{Ebpf, EbpfLoader};
use nix::sys::resource::{RLIM_INFINITY, Resource, setrlimit};
use sha2::{Digest as _, Sha256};

use super::ahead::Types;
use super::backend::Backend;
use super::btf::Btf;
use super::misses::Misses;
use super::{KernelError, ahead, observe, offsets, query};

/// Built from `agent-ebpf/` by `cargo xtask ebpf`; a test compares it with its sources.
static OBJECT: &[u8] = aya::include_bytes_aligned!("../../kernel/warrantd.bpf.o");

/// Programs that decide about addresses, and their hooks (`enum bpf_attach_type`).
const SOCK_ADDR: [(&str, u32); 8] = [
    ("warrantd_connect4", 10),
    ("warrantd_connect6", 11),
    ("warrantd_sendmsg4", 14),
    ("warrantd_sendmsg6", 15),
    ("warrantd_bind4", 8),
    ("warrantd_bind6", 9),
    ("warrantd_recvmsg4", 19),
    ("warrantd_recvmsg6", 20),
];
/// The program that decides about new sockets.
const SOCKET: (&str, u32) = ("warrantd_socket", 2);
/// Programs that decide about packets.
const PACKETS: [(&str, CgroupSkbAttachType, u32); 2] = [
    ("warrantd_egress", CgroupSkbAttachType::Egress, 1),
    ("warrantd_ingress", CgroupSkbAttachType::Ingress, 0),
];
/// Prefix of the pins of the instance's own links; the program follows.
const LINKS: &str = "link_";
/// Maps worth finding again after a crash.
const PINNED_MAPS: [&str; 4] = ["EVENTS", "SESSIONS", "POLICIES", "RULES"];

/// Links that last: pinned ones end when their pins are removed as well.
#[derive(Default)]
pub(super) struct Pinned {
    links: Vec<PinnedLink>,
    /// Hooks that this kernel does not offer.
    lacking: Vec<&'static str>,
}

impl Pinned {
    /// Holds a link.
    pub(super) fn keep(&mut self, link: PinnedLink) {
        self.links.push(link);
    }

    /// Takes note of a hook that this kernel does not offer.
    pub(super) fn lack(&mut self, hook: &'static str) {
        self.lacking.push(hook);
    }

    /// Removes the pins, so that dropping detaches.
    pub(super) fn unpin(self) {
        for link in self.links {
            // One whose pin is gone already is what we want.
            let _ = link.unpin();
        }
    }
}

/// The loaded object.
pub(super) struct Attached {
    /// How files and programs are observed.
    pub(super) backend: Backend,
    /// Why better ways were passed over.
    pub(super) passed_over: Vec<(Backend, String)>,
    misses: Misses,
    /// Holds the programs.
    ebpf: Mutex<Ebpf>,
    links: Pinned,
}

impl Attached {
    /// Hooks that this kernel does not offer.
    pub(super) fn lacking(&self) -> &[&'static str] {
        &self.links.lacking
    }

    /// Events that went unseen since the start, by any process of the host; see [`Misses`].
    pub(super) fn misses(&self) -> u64 {
        self.misses.count()
    }

    /// The programs that are loaded, each with how long it has run and how often; see
    /// [`Kernel::program_times`](super::Kernel::program_times).
    pub(super) fn times(&self) -> Vec<(String, Duration, u64)> {
        let ebpf = self.ebpf();
        let known = ebpf.programs().filter_map(|(name, program)| {
            let info = program.info().ok()?;
            Some((name.to_owned(), info.run_time(), info.run_count()))
        });
        known.collect()
    }

    /// Attaches the programs that decide to one more cgroup, and makes sure that the kernel runs them for it. On a
    /// failure none stays.
    pub(super) fn attach_to(
        &self,
        cgroup: &File,
        pins: &Path,
        prefix: &str,
    ) -> Result<Pinned, KernelError> {
        let (mut ebpf, mut links) = (self.ebpf(), Pinned::default());
        let attached = attach_deciders(&mut ebpf, cgroup, pins, prefix, &mut links)
            .and_then(|()| prove_deciders(&ebpf, cgroup));
        match attached {
            Ok(()) => Ok(links),
            Err(error) => {
                links.unpin();
                Err(error)
            }
        }
    }

    fn ebpf(&self) -> MutexGuard<'_, Ebpf> {
        // A panic leaves programs that are attached or not.
        self.ebpf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells this object from others, in 16 letters and digits.
pub(super) fn fingerprint() -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(OBJECT)[..8])
}

/// Loads the object for this kernel.
pub(super) fn load() -> Result<Ebpf, KernelError> {
    // Kernels before 5.11 charge maps to this limit. Where it cannot be raised, they say so.
    let _ = setrlimit(Resource::RLIMIT_MEMLOCK, RLIM_INFINITY, RLIM_INFINITY);
    let (mut loader, layout) = thread::scope(|scope| {
        let layout = scope.spawn(|| offsets::resolve(&Btf::of_running_kernel()?));
        // A loader reads the kernel's types when it is made, whether they are wanted or not.
        (EbpfLoader::new(), layout.join())
    });
    let layout = layout.unwrap_or_else(|panic| resume_unwind(panic))?.to_words();
    // The programs have no relocations against kernel types.
    loader
        .btf(None)
        .override_global("LAYOUT", &layout, true)
        .load(OBJECT)
        .map_err(refused("object"))
}

/// Pins the maps.
pub(super) fn pin_maps(ebpf: &Ebpf, pins: &Path) -> Result<(), KernelError> {
    PINNED_MAPS.iter().try_for_each(|name| {
        let map = ebpf.map(name).ok_or(KernelError::Object { what: name })?;
        let file = format!("map_{}", name.to_lowercase());
        map.pin(pins.join(file)).map_err(refused(name))
    })
}

/// Attaches every program, those that decide first. Of the ways to observe, the first of `wanted` that
/// this kernel has.
pub(super) fn attach(
    mut ebpf: Ebpf,
    cgroup: &File,
    pins: &Path,
    wanted: &[Backend],
) -> Result<Attached, KernelError> {
    let mut links = Pinned::default();
    let deciders = SOCK_ADDR.iter().chain([&SOCKET]).map(|(name, _)| *name);
    let deciders = deciders.chain(PACKETS.iter().map(|(name, _, _)| *name));
    let programs = deciders.map(|name| (name, None)).chain(observe::likely(wanted)).collect();
    let mut types = Types::default();
    ahead::load(&mut ebpf, &programs, &mut types);
    load_deciders(&mut ebpf)?;
    attach_deciders(&mut ebpf, cgroup, pins, LINKS, &mut links)?;
    let mut passed_over = Vec::new();
    for &backend in wanted {
        let last = wanted.last() == Some(&backend);
        if let Some(why) = backend.obstacle().filter(|_| !last) {
            passed_over.push((backend, why));
            continue;
        }
        match observe::attach(&mut ebpf, backend, &mut types, pins) {
            Ok((observers, misses)) => {
                links.links.extend(observers.links);
                links.lacking.extend(observers.lacking);
                let ebpf = Mutex::new(ebpf);
                return Ok(Attached { backend, passed_over, misses, ebpf, links });
            }
            Err(error) if last => return Err(error),
            Err(error) => passed_over.push((backend, error.to_string())),
        }
    }
    Err(KernelError::Object { what: "a backend" })
}

fn load_deciders(ebpf: &mut Ebpf) -> Result<(), KernelError> {
    for (name, _) in SOCK_ADDR {
        let program: &mut CgroupSockAddr = find(ebpf, name)?;
        unless_loaded(program.fd().is_ok(), || program.load()).map_err(refused(name))?;
    }
    let program: &mut CgroupSock = find(ebpf, SOCKET.0)?;
    unless_loaded(program.fd().is_ok(), || program.load()).map_err(refused(SOCKET.0))?;
    for (name, _, _) in PACKETS {
        let program: &mut CgroupSkb = find(ebpf, name)?;
        unless_loaded(program.fd().is_ok(), || program.load()).map_err(refused(name))?;
    }
    Ok(())
}

/// Attaches the programs that decide to a cgroup. Through links, programs of others run beside them
/// (`cgroup_bpf_link_attach` in `kernel/bpf/cgroup.c`), and whoever says no is right.
fn attach_deciders(
    ebpf: &mut Ebpf,
    cgroup: &File,
    pins: &Path,
    prefix: &str,
    links: &mut Pinned,
) -> Result<(), KernelError> {
    let mode = CgroupAttachMode::Single;
    for (name, _) in SOCK_ADDR {
        let program: &mut CgroupSockAddr = find(ebpf, name)?;
        let id = program.attach(cgroup, mode).map_err(refused(name))?;
        links.keep(pin_as(program.take_link(id), pins, prefix, name)?);
    }
    let name = SOCKET.0;
    let program: &mut CgroupSock = find(ebpf, name)?;
    let id = program.attach(cgroup, mode).map_err(refused(name))?;
    links.keep(pin_as(program.take_link(id), pins, prefix, name)?);
    for (name, direction, _) in PACKETS {
        let program: &mut CgroupSkb = find(ebpf, name)?;
        let id = program.attach(cgroup, direction, mode).map_err(refused(name))?;
        links.keep(pin_as(program.take_link(id), pins, prefix, name)?);
    }
    Ok(())
}

/// Asks the kernel whether it runs them there.
fn prove_deciders(ebpf: &Ebpf, cgroup: &File) -> Result<(), KernelError> {
    let packets = PACKETS.iter().map(|(name, _, hook)| (*name, *hook));
    for (name, hook) in SOCK_ADDR.into_iter().chain([SOCKET]).chain(packets) {
        let program = ebpf.program(name).ok_or(KernelError::Object { what: name })?;
        let id = program.info().map_err(refused(name))?.id();
        let running = query::effective(cgroup, hook).map_err(refused(name))?;
        if !running.contains(&id) {
            let missing = format!("{name} does not run for the cgroup it was attached to");
            return Err(KernelError::SelfTest { missing });
        }
    }
    Ok(())
}

/// Loads a program that was not loaded ahead.
pub(super) fn unless_loaded(
    is_loaded: bool,
    load: impl FnOnce() -> Result<(), ProgramError>,
) -> Result<(), ProgramError> {
    if is_loaded { Ok(()) } else { load() }
}

/// A program of the object.
pub(super) fn find<'a, P>(ebpf: &'a mut Ebpf, name: &'static str) -> Result<&'a mut P, KernelError>
where
    &'a mut P: TryFrom<&'a mut Program>,
{
    ebpf.program_mut(name)
        .and_then(|program| <&mut P>::try_from(program).ok())
        .ok_or(KernelError::Object { what: name })
}

/// Pins a link of the instance itself.
pub(super) fn pin<L, E>(
    link: Result<L, E>,
    pins: &Path,
    name: &str,
) -> Result<PinnedLink, KernelError>
where
    L: TryInto<FdLink>,
    E: Error + Send + Sync + 'static,
{
    pin_as(link, pins, LINKS, name)
}

/// Pins a link. Kernels before 5.7 attach without one, and enforcement would end with the process.
fn pin_as<L, E>(
    link: Result<L, E>,
    pins: &Path,
    prefix: &str,
    name: &str,
) -> Result<PinnedLink, KernelError>
where
    L: TryInto<FdLink>,
    E: Error + Send + Sync + 'static,
{
    let link: FdLink =
        link.map_err(refused(name))?.try_into().map_err(|_| KernelError::Unsupported {
            feature: "bpf links for cgroups",
            remedy: "use a kernel from 5.10 on".into(),
        })?;
    let file = format!("{prefix}{}", name.strip_prefix("warrantd_").unwrap_or(name));
    link.pin(pins.join(file)).map_err(refused(name))
}

/// Wraps the library's error.
pub(super) fn refused<E: Error + Send + Sync + 'static>(
    what: &str,
) -> impl FnOnce(E) -> KernelError {
    let what = what.to_owned();
    move |source| KernelError::Load { what, source: Box::new(source) }
}
