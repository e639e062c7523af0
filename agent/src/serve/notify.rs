//! What the service manager is told (`sd_notify(3)`). Without one, nothing is said to anyone.

use std::path::PathBuf;
use std::time::Duration;

use sd_notify::NotifyState;

use super::control_client::Instance;
use super::control_messages::{Answer, Request};

/// That clients can connect, after the start or after a reload.
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// That the configuration is about to be read anew. [`ready`] must follow, however it ends.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        // From systemd 253 on, a reload is only believed with the time.
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!("the service manager is not told of the reload: {error}"),
    }
}

/// That the daemon ends.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// A line for people who look at the unit.
pub fn status(line: &str) {
    // A second line would be a message of its own.
    tell(&[NotifyState::Status(line.lines().next().unwrap_or_default())]);
}

/// Says so at every third of the watchdog's time, as long as the daemon does its work. Returns at once
/// where the service manager has no watchdog for this process.
///
/// The proof is that the daemon answers over its own control socket as it answers `warrantd status`: it
/// accepts, its runtime has a thread free, and the table of sessions is not locked up. A session that is
/// waiting for its client does not count against it.
pub async fn watchdog(control: PathBuf) {
    let Some(time) = sd_notify::watchdog_enabled() else { return };
    let pause = (time / 3).max(Duration::from_millis(10));
    loop {
        let control = control.clone();
        let asked = move || Instance::at(control).ask(&Request::Status {});
        match tokio::task::spawn_blocking(asked).await {
            Ok(Ok(Answer::Sessions(_))) => tell(&[NotifyState::Watchdog]),
            Ok(Ok(answer)) => tracing::error!("no proof of life: answered {answer:?}"),
            Ok(Err(error)) => tracing::error!("no proof of life on the control socket: {error}"),
            Err(_) => return, // The runtime ends.
        }
        tokio::time::sleep(pause).await;
    }
}

/// A service manager that does not listen is no reason to end.
fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!("cannot tell the service manager: {error}");
    }
}
