//! `warrantd serve`: the daemon.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;

use super::{Failure, kernel, signals};
use crate::audit::Log;
use crate::serve::{Daemon, load};

/// Serve the configured MCP servers on Unix sockets
///
/// Every server gets a socket, `<runtime_dir>/<id>.sock`. Each connection is a session with a
/// process of its own. SIGTERM ends every session and then the daemon.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  warrantd serve --config /etc/warrantd/warrantd.yaml")]
pub(super) struct Serve {
    /// Configuration file
    #[arg(long, value_name = "FILE", default_value = "/etc/warrantd/warrantd.yaml")]
    config: PathBuf,
}

impl Serve {
    pub(super) fn execute(self) -> Result<ExitCode, Failure> {
        let loaded = load(&self.config)?;
        let log = Arc::new(Log::open(&loaded.audit_dir, "audit").map_err(Failure::other)?);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(Failure::other)?;
        runtime.block_on(async {
            let stop = signals::stop_signal().map_err(Failure::other)?;
            let layer = kernel::start(loaded.kernel, "serve".to_owned())?;
            let daemon = Daemon::listen(loaded, layer.kernel.clone(), log).await;
            let daemon = daemon.map_err(Failure::other)?;
            for socket in daemon.sockets() {
                tracing::info!("listening on {}", socket.display());
            }
            let done = daemon.run(stop).await;
            layer.close().await;
            done.map_err(Failure::other)
        })?;
        Ok(ExitCode::SUCCESS)
    }
}
