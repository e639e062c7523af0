//! Loads the kernel object, attaches its programs and pins what must outlive a crash.

use std::error::Error;
use std::fs::File;
use std::path::Path;

use aya::programs::links::{FdLink, PinnedLink};
use aya::programs::{
    CgroupAttachMode, CgroupSkb, CgroupSkbAttachType, CgroupSock, CgroupSockAddr, Program,
    RawTracePoint, TracePoint,
};
use aya::{Ebpf, EbpfLoader};
use nix::sys::resource::{RLIM_INFINITY, Resource, setrlimit};
use sha2::{Digest as _, Sha256};

use super::btf::Btf;
use super::misses::Misses;
use super::{KernelError, offsets};

/// Built from `agent-ebpf/` by `cargo xtask ebpf`; a test compares it with its sources.
static OBJECT: &[u8] = aya::include_bytes_aligned!("../../kernel/warrantd.bpf.o");

/// Programs that decide, attached to the parent cgroup.
const SOCK_ADDR: [&str; 4] =
    ["warrantd_connect4", "warrantd_connect6", "warrantd_sendmsg4", "warrantd_sendmsg6"];
/// Programs that observe.
const EXEC: &str = "warrantd_exec";
const OPEN: &str = "warrantd_open";
/// The system calls whose exits the second one watches. Some architectures lack `open` and `creat`; no
/// kernel from 5.10 on lacks the others.
const OPEN_CALLS: [(&str, bool); 5] = [
    ("openat", true),
    ("openat2", true),
    ("open_by_handle_at", true),
    ("open", cfg!(target_arch = "x86_64")),
    ("creat", cfg!(target_arch = "x86_64")),
];
/// Maps worth finding again after a crash.
const PINNED_MAPS: [&str; 4] = ["EVENTS", "SESSIONS", "POLICIES", "RULES"];

/// The loaded object. Observers end with it; pinned links only when their pins are removed as well.
pub(super) struct Attached {
    misses: Misses,
    /// Holds the programs and the links of the observers.
    _ebpf: Ebpf,
    _links: Vec<PinnedLink>,
}

impl Attached {
    /// Opens that went unseen since the start, by any process of the host; see [`Misses`].
    pub(super) fn misses(&self) -> u64 {
        self.misses.count()
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
    let layout = offsets::resolve(&Btf::of_running_kernel()?)?.to_words();
    EbpfLoader::new()
        // The programs have no relocations against kernel types.
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

/// Attaches every program, those that decide first.
pub(super) fn attach(mut ebpf: Ebpf, cgroup: &File, pins: &Path) -> Result<Attached, KernelError> {
    let mut links = Vec::new();
    for name in SOCK_ADDR {
        let program: &mut CgroupSockAddr = find(&mut ebpf, name)?;
        program.load().map_err(refused(name))?;
        let id = program.attach(cgroup, CgroupAttachMode::Single).map_err(refused(name))?;
        links.push(pin(program.take_link(id), pins, name)?);
    }
    let name = "warrantd_socket";
    let program: &mut CgroupSock = find(&mut ebpf, name)?;
    program.load().map_err(refused(name))?;
    let id = program.attach(cgroup, CgroupAttachMode::Single).map_err(refused(name))?;
    links.push(pin(program.take_link(id), pins, name)?);

    let name = "warrantd_egress";
    let program: &mut CgroupSkb = find(&mut ebpf, name)?;
    program.load().map_err(refused(name))?;
    let id = program
        .attach(cgroup, CgroupSkbAttachType::Egress, CgroupAttachMode::Single)
        .map_err(refused(name))?;
    links.push(pin(program.take_link(id), pins, name)?);

    let program: &mut RawTracePoint = find(&mut ebpf, EXEC)?;
    program.load().map_err(refused(EXEC))?;
    program.attach("sched_process_exec").map_err(refused(EXEC))?;

    let program: &mut TracePoint = find(&mut ebpf, OPEN)?;
    program.load().map_err(refused(OPEN))?;
    for (call, _) in OPEN_CALLS.iter().filter(|(_, exists)| *exists) {
        let tracepoint = format!("sys_exit_{call}");
        program.attach("syscalls", &tracepoint).map_err(refused(&tracepoint))?;
    }
    let misses = Misses::new(program).map_err(refused(OPEN))?;
    Ok(Attached { misses, _ebpf: ebpf, _links: links })
}

fn find<'a, P>(ebpf: &'a mut Ebpf, name: &'static str) -> Result<&'a mut P, KernelError>
where
    &'a mut P: TryFrom<&'a mut Program>,
{
    ebpf.program_mut(name)
        .and_then(|program| <&mut P>::try_from(program).ok())
        .ok_or(KernelError::Object { what: name })
}

/// Pins a link. Kernels before 5.7 attach without one, and enforcement would end with the process.
fn pin<L, E>(link: Result<L, E>, pins: &Path, name: &'static str) -> Result<PinnedLink, KernelError>
where
    L: TryInto<FdLink>,
    E: Error + Send + Sync + 'static,
{
    let link: FdLink =
        link.map_err(refused(name))?.try_into().map_err(|_| KernelError::Unsupported {
            feature: "bpf links for cgroups",
            remedy: "use a kernel from 5.10 on".into(),
        })?;
    let file = name.replace("warrantd_", "link_");
    link.pin(pins.join(file)).map_err(refused(name))
}

fn refused<E: Error + Send + Sync + 'static>(what: &str) -> impl FnOnce(E) -> KernelError {
    let what = what.to_owned();
    move |source| KernelError::Load { what, source: Box::new(source) }
}
