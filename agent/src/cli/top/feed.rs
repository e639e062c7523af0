//! Asking, again and again, beside the screen: an answer may take seconds.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use crate::cli::instances::{Instances, Unheard};
use crate::cli::status::told;
use crate::serve::{Overview, Request};

/// What came of a look.
#[derive(Debug)]
pub(super) enum Look {
    /// What each warrantd told, by its name; the daemon first.
    Seen(Vec<(String, Overview)>),
    /// None runs: why, in one line.
    Nothing(String),
    /// One of them does not answer, or ended while it did.
    Late(String),
    /// Nothing will ever be told.
    Forbidden(String),
}

/// Looks once.
pub(super) fn look(instances: &Instances) -> Look {
    let answers = match instances.hear(&Request::Overview {}) {
        Ok(answers) => answers,
        Err(Unheard::Forbidden) => return Look::Forbidden(Unheard::Forbidden.to_string()),
        Err(silent @ Unheard::Silent(..)) => return Look::Late(silent.to_string()),
        Err(other) => return Look::Nothing(other.to_string()),
    };
    let mut seen = Vec::new();
    for (instance, answer) in answers {
        match told(&instance, answer) {
            Ok(overview) => seen.push((instance.name(), overview)),
            Err(failure) => return Look::Late(failure.to_string()),
        }
    }
    // Its name sorts after those of runs.
    seen.sort_by_key(|(name, _)| (name != "serve", name.clone()));
    Look::Seen(seen)
}

/// Looks until it is dropped.
#[derive(Debug)]
pub(super) struct Feed {
    looks: Receiver<Look>,
    /// Dropped, the thread ends.
    _stop: Sender<()>,
}

impl Feed {
    /// Begins at once, and looks again so long after each answer.
    pub(super) fn start(instances: Instances, every: Duration) -> Self {
        let (sender, looks) = channel();
        let (stop, stopped) = channel::<()>();
        thread::spawn(move || {
            loop {
                if sender.send(look(&instances)).is_err() {
                    return;
                }
                if stopped.recv_timeout(every) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
        });
        Self { looks, _stop: stop }
    }

    /// A look that has come meanwhile.
    pub(super) fn next(&self) -> Option<Look> {
        self.looks.try_recv().ok()
    }
}
