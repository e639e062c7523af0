//! Which process is which: a pid alone is reused.

use std::fs;

/// A process, by pid and start time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    /// Process id.
    pub(super) pid: u32,
    /// Start time in clock ticks since boot (field 22 of `proc_pid_stat(5)`).
    pub(super) started: u64,
}

impl Identity {
    /// The calling process; `None` when /proc is not there.
    pub(super) fn own() -> Option<Self> {
        Self::of(std::process::id())
    }

    /// The process that has this pid now; `None` when there is none.
    pub(super) fn of(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (state, started) = parse_stat(&stat)?;
        // A zombie does no work any more.
        (!matches!(state, "Z" | "X")).then_some(Self { pid, started })
    }

    /// Whether this very process still runs.
    pub(super) fn is_alive(self) -> bool {
        Self::of(self.pid) == Some(self)
    }
}

/// State and start time. The name in the second field may hold spaces and parentheses.
fn parse_stat(stat: &str) -> Option<(&str, u64)> {
    let (_, after_name) = stat.rsplit_once(") ")?;
    let mut fields = after_name.split(' ');
    let state = fields.next()?;
    let started = fields.nth(18)?.parse().ok()?;
    Some((state, started))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_parentheses() {
        let stat = "7 (a) R (b) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4711 0 0";
        assert_eq!(parse_stat(stat), Some(("S", 4711)));
    }

    #[test]
    fn own_process_is_alive_and_another_start_time_is_not() {
        let own = Identity::own().unwrap_or(Identity { pid: 0, started: 0 });
        assert!(own.is_alive());
        let reused = Identity { started: own.started + 1, ..own };
        assert!(!reused.is_alive());
    }
}
