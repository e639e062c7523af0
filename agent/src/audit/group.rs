//! Group commit: one `fdatasync(2)` for all records that wait for one.

use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Who waits for the disk, and how far it has come.
#[derive(Debug, Default)]
pub(super) struct Group {
    state: Mutex<State>,
    done: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Records up to this number are on the disk.
    synced: u64,
    /// Somebody is at it.
    syncing: bool,
}

impl Group {
    /// Returns when record `seq` is on the disk. The first one to come has it done by `sync`, which gives
    /// the number of the last record that it covers; those that come meanwhile wait, and one of them does
    /// it for all of them.
    pub(super) fn wait(&self, seq: u64, sync: impl Fn() -> io::Result<u64>) -> io::Result<()> {
        let mut state = self.state();
        while state.synced < seq {
            if state.syncing {
                state = self.done.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            state.syncing = true;
            drop(state);
            let synced = sync();
            state = self.state();
            state.syncing = false;
            self.done.notify_all();
            state.synced = state.synced.max(synced?);
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn those_that_wait_share_one() {
        let (group, written, syncs) = (Group::default(), AtomicU64::new(0), AtomicU64::new(0));
        let all = Barrier::new(16);
        let sync = || {
            syncs.fetch_add(1, Ordering::SeqCst);
            let covers = written.load(Ordering::SeqCst);
            thread::yield_now();
            Ok(covers)
        };
        thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    let seq = written.fetch_add(1, Ordering::SeqCst) + 1;
                    all.wait();
                    group.wait(seq, sync).expect("synced");
                });
            }
        });
        assert_eq!(syncs.load(Ordering::SeqCst), 1, "all were written before the first one");
    }

    #[test]
    fn an_error_is_everybodys_and_the_next_try_counts() {
        let group = Group::default();
        group.wait(1, || Err(io::Error::other("no"))).expect_err("not synced");
        group.wait(1, || Ok(1)).expect("synced");
        group.wait(1, || unreachable!("it is there")).expect("synced");
    }
}
