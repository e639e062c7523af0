//! Starting the kernel layer for a command.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::task::JoinHandle;

use super::Failure;
use crate::config::KernelMode;
use crate::kernel::{Kernel, KernelOptions};

/// The kernel layer of a command, and the task that reads its events.
pub(super) struct Layer {
    /// The layer; `None` when it was switched off by hand.
    pub(super) kernel: Option<Arc<Kernel>>,
    reader: Option<JoinHandle<()>>,
}

impl Layer {
    /// Lets go of the kernel layer, so that it cleans up before the process ends.
    pub(super) async fn close(self) {
        if let Some(reader) = self.reader {
            reader.abort();
            let _ = reader.await; // Called off.
        }
    }
}

/// Starts the kernel layer for an instance, or says what its absence means.
pub(super) fn start(mode: KernelMode, instance: String) -> Result<Layer, Failure> {
    if mode == KernelMode::Off {
        tracing::warn!(
            "the kernel layer is off: nothing is enforced or observed, and every record says \
             UNOBSERVED"
        );
        return Ok(Layer { kernel: None, reader: None });
    }
    let kernel = Kernel::start(KernelOptions {
        pin_root: PathBuf::from("/sys/fs/bpf/warrantd"),
        instance,
        probe: vec![OsString::from("/proc/self/exe"), OsString::from("self-test-probe")],
    })?;
    let reader = tokio::spawn(kernel.clone().run_reader());
    Ok(Layer { kernel: Some(kernel), reader: Some(reader) })
}
