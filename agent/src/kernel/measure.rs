//! For measurements: what a security hook does at an open, where the kernel lets no hook be loaded.

use std::time::Duration;

use aya::Ebpf;
use aya::programs::TracePoint;
use warrantd_common::SessionPolicy;

use super::object::{find, refused};
use super::tables::Tables;
use super::{KernelError, mounts, object};

const PROGRAM: &str = "measure_open";

/// The program `measure_open`, which does the work of `lsm_file_open` whenever a process of one cgroup
/// returns from `openat`, on the executable of that process. Dropped, it is detached.
pub struct OpenHook {
    ebpf: Ebpf,
    /// Holds the session that it reports for, and its ring, which nobody reads.
    _tables: Tables,
}

impl OpenHook {
    /// Loads it for the processes of a cgroup.
    pub fn attach(cgroup_id: u64) -> Result<Self, KernelError> {
        let mut ebpf = object::load()?;
        let tables = Tables::take(&mut ebpf)?;
        tables.open_session(cgroup_id)?;
        tables.set_policy(cgroup_id, SessionPolicy::default())?;
        mounts::prepare_tracepoints()?;
        let program: &mut TracePoint = find(&mut ebpf, PROGRAM)?;
        program.load().map_err(refused(PROGRAM))?;
        program.attach("syscalls", "sys_exit_openat").map_err(refused(PROGRAM))?;
        Ok(Self { ebpf, _tables: tables })
    }

    /// How long it has run, and how often: zeros unless the kernel keeps statistics.
    pub fn time(&self) -> (Duration, u64) {
        let info = self.ebpf.program(PROGRAM).and_then(|program| program.info().ok());
        info.map_or((Duration::ZERO, 0), |info| (info.run_time(), info.run_count()))
    }
}
