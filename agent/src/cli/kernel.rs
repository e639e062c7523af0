//! Starting the kernel layer for a command.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::task::JoinHandle;

use super::Failure;
use crate::config::KernelMode;
use crate::kernel::{Backend, Kernel, KernelOptions, floor_shortcomings};

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

/// Makes sure that the kernel has what a floor under servers' files needs, and says what it lacks.
pub(super) fn check_floor(wanted: bool) -> Result<(), Failure> {
    if wanted {
        for shortcoming in floor_shortcomings()? {
            tracing::warn!("effects.landlock on this kernel: {shortcoming}");
        }
    }
    Ok(())
}

/// Makes sure that files are enforced when a policy wants them to be.
pub(super) fn check_enforcement(wanted: bool, kernel: Option<&Arc<Kernel>>) -> Result<(), Failure> {
    if !wanted || kernel.is_some_and(|kernel| kernel.backend().enforces_files()) {
        return Ok(());
    }
    let Some(kernel) = kernel else {
        return Err(Failure::other(
            "effects.enforce: files cannot be enforced with the kernel layer off. Remove `--kernel off` \
             (in the configuration file `kernel: off`), or the key",
        ));
    };
    let why = kernel.passed_over().first().map_or("", |(_, why)| why.as_str());
    Err(Failure::other(format!(
        "effects.enforce: files cannot be enforced on this kernel: {why}. Add bpf to the lsm= list of the \
         kernel command line, or use effects.landlock, or remove the key"
    )))
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
    let kernel = Kernel::start(&options(instance))?;
    announce(&kernel);
    let reader = tokio::spawn(kernel.clone().run_reader());
    Ok(Layer { kernel: Some(kernel), reader: Some(reader) })
}

/// How instances start.
pub(super) fn options(instance: String) -> KernelOptions {
    let service = instance == "serve";
    KernelOptions {
        pin_root: PathBuf::from("/sys/fs/bpf/warrantd"),
        instance,
        probe: vec![OsString::from("/proc/self/exe"), OsString::from("self-test-probe")],
        backends: Backend::ALL.to_vec(),
        cleans_up: true,
        service,
    }
}

/// Says which observer is in use and what it cannot see: an operator must not find out from an incident.
fn announce(kernel: &Kernel) {
    for (backend, why) in kernel.passed_over() {
        tracing::info!("observer {backend} cannot be used: {why}");
    }
    let backend = kernel.backend();
    tracing::info!(backend = backend.name(), "the kernel enforces the network and observes files");
    for hook in kernel.lacking() {
        tracing::info!(backend = backend.name(), "limit: this kernel does not offer {hook}");
    }
    for blind_spot in backend.blind_spots() {
        tracing::info!(backend = backend.name(), "limit: {blind_spot}");
    }
}
