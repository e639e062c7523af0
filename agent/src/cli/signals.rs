//! The end, asked for from outside.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Becomes true at SIGTERM, SIGINT or SIGHUP of a terminal that goes away.
pub(super) fn stop_signal() -> std::io::Result<watch::Receiver<bool>> {
    let (sender, receiver) = watch::channel(false);
    let mut term = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = interrupt.recv() => {}
            _ = hangup.recv() => {}
        }
        // The receivers may be gone already.
        let _ = sender.send(true);
        sender.closed().await;
    });
    Ok(receiver)
}

/// Becomes true with `stop`, and at SIGUSR1: another daemon starts as soon as this one has ended. `succeeded` is
/// called then, before anything ends.
pub(super) fn or_successor(
    mut stop: watch::Receiver<bool>,
    succeeded: impl FnOnce() + Send + 'static,
) -> std::io::Result<watch::Receiver<bool>> {
    let (sender, receiver) = watch::channel(false);
    let mut successor = signal(SignalKind::user_defined1())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = successor.recv() => succeeded(),
            _ = stop.wait_for(|stop| *stop) => {}
        }
        let _ = sender.send(true);
        sender.closed().await;
    });
    Ok(receiver)
}
