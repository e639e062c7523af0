//! Checks first what would fail later with a message that nobody understands.

use std::fs;

use super::KernelError;

/// Capability numbers (include/uapi/linux/capability.h) of everything the kernel layer does.
const NEEDED: [(u32, &str); 7] = [
    (5, "CAP_KILL"),
    (6, "CAP_SETGID"),
    (7, "CAP_SETUID"),
    (8, "CAP_SETPCAP"),
    (12, "CAP_NET_ADMIN"),
    (38, "CAP_PERFMON"),
    (39, "CAP_BPF"),
];

/// Demands the capabilities of the calling process.
pub(super) fn check() -> Result<(), KernelError> {
    let held = effective();
    let missing: Vec<_> = NEEDED
        .iter()
        .filter(|(number, _)| held >> number & 1 == 0)
        .map(|(_, name)| *name)
        .collect();
    if missing.is_empty() { Ok(()) } else { Err(KernelError::NotPrivileged { missing }) }
}

/// Whether the process can give a child another identity and take its capabilities.
pub fn can_drop() -> bool {
    let held = effective();
    [6, 7, 8].iter().all(|number| held >> number & 1 == 1)
}

/// The effective set, as a bit mask; empty when it cannot be read.
fn effective() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|set| u64::from_str_radix(set.trim(), 16).ok())
        .unwrap_or(0)
}
