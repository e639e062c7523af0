//! What of a configuration is settled when the daemon starts.

use std::path::PathBuf;

use crate::config::{AuditConfig, KernelMode, MetricsConfig};

/// What takes a restart to change.
#[derive(Debug, Clone, PartialEq)]
pub struct Fixed {
    /// Directory of the sockets.
    pub runtime_dir: PathBuf,
    /// Directory of what outlives the daemon.
    pub state_dir: PathBuf,
    /// The audit log.
    pub audit: AuditConfig,
    /// Whether the kernel enforces and observes.
    pub kernel: KernelMode,
    /// Where metrics are read.
    pub metrics: Option<MetricsConfig>,
}

impl Fixed {
    /// The file of the key that the audit log is signed with.
    pub fn audit_key(&self) -> PathBuf {
        let key = self.audit.checkpoint.key.clone();
        key.unwrap_or_else(|| self.state_dir.join("audit.key"))
    }

    /// The socket of a server.
    pub fn socket(&self, server: &str) -> PathBuf {
        self.runtime_dir.join(format!("{server}.sock"))
    }

    /// The key of the configuration that is not as in `other`.
    pub(super) fn difference(&self, other: &Self) -> Option<&'static str> {
        let (ours, theirs) = (&self.audit, &other.audit);
        let same = [
            (self.runtime_dir == other.runtime_dir, "runtime_dir"),
            (self.state_dir == other.state_dir, "state_dir"),
            (self.kernel == other.kernel, "kernel"),
            (self.metrics == other.metrics, "metrics"),
            (ours.dir == theirs.dir, "audit.dir"),
            (ours.durability == theirs.durability, "audit.durability"),
            (ours.checkpoint == theirs.checkpoint, "audit.checkpoint"),
            (ours.rotate == theirs.rotate, "audit.rotate"),
            (ours.keep == theirs.keep, "audit.keep"),
            (ours.ship == theirs.ship, "audit.ship"),
            (ours.alerts == theirs.alerts, "audit.alerts"),
            (ours == theirs, "audit"),
        ];
        same.into_iter().find(|(same, _)| !same).map(|(_, key)| key)
    }
}
