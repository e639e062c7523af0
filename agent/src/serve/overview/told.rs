//! What is told, as it stands on the control socket. Fields that are not there have their defaults, so that
//! an older or newer warrantd is understood.

use serde::{Deserialize, Serialize};

use crate::audit::FileHashes;
use crate::config::Mode;
use crate::session::{Manner, ReachedPeer, SessionStatus};

/// A warrantd as it is now.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Overview {
    /// Its version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// When it started: ISO 8601, UTC.
    pub since: String,
    /// Milliseconds since then, by a clock that nobody sets.
    pub uptime_ms: u64,
    /// What it was configured with; null for `warrantd run`.
    pub configuration: Option<ConfigurationView>,
    /// What the kernel does; null when that is switched off.
    pub kernel: Option<KernelView>,
    /// Its servers.
    pub servers: Vec<ServerView>,
    /// Its sessions, those with calls in flight first.
    pub sessions: Vec<SessionStatus>,
    /// Sessions that are not listed.
    pub sessions_left_out: usize,
    /// The audit log.
    pub log: LogView,
    /// Who receives the log.
    pub receivers: Vec<ReceiverView>,
}

/// What a daemon was configured with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ConfigurationView {
    /// The file.
    pub file: String,
    /// Its number: 1 at the start, one more with each reload.
    pub generation: u32,
    /// Since when it is in force: ISO 8601, UTC.
    pub since: String,
    /// The files that it was read from, as they were then.
    pub files: FileHashes,
}

/// What the kernel does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KernelView {
    /// The observer of files and programs.
    pub observer: String,
    /// It can refuse files and programs, too.
    pub enforces_files: bool,
}

/// A server.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ServerView {
    /// Its id.
    pub id: String,
    /// The file of its policy.
    pub policy: String,
    /// Whether that is enforced.
    pub mode: Mode,
    /// How it is run and spoken to.
    pub manner: Manner,
    /// Whether it runs.
    pub state: ServerState,
    /// Its sessions.
    pub sessions: usize,
    /// Calls that it works on.
    pub in_flight: usize,
    /// How calls ended since warrantd started.
    pub counts: Counts,
    /// Whom it reached or tried to, the latest first.
    pub peers: Vec<ReachedPeer>,
}

/// Whether a server runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServerState {
    /// It is started for each session.
    #[default]
    Ready,
    /// It runs, or is spoken to.
    Up,
    /// Nobody uses it; the first client starts it, or connects to it.
    Idle,
    /// It should run and does not, or cannot be reached.
    Down,
}

/// How calls ended, and what else was recorded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Calls that were recorded.
    pub calls: u64,
    /// Of these: denied by policy, or before it.
    pub denied: u64,
    /// The server answered and the answer was released.
    pub succeeded: u64,
    /// Failed, withheld or denied.
    pub failed: u64,
    /// The server took too long.
    pub timed_out: u64,
    /// They kept to their warrants.
    pub within: u64,
    /// They did not.
    pub exceeded: u64,
    /// Kernel events were lost.
    pub incomplete: u64,
    /// Nobody watched.
    pub unobserved: u64,
    /// Records of effects that belong to no call.
    pub unsolicited: u64,
    /// Callers that could not be authenticated.
    pub strangers: u64,
    /// Kernel events that were lost.
    pub lost_events: u64,
    /// How long calls took.
    pub durations: Durations,
}

/// How many calls took how long: pairs of milliseconds and calls that took no longer, and longer than the pair
/// before allows. The steps are an eighth of the time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Durations(pub Vec<(u64, u64)>);

impl Durations {
    /// What was counted since an earlier state.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let earlier = |step| before.0.iter().find(|(other, _)| *other == step).map_or(0, |p| p.1);
        let more = self.0.iter().map(|(step, count)| (*step, count.saturating_sub(earlier(*step))));
        Self(more.filter(|(_, count)| *count > 0).collect())
    }

    /// The milliseconds within which this share of the calls was answered, if there were any; `share` is in
    /// hundredths.
    pub fn percentile(&self, share: u64) -> Option<u64> {
        let all: u64 = self.0.iter().map(|(_, count)| count).sum();
        let wanted = (all * share).div_ceil(100).max(1);
        let mut before = 0;
        self.0.iter().find_map(|(step, count)| {
            before += count;
            (before >= wanted).then_some(*step)
        })
    }
}

/// The audit log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogView {
    /// The file that is written to.
    pub file: String,
    /// The last record's number.
    pub last: u64,
    /// Why it cannot be written, if it cannot: every call is denied then.
    pub trouble: Option<String>,
}

/// A receiver of the audit log. Counts are from the daemon's start on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReceiverView {
    /// Its name; `alerts` is what looks for alerts.
    pub name: String,
    /// The last attempt to send succeeded.
    pub up: bool,
    /// Records that it does not have.
    pub behind: u64,
    /// When something was sent last: ISO 8601, UTC.
    pub last_sent: Option<String>,
    /// Events that were sent.
    pub events: u64,
    /// Attempts that failed.
    pub failures: u64,
    /// Events that it refused for good.
    pub rejected: u64,
    /// Records that were gone from the log before they were delivered.
    pub missed: u64,
    /// What went wrong last.
    pub last_error: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_and_a_newer_warrantd_are_understood() {
        let old: Overview = serde_json::from_str(r#"{"version":"0.1.0","pid":7}"#).expect("reads");
        assert!(old.pid == 7 && old.kernel.is_none() && old.servers.is_empty());
        let new = r#"{"moon":"full","servers":[{"id":"a","tide":3,"counts":{"calls":2,"ebb":1}}]}"#;
        let new: Overview = serde_json::from_str(new).expect("reads");
        assert_eq!(new.servers[0].counts.calls, 2);
    }

    #[test]
    fn percentiles_are_of_what_was_counted_meanwhile() {
        let before = Durations(vec![(1, 100)]);
        let now = Durations(vec![(1, 150), (8, 49), (900, 1)]);
        let recent = now.since(&before);
        assert_eq!(recent, Durations(vec![(1, 50), (8, 49), (900, 1)]));
        assert_eq!((recent.percentile(50), recent.percentile(99)), (Some(1), Some(8)));
        assert_eq!(recent.percentile(100), Some(900));
        assert_eq!(now.since(&now).percentile(50), None);
    }
}
