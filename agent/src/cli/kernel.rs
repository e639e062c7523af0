//! Starting the kernel layer for a command.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use super::Failure;
use crate::config::KernelMode;
use crate::kernel::{Kernel, KernelOptions};

/// Starts the kernel layer for an instance, or says what its absence means.
pub(super) fn start(mode: KernelMode, instance: String) -> Result<Option<Arc<Kernel>>, Failure> {
    if mode == KernelMode::Off {
        tracing::warn!(
            "the kernel layer is off: nothing is enforced or observed, and every record says \
             UNOBSERVED"
        );
        return Ok(None);
    }
    let kernel = Kernel::start(KernelOptions {
        pin_root: PathBuf::from("/sys/fs/bpf/warrantd"),
        instance,
        probe: vec![OsString::from("/proc/self/exe"), OsString::from("self-test-probe")],
    })?;
    Ok(Some(kernel))
}
