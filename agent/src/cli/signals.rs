//! What is asked for by signals.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::serve::{Order, Orders};

/// Becomes true at SIGTERM, SIGINT or SIGHUP of a terminal that goes away.
pub(super) fn end_or_hangup() -> std::io::Result<watch::Receiver<bool>> {
    let mut hangup = hangup()?;
    on_end(async move {
        hangup.recv().await;
    })
}

/// Becomes true at SIGTERM or SIGINT.
pub(super) fn end() -> std::io::Result<watch::Receiver<bool>> {
    on_end(std::future::pending())
}

fn on_end(
    also: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<watch::Receiver<bool>> {
    let (sender, receiver) = watch::channel(false);
    let mut term = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = interrupt.recv() => {}
            () = also => {}
        }
        // The receivers may be gone already.
        let _ = sender.send(true);
        sender.closed().await;
    });
    Ok(receiver)
}

/// SIGHUP, which does nothing from here on unless it is listened to.
pub(super) fn hangup() -> std::io::Result<Signal> {
    signal(SignalKind::hangup())
}

/// Orders a reload at each SIGHUP, as long as somebody obeys.
pub(super) async fn reload_on(mut hangup: Signal, orders: Orders) {
    while hangup.recv().await.is_some() {
        // Who sends a signal is not known, and does not wait for an answer.
        if orders.send(Order { by: None, answer: None }).await.is_err() {
            return;
        }
    }
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
