//! `warrantd serve`: the daemon.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::sync::watch;

use super::{Failure, kernel, signals};
use crate::audit::{AuditKey, Keeping, Log, Options, Reason, keep};
use crate::kernel::{give_back_memory, share_pools};
use crate::serve::{Daemon, Shipping, load, notify};
use crate::transport::activation;

/// Serve the configured MCP servers on Unix sockets and over HTTP
///
/// Every server gets a socket, `<runtime_dir>/<id>.sock`, and each of the listeners under `listen` has
/// it at `/<id>/mcp`. Each connection to a socket and each HTTP session is a session with a process of its
/// own. SIGTERM ends every session and then the daemon. SIGUSR1 does, too, for another that starts at once: what is
/// attached to other services is enforced meanwhile. SIGHUP, as `warrantd reload`, reads the configuration
/// anew: nothing changes unless all of it is valid, and sessions go on.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  warrantd serve --config /etc/warrantd/warrantd.yaml")]
pub(super) struct Serve {
    /// Configuration file
    #[arg(long, value_name = "FILE", default_value = "/etc/warrantd/warrantd.yaml")]
    config: PathBuf,
}

impl Serve {
    pub(super) fn execute(self) -> Result<ExitCode, Failure> {
        activation::take().map_err(|error| Failure::Setup(error.to_string()))?;
        let loaded = load(&self.config)?;
        raise_descriptor_limit();
        let key = loaded.fixed.audit_key();
        let key = AuditKey::open_or_make(&key).map_err(|e| Failure::Setup(e.to_string()))?;
        let fixed = loaded.fixed.clone();
        let durability = fixed.audit.durability;
        let options = Options { rotate: fixed.audit.rotate, key: Some(Arc::new(key)), durability };
        let keeping = Keeping {
            interval: fixed.audit.checkpoint.interval.0,
            keep: Some(fixed.audit.keep),
            delivered: Arc::new(|| None),
        };
        let log =
            Arc::new(Log::open_with(&fixed.audit.dir, "audit", options).map_err(Failure::other)?);
        share_pools();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(Failure::other)?;
        runtime.block_on(async {
            let stop = signals::end().map_err(Failure::other)?;
            let hangup = signals::hangup().map_err(Failure::other)?;
            kernel::check_floor(loaded.servers.iter().any(|server| server.server.wants_floor()))?;
            let enforce = loaded.servers.iter().any(|server| server.server.wants_enforcement());
            let layer = kernel::start(fixed.kernel, "serve".to_owned())?;
            kernel::check_enforcement(enforce, layer.kernel.as_ref())?;
            let enforcing = layer.kernel.clone();
            let hand_over = move || enforcing.iter().for_each(|kernel| kernel.hand_over());
            let stop = signals::or_successor(stop, hand_over).map_err(Failure::other)?;
            let shipping = Shipping::start(&fixed.audit, &fixed.state_dir, &log);
            let shipping = shipping.map_err(|e| Failure::Setup(e.to_string()))?;
            let keeping = Keeping { delivered: shipping.delivered(), ..keeping };
            let keeper = tokio::spawn(keep(log.clone(), keeping));
            let receivers = shipping.progress().clone();
            let daemon =
                Daemon::listen(&self.config, loaded, layer.kernel.clone(), log.clone(), receivers);
            let daemon = daemon.await.map_err(Failure::other)?;
            for socket in daemon.sockets() {
                tracing::info!("listening on {}", socket.display());
            }
            for url in daemon.urls() {
                tracing::info!("listening on {url}");
            }
            if let Some(url) = daemon.metrics_url() {
                tracing::info!("metrics on {url}");
            }
            for socket in activation::unused() {
                tracing::warn!(
                    "the service manager passed {socket}, and nothing in the configuration listens there: \
                     whoever connects is not answered"
                );
            }
            let watched = tokio::spawn(notify::watchdog(daemon.control().to_owned()));
            notify::ready();
            let settled = tokio::spawn(async {
                tokio::time::sleep(SETTLED).await;
                give_back_memory();
            });
            tokio::spawn(say_stopping(stop.clone()));
            tokio::spawn(signals::reload_on(hangup, daemon.orders()));
            let done = daemon.run(stop).await;
            watched.abort();
            settled.abort();
            layer.close().await;
            keeper.abort();
            done.map_err(Failure::other)?;
            let signed = log.checkpoint(Reason::Stop).map_err(Failure::other);
            shipping.finish().await;
            signed
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

/// After so long, what a start begins has ended.
const SETTLED: Duration = Duration::from_secs(1);

/// Tells the service manager when the end was asked for: sessions may take a while to end.
async fn say_stopping(mut stop: watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_ok() {
        notify::stopping();
    }
}

/// A session and a connection each take descriptors, and the usual limit is meant for programs without
/// many. Servers get a limit of their own.
fn raise_descriptor_limit() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
        && let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
    {
        tracing::warn!("at most {soft} files can be open (setrlimit: {error})");
    }
}
