//! What runs on this machine.

use std::fs;
use std::path::Path;

/// Ids of the processes that run an executable.
pub(crate) fn running(executable: &Path) -> anyhow::Result<Vec<u32>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // A process that has just ended has no executable any more.
        if fs::read_link(entry.path().join("exe")).is_ok_and(|exe| exe == executable) {
            found.push(pid);
        }
    }
    Ok(found)
}

/// Whether a process exists and has not ended.
pub(crate) fn alive(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.lines().any(|line| line.starts_with("State:") && !line.contains('Z'))
}
