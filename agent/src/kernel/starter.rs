//! The thread that starts servers.
//!
//! A server is killed when the *thread* that started it ends (`PR_SET_PDEATHSIG`, prctl(2)). Threads of a runtime end
//! when they please: one that was left behind by `block_in_place` does after ten idle seconds. This one ends with the
//! process.
#![forbid(unsafe_code)]

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Sender};
use std::sync::{Mutex, PoisonError};
use std::thread;

type Work = Box<dyn FnOnce() + Send>;

static STARTER: Mutex<Option<Sender<Work>>> = Mutex::new(None);

/// Does something on that thread and waits for it.
pub(super) fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    let (done, outcome) = mpsc::channel();
    let work = Box::new(move || {
        let _ = done.send(work()); // Who waits for it is still there.
    });
    let ended = || io::Error::other("the thread that starts servers did not do it");
    starter()?.send(work).map_err(|_| ended())?;
    outcome.recv().map_err(|_| ended())
}

fn starter() -> io::Result<Sender<Work>> {
    let mut starter = STARTER.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(starter) = &*starter {
        return Ok(starter.clone());
    }
    let (sender, works) = mpsc::channel::<Work>();
    thread::Builder::new().name("starter".to_owned()).spawn(move || {
        for work in works {
            // Its end would be that of every server. Whoever waits learns of it by what is not sent.
            let _ = catch_unwind(AssertUnwindSafe(work));
        }
    })?;
    Ok(starter.insert(sender).clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_done_on_one_thread_and_a_panic_does_not_end_it() {
        let thread = || run(|| thread::current().id()).expect("done");
        let first = thread();
        assert_ne!(first, thread::current().id());
        assert!(run(|| panic!("as it happens")).is_err());
        assert_eq!(thread::spawn(thread).join().expect("done"), first);
    }
}
