//! What a process holds in memory, as the kernel counts it.

use anyhow::Context;
use serde::Serialize;

/// Memory of a process, in KiB (`/proc/<pid>/smaps_rollup`, `proc_pid_smaps(5)`).
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Memory {
    /// All pages that it has in memory, its program's included.
    pub rss: f64,
    /// The same, where pages that several processes have count in part.
    pub pss: f64,
    /// Pages of no file.
    pub anonymous: f64,
}

impl Memory {
    /// What a process holds now.
    pub fn of(pid: u32) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
        let field = |name: &str| -> anyhow::Result<f64> {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            let value = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
            value.with_context(|| format!("no {name} in smaps_rollup"))
        };
        Ok(Self { rss: field("Rss:")?, pss: field("Pss:")?, anonymous: field("Anonymous:")? })
    }
}
